package kubernetes

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// event writes an event as an old reporter would: n times until ago before now.
func event(t testing.TB, ns string, about corev1.ObjectReference, severity, reason, message string, n int32, before time.Duration) {
	t.Helper()
	last := metav1.NewTime(time.Now().Add(-before))
	about.Namespace = ns
	_, err := testClients(t).typed.CoreV1().Events(ns).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "e-"},
		InvolvedObject: about, Type: severity, Reason: reason, Message: message, Count: n,
		FirstTimestamp: metav1.NewTime(last.Add(-time.Hour)), LastTimestamp: last,
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// seriesEvent writes an event as events.k8s.io reporters do.
func seriesEvent(t testing.TB, ns string, about corev1.ObjectReference, reason string, n int32) {
	t.Helper()
	now := time.Now()
	about.Namespace = ns
	_, err := testClients(t).typed.CoreV1().Events(ns).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "e-"},
		InvolvedObject: about, Type: "Normal", Reason: reason, Message: "seen", Action: "Looking",
		EventTime:           metav1.NewMicroTime(now.Add(-3 * time.Hour)),
		Series:              &corev1.EventSeries{Count: n, LastObservedTime: metav1.NewMicroTime(now.Add(-2 * time.Minute))},
		ReportingController: "test", ReportingInstance: "test-1",
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func podNamed(name string) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Name: name}
}

func TestGetEventsGroupsAndCounts(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	event(t, ns, podNamed("web-7796678dff-cdhnz"), "Normal", "Pulled", "image present", 4, time.Minute)
	event(t, ns, podNamed("web-7796678dff-cdhnz"), "Warning", "BackOff", "Back-off restarting failed container app in pod web-7796678dff-cdhnz_x(0c51bfed-5c82-44fe-b443-dcf2fa125704)", 7, 10*time.Minute)
	event(t, ns, podNamed("web-7796678dff-w2x4z"), "Warning", "BackOff", "Back-off restarting failed container app in pod web-7796678dff-w2x4z_x(1c51bfed-5c82-44fe-b443-dcf2fa125704)", 3, 5*time.Minute)
	event(t, ns, podNamed("other"), "Warning", "Failed", `secret "db" not found`, 1, 20*time.Minute)
	seriesEvent(t, ns, podNamed("other"), "Looked", 40)
	var out GetEventsOut
	s := serve(t, granted(t, getEvents.Rules...), mcpkit.AccessRead, nil)
	s.Call("k8s_get_events", map[string]any{"namespace": ns}).Into(t, &out)
	require.Equal(t, "55 occurrences, 11 of them warnings", out.Found)
	require.Equal(t, []string{"type", "object", "reason", "count", "first_seen", "last_seen", "message"}, out.Columns)
	require.Equal(t, [][]string{
		{"Warning", "Pod/web-7796678dff-cdhnz, web-7796678dff-w2x4z", "BackOff", "10", "70m", "5m", "Back-off restarting failed container app"},
		{"Warning", "Pod/other", "Failed", "1", "80m", "20m", `secret "db" not found`},
		{"Normal", "Pod/web-7796678dff-cdhnz", "Pulled", "4", "61m", "60s", "image present"},
		{"Normal", "Pod/other", "Looked", "40", "3h", "2m", "seen"},
	}, rounded(out.Rows))
	require.False(t, out.Truncated)

	s.Call("k8s_get_events", map[string]any{"namespace": ns, "since": "7m", "limit": 2}).Into(t, &out)
	require.Regexp(t, `^47 occurrences since .*, 3 of them warnings$`, out.Found)
	require.Len(t, out.Rows, 2)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "2 of 3 groups")
}

// rounded drops the seconds that pass while a test runs.
func rounded(rows [][]string) [][]string {
	for _, row := range rows {
		for _, i := range []int{4, 5} {
			if m, _, ok := strings.Cut(row[i], "m"); ok {
				row[i] = m + "m"
			}
			if d, err := time.ParseDuration(row[i]); err == nil && d >= time.Minute && d < 2*time.Minute {
				row[i] = "60s"
			}
		}
	}
	return rows
}

