package agenttrigger

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestKeysTellAlertsApart(t *testing.T) {
	t.Parallel()
	named := func(labels ...string) Alert {
		return Alert{Status: firing, Fingerprint: "f00d", Labels: map[string]string{"a": labels[0], "b": labels[1]}}
	}
	both := []string{"a", "b"}
	require.Equal(t, "Down,shop", key(named("Down", "shop"), both))
	require.Equal(t, "Down,", key(Alert{Labels: map[string]string{"a": "Down"}}, both))
	require.Equal(t, "f00d", key(named("Down", "shop"), nil))
	require.NotEqual(t, key(named("x,y", "z"), both), key(named("x", "y,z"), both))
	require.NotEqual(t, key(named(`"x,y"`, "z"), both), key(named("x,y", "z"), both))
	over := named("Down", "shop")
	over.Status = resolved
	require.Equal(t, "resolved Down,shop", key(over, both))
	require.NotEqual(t, key(over, []string{"a"}), key(named("resolved Down", ""), []string{"a"}))
	long, longer := key(named(strings.Repeat("ä", 3000), "y"), both), key(named(strings.Repeat("ä", 3000), "z"), both)
	require.NotEqual(t, long, longer)
	require.LessOrEqual(t, len([]rune(long)), mostKey)
	unnamed := Alert{Labels: map[string]string{"a": "1", "b": "2"}}
	require.Equal(t, key(unnamed, nil), key(Alert{Labels: map[string]string{"b": "2", "a": "1"}}, nil))
	require.NotEqual(t, key(unnamed, nil), key(Alert{Labels: map[string]string{"a": "2", "b": "1"}}, nil))
}

func TestWhatIsDecided(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	ago := func(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }
	h := history{
		"alerts-1": {key: digest("old"), began: ago(31)},
		"alerts-2": {key: digest("new"), began: ago(29)},
		"alerts-9": {key: digest("active"), began: ago(600), active: true},
		"other-40": {key: digest("x")},
	}
	h.remember([]v1alpha1.TriggerRecent{
		{Key: "gone", Run: "alerts-12", At: metav1.NewTime(ago(5))},
		{Key: "wrong", Run: "alerts-9", At: metav1.NewTime(ago(5))}, // the run itself knows better
	})
	for key, want := range map[string]verdict{"old": start, "new": cooled, "active": deduplicated, "gone": cooled, "wrong": start, "never": start} {
		require.Equal(t, want, h.decide(key, now, defaultCooldown, 2), key)
	}
	require.Equal(t, cooled, h.decide("never", now, defaultCooldown, 1), "there is as much as there may be")
	require.Equal(t, deduplicated, h.decide("active", now, defaultCooldown, 1))
	require.Equal(t, start, h.decide("new", now, 0, 2))
	require.Equal(t, 13, h.next("alerts-"))
	require.Equal(t, 1, history{"alerts-20261121-0700": {}}.next("alerts-"))
}

func TestTheStatusRemembersAsMuchAsItMust(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	var s v1alpha1.AgentTriggerStatus
	for i := range 250 {
		y := tally{counts: v1alpha1.TriggerCounts{Received: 2, Filtered: 1}}
		y.begin(newRun(&v1alpha1.AgentTrigger{}, "r", question{key: "k"}), now.Add(time.Duration(i)*time.Minute))
		y.addTo(&s, now)
	}
	require.Len(t, s.Recent, mostRecent)
	require.Equal(t, v1alpha1.TriggerCounts{Received: 500, Filtered: 250, Started: 250}, s.Counts)
	last := now.Add(249 * time.Minute)
	require.Equal(t, last, s.LastRunAt.Time)
	y := tally{}
	y.begin(newRun(&v1alpha1.AgentTrigger{}, "r", question{key: "k"}), last)
	y.addTo(&s, last)
	require.Len(t, s.Recent, leastRecent)
}

func TestNamesFit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 253)
	require.LessOrEqual(t, len(prefixOf(long)+"20261121-0700"), 253)
	require.NotEqual(t, prefixOf(long), prefixOf(long[:252]+"b"))
	require.Len(t, label(long), 63)
	require.NotEqual(t, label(long), label(long[:252]+"b"))
	require.Equal(t, "alerts", label("alerts"))
}
