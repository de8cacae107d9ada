package agenttrigger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	when, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return when.UTC()
}

func TestSchedulesKeepTheirZone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cron, zone, after, next string }{
		{"0 7 * * 1-5", "Europe/Berlin", "2026-03-27T06:00:00Z", "2026-03-30T05:00:00Z"}, // Friday, over the change of the clocks
		{"0 7 * * 1-5", "", "2026-03-27T07:00:00Z", "2026-03-30T07:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"}, // 02:30 of the 29th was left out
		{"@hourly", "America/Argentina/Buenos_Aires", "2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z"},
		{"0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", ""},
	} {
		s, err := newTimetable(&v1alpha1.TriggerSchedule{Cron: c.cron, TimeZone: c.zone})
		require.NoError(t, err)
		require.Equal(t, at(t, c.next), s.after(at(t, c.after)), c.cron)
	}
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cron, zone, text string }{
		{"0 25 * * *", "", "spec.schedule.cron: end of range (25) above maximum (23)"},
		{"0 7 * * *", "Europe/Atlantis", `spec.schedule.timeZone: there is no time zone "Europe/Atlantis"`},
		{"0 7 * * *", "Local", `there is no time zone "Local"`},
		{"TZ=0", "", "give five fields"},
		{"@every 1s", "", "give five fields"},
	} {
		_, err := newTimetable(&v1alpha1.TriggerSchedule{Cron: c.cron, TimeZone: c.zone})
		require.ErrorContains(t, err, c.text)
	}
}

func TestWhatWasMissedIsCaughtUpOnce(t *testing.T) {
	t.Parallel()
	s, err := newTimetable(&v1alpha1.TriggerSchedule{Cron: "0,10,20 7 * * *"})
	require.NoError(t, err)
	for _, c := range []struct{ next, now, due string }{
		{"2026-11-21T07:00:00Z", "2026-11-21T06:59:59Z", ""},
		{"2026-11-21T07:00:00Z", "2026-11-21T07:00:00Z", "2026-11-21T07:00:00Z"},
		{"2026-11-21T07:00:00Z", "2026-11-21T07:15:00Z", "2026-11-21T07:10:00Z"}, // of two, the last
		{"2026-11-21T07:20:00Z", "2026-11-21T08:20:01Z", ""},                     // an hour is too late
		{"2026-11-21T07:20:00Z", "2026-11-21T08:19:59Z", "2026-11-21T07:20:00Z"},
		{"2020-01-01T07:00:00Z", "2026-11-21T07:11:00Z", "2026-11-21T07:10:00Z"},
	} {
		require.Equal(t, at(t, c.due), s.due(at(t, c.next), at(t, c.now)), c)
	}
}

func FuzzASchedule(f *testing.F) {
	for _, cron := range []string{"0 7 * * 1-5", "*/0 * * * *", "TZ=", "@every 0s", "0 0 31 2 *", "@monthly", "9-1 * * * *", "1-2/99999999999 * * * *"} {
		f.Add(cron, "Europe/Berlin")
	}
	now := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, cron, zone string) {
		s, err := newTimetable(&v1alpha1.TriggerSchedule{Cron: cron, TimeZone: zone})
		if err != nil {
			return
		}
		next := s.after(now)
		require.True(t, next.IsZero() || next.After(now) && s.has(next))
		require.False(t, s.due(s.after(now.Add(-48*time.Hour)), now).After(now))
	})
}