func TestGetEventsOfOneObject(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `
{apiVersion: v1, kind: Pod, metadata: {name: nowhere}, spec: {nodeSelector: {disk: fast}, containers: [{name: app, image: "toolcrib.test/busybox:1"}]}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: nowhere}}`)
	var out GetEventsOut
	within(t, "the scheduler's event", func() bool {
		s.Call("k8s_get_events", map[string]any{"resource_type": "po", "resource_name": "nowhere", "namespace": ns}).Into(t, &out)
		return len(out.Rows) > 0
	})
	require.Equal(t, []string{"Warning", "Pod/nowhere", "FailedScheduling", "1"}, out.Rows[0][:4])
	require.Contains(t, out.Rows[0][6], "didn't match Pod's node affinity/selector")

	s.Call("k8s_get_events", map[string]any{"resource_type": "cm", "resource_name": "nowhere", "namespace": ns}).Into(t, &out)
	require.Equal(t, `no events of configmaps "nowhere" in namespace "`+ns+`"; the cluster forgets events after an hour or so`, out.Found)
	require.Empty(t, out.Rows)
}

func TestGetEventsOfAClusterWideObject(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	_, err := testClients(t).typed.CoreV1().Events("default").Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: ns},
		InvolvedObject: corev1.ObjectReference{Kind: "Node", Name: ns}, Type: "Warning", Reason: "Rebooted", Message: "again",
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	var out GetEventsOut
	reading(t).Call("k8s_get_events", map[string]any{"resource_type": "node", "resource_name": ns}).Into(t, &out)
	require.Len(t, out.Rows, 1)
	require.Equal(t, []string{"Warning", "Node/" + ns, "Rebooted", "1"}, out.Rows[0][:4])
}

func TestGetEventsRefusals(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	runPod(t, ns, "talker", "true")
	for text, args := range map[string]map[string]any{
		`not_found: no pods "talkr" in namespace "` + ns + `"; the nearest names are talker`: {"resource_type": "pods", "resource_name": "talkr", "namespace": ns},
		`not_found: no namespaces "` + ns + `x"; the nearest names are ` + ns:                {"namespace": ns + "x"},
		`invalid: resource_type and resource_name name one object together`:                  {"resource_type": "pods"},
		`not_found: the cluster has no resource type "pds"`:                                  {"resource_type": "pds", "resource_name": "x"},
		`invalid: "soon" is not a time`:                                                      {"since": "soon"},
	} {
		a := s.Call("k8s_get_events", args)
		require.True(t, a.IsError, args)
		require.Contains(t, a.Text, text)
	}
	denied := serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil)
	a := denied.Call("k8s_get_events", map[string]any{"namespace": ns})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: ")
	require.Contains(t, a.Text, "events is forbidden")
}

func TestEventTallyIsBounded(t *testing.T) {
	tally := &eventTally{now: time.Now(), groups: map[eventKey]*eventGroup{}}
	for i := range 3 * eventGroups {
		severity := "Normal"
		if i == 0 {
			severity = "Warning"
		}
		reason := strings.Repeat("x", i%97) + strings.Repeat("y", i/97)
		tally.add(&corev1.Event{Type: severity, Reason: reason, InvolvedObject: podNamed("web")})
	}
	require.LessOrEqual(t, len(tally.groups), 2*eventGroups)
	require.Equal(t, "Warning", tally.ranked()[0].severity)
	require.EqualValues(t, 3*eventGroups, tally.total)
	out := tally.answer(eventQuery{})
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "rows: 30 of 6000 groups shown")
}

func FuzzGist(f *testing.F) {
	f.Add(`Created pod: web-7796678dff-cdhnz`, "web")
	f.Add("\xff(", "a.b[")
	f.Add("0", "\x80")
	f.Fuzz(func(t *testing.T, message, name string) {
		require.LessOrEqual(t, len(gist(message, name)), 2*len(message)+1)
	})
}
