package monitoring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// notified returns the newest notification of a receiver about an alert.
func notified(t *testing.T, receiver, alert, status string) (n Notification, ok bool) {
	t.Helper()
	sent, err := stack.Notifications(t.Context())
	require.NoError(t, err)
	for _, s := range sent {
		about := func(a Alert) bool { return a.Status == status && a.Labels["alertname"] == alert }
		if s.Receiver == receiver && slices.ContainsFunc(s.Message.Alerts, about) {
			n, ok = s, true
		}
	}
	return n, ok
}

func awaitNotification(t *testing.T, receiver, alert, status string) (n Notification) {
	t.Helper()
	within(t, func() string {
		var ok bool
		if n, ok = notified(t, receiver, alert, status); ok {
			return ""
		}
		return fmt.Sprintf("%s was not told that %s is %s", receiver, alert, status)
	})
	return n
}

func state(t *testing.T, alert string) string {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, State, Health string }
			}
		}
	}
	require.NoError(t, stack.Get(t.Context(), stack.Prometheus+"/api/v1/rules", &answer))
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			if r.Name == alert {
				return strings.TrimSpace(r.State + " " + r.Health)
			}
		}
	}
	return ""
}

func TestAlertFiresAndResolves(t *testing.T) {
	require.NoError(t, stack.Set(t.Context(), "testbed_queue_length", 500, "queue", "orders"))
	fired := awaitNotification(t, "shop-orders", "QueueFull", "firing")
	require.Equal(t, "Queue orders holds 500 entries", fired.Message.Alerts[0].Annotations["summary"])
	require.Equal(t, map[string]string{"alertname": "QueueFull", "queue": "orders"}, fired.Message.GroupLabels)
	require.Equal(t, "Bearer webhook-token-s3cret", fired.Authorization)

	require.NoError(t, stack.Set(t.Context(), "testbed_queue_length", 0, "queue", "orders"))
	resolved := awaitNotification(t, "shop-orders", "QueueFull", "resolved")
	require.True(t, resolved.Time.After(fired.Time))
	becomes(t, `sum_over_time(count(ALERTS{alertname="QueueWasFull", alertstate="firing", queue="orders"} unless on (queue) (testbed_queue_length > 100))[5m:1s]) > bool 2`, 1, 0) // it keeps firing for a while
	within(t, func() string {
		if s := state(t, "QueueWasFull"); s != "inactive ok" {
			return s
		}
		return ""
	})
}

func TestMutedQueuesTellNobody(t *testing.T) {
	for _, queue := range []string{"mail", "billing", "parcels"} {
		require.NoError(t, stack.Set(t.Context(), "testbed_queue_length", 500, "queue", queue))
		defer stack.Set(t.Context(), "testbed_queue_length", 0, "queue", queue)
	}
	awaitNotification(t, "shop", "QueueFull", "firing") // about parcels
	for queue, interval := range map[string]string{"mail": "always", "billing": "never"} {
		within(t, func() string {
			for _, a := range alerts(t) {
				if a.Labels["alertname"] == "QueueFull" && a.Labels["queue"] == queue && a.Status.State == "suppressed" && slices.Equal(a.Status.MutedBy, []string{interval}) {
					return ""
				}
			}
			return queue + " is not muted"
		})
		_, told := notified(t, "shop-"+queue, "QueueFull", "firing")
		require.False(t, told, queue)
	}
}

// managed is an alert as Alertmanager has it.
type managed struct {
	Labels map[string]string
	Status struct {
		State                string
		InhibitedBy, MutedBy []string
	}
}

// alerts are those of all groups: only there it is told that time mutes one.
func alerts(t *testing.T) (all []managed) {
	t.Helper()
	var groups []struct{ Alerts []managed }
	require.NoError(t, stack.Get(t.Context(), stack.Alertmanager+"/api/v2/alerts/groups", &groups))
	for _, g := range groups {
		all = append(all, g.Alerts...)
	}
	return all
}

func TestStandingAlerts(t *testing.T) {
	require.Contains(t, awaitNotification(t, "pager", "CoreDown", "firing").Authorization, "Basic ")
	awaitNotification(t, "core", "CoreDown", "firing") // continue
	within(t, func() string {
		for _, a := range alerts(t) {
			if a.Labels["alertname"] == "CoreSlow" && a.Status.State == "suppressed" && len(a.Status.InhibitedBy) == 1 {
				return ""
			}
		}
		return "CoreSlow is not inhibited"
	})
	for rule, want := range map[string]string{"PendingForLong": "pending ok", "TargetDown": "pending ok", "broken:never": "err"} {
		within(t, func() string {
			if is := state(t, rule); is != want {
				return fmt.Sprintf("%s is %s, not %s", rule, is, want)
			}
			return ""
		})
	}
}

func TestAlertmanagerConfig(t *testing.T) {
	config := "{route: {receiver: own, group_wait: 0s}, receivers: [{name: own, webhook_configs: [{url: '${SINK}/own'}]}]}"
	require.NoError(t, stack.SetAlertmanagerConfig(t.Context(), config))
	awaitNotification(t, "own", "CoreDown", "firing")
	require.ErrorContains(t, stack.SetAlertmanagerConfig(t.Context(), "route: {receiver: none}"), "undefined receiver")
	require.NoError(t, stack.SetAlertmanagerConfig(t.Context(), ""))
}
