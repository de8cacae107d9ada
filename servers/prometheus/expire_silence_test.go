package prometheus

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestExpireSilenceIsGatedAndReallyUnmutes(t *testing.T) {
	raise(t, []string{"alertname", "Woken", "severity", "warning", "team", "shop", "queue", "orders", "area", "woken"})
	within(t, "it was told once", func() bool { return told(t, "shop-orders", "Woken") })
	id := silenced(t, `area="woken"`)
	late := []string{"alertname", "WokenLate", "severity", "warning", "team", "shop", "queue", "orders", "area", "woken"}
	raise(t, late)
	within(t, "both are silenced", func() bool {
		return !slices.ContainsFunc(held(t, `area="woken"`), func(a apiAlert) bool { return len(a.Status.SilencedBy) != 1 })
	})
	third := []string{"alertname", "Third", "severity", "odd", "area", "woken"}
	done := requireGated(t, gatedWrite{
		Tool: expireSilence,
		Args: map[string]any{"id": id},
		Shown: []string{
			"silence " + id + ` {area="woken"}`, "- active silence by tester until 20", ": on purpose\n2 alerts would notify again:\n" +
				`+ WokenLate{area="woken", queue="orders", severity="warning", team="shop"} -> shop-orders` + "\n" +
				`+ Woken{area="woken", queue="orders", severity="warning", team="shop"} -> shop-orders`,
		},
		State: func() string {
			if slices.Contains(silencesOf(t, "tester"), id) {
				return "active"
			}
			return "over"
		},
		Before:  "active",
		After:   "over",
		Disturb: func() { raise(t, third) },
		Restore: func() {
			sendAlerts(t.Context(), t, whole(), time.Now().Add(-time.Second), [][]string{third})
			within(t, "the third alert is over", func() bool { return len(held(t, `area="woken"`)) == 2 })
		},
	})
	require.Contains(t, done.Text, "ended silence "+id+"; 2 alerts may notify again")
	within(t, "the silenced one is told at last", func() bool { return told(t, "shop-orders", "WokenLate") })
}

func TestExpireSilenceThatIsNotThere(t *testing.T) {
	id := silenced(t, `area="none of these"`)
	p := &person{Says: "decline"}
	s := writing(t, whole(), p)
	requireRefused(t, s, "alertmanager_expire_silence", map[string]any{"id": id[:len(id)-1] + "x"}, `x"; the nearest ids are `+id)
	requireRefused(t, s, "alertmanager_expire_silence", map[string]any{"id": "the one of last night"}, id+` {area="none of these"}`)
	requireRefused(t, s, "alertmanager_expire_silence", map[string]any{}, `invalid: argument "id" is required`)
	require.Empty(t, p.Asked)
	s.Call("alertmanager_expire_silence", map[string]any{"id": id})
	require.Contains(t, p.Asked[0], "0 alerts would notify again:")

	pending := silencedFrom(t, `area="later"`, 30*time.Minute, time.Hour)
	yes := &person{Says: "accept"}
	require.Contains(t, writing(t, whole(), yes).Call("alertmanager_expire_silence", map[string]any{"id": pending}).Text, "ended silence "+pending)
	require.Contains(t, yes.Asked[0], "- pending silence by tester until ")
	require.NotContains(t, silencesOf(t, "tester"), pending)

	expire(t.Context(), t, id)
	a := s.Call("alertmanager_expire_silence", map[string]any{"id": id})
	require.False(t, a.IsError, a.Text)
	require.Regexp(t, "silence "+id+" is over since 20.*; nothing was written", a.Text)
	require.Len(t, p.Asked, 1)
}
