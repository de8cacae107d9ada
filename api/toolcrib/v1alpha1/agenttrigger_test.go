package v1alpha1_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// trigger is one whose spec is given as JSON or in types.
func trigger(name string, spec any) map[string]any {
	return map[string]any{
		"apiVersion": "toolcrib.dev/v1alpha1", "kind": "AgentTrigger",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}
}

func TestTriggersSurviveAndReadWell(t *testing.T) {
	t.Parallel()
	alerts := v1alpha1.AgentTriggerSpec{
		Agent: "troubleshooter", Prompt: "Find the cause.", Alertmanager: &v1alpha1.TriggerAlertmanager{Resolved: true},
		Filter: `alert.labels.severity == "critical"`, Dedupe: []string{"alertname", "namespace"}, Cooldown: &metav1.Duration{Duration: 10 * time.Minute},
		MaxActive: 3, Suspend: true, TTLSecondsAfterFinished: new(int32(60)),
	}
	daily := v1alpha1.AgentTriggerSpec{Agent: "reporter", Prompt: "What happened?", Schedule: &v1alpha1.TriggerSchedule{Cron: "0 7 * * 1-5", TimeZone: "Europe/Berlin"}, MaxActive: 1}
	for name, spec := range map[string]v1alpha1.AgentTriggerSpec{"alerts": alerts, "daily": daily} {
		makes(t, trigger(name, spec))
	}
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local())
	status := v1alpha1.AgentTriggerStatus{
		ObservedGeneration: 1, LastRun: "alerts-1", LastRunAt: &at, NextRunAt: &at,
		Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Suspended", Message: "it rests", LastTransitionTime: at}},
		Counts:     v1alpha1.TriggerCounts{Received: 5, Filtered: 1, Deduplicated: 2, Cooled: 1, Started: 1},
		Recent:     []v1alpha1.TriggerRecent{{Key: "Down,shop", Run: "alerts-1", At: at}},
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	require.NoError(t, err)
	admin.does(t, "patch", "agenttrigger", "alerts", "--subresource=status", "--type=merge", "-p", string(patch))

	var list v1alpha1.AgentTriggerList
	require.NoError(t, json.Unmarshal([]byte(admin.does(t, "get", "agenttriggers", "-o", "json")), &list))
	require.Len(t, list.Items, 2)
	require.Equal(t, alerts, list.Items[0].Spec)
	require.Equal(t, status, list.Items[0].Status)
	require.Equal(t, daily, list.Items[1].Spec)
	require.Equal(t, "NAME    AGENT      SCHEDULE      SUSPEND   STARTED   LAST   READY   AGE\ndaily   reporter   0 7 * * 1-5                                      0s\n",
		still(admin.does(t, "get", "atr", "daily")))
	require.Regexp(t, `^NAME     AGENT            SCHEDULE   SUSPEND   STARTED   LAST +READY   AGE +NEXT +RUN +MESSAGE\n`+
		`alerts   troubleshooter              true      1         \S+ +False +\S+ +2026-01-02T03:04:05Z   alerts-1   it rests\n$`,
		admin.does(t, "get", "atr", "alerts", "-o", "wide"))
}

func TestATriggerIsWellFormed(t *testing.T) {
	t.Parallel()
	spec := func(rest string) string { return "{agent: a, prompt: b, " + rest + "}" }
	hold(t, v1alpha1.GroupVersion.String(), "AgentTrigger", []rule{
		{`{agent: a, prompt: b}`, "give exactly one of schedule and alertmanager", spec(`alertmanager: {}`)},
		{spec(`schedule: {cron: "@daily"}, alertmanager: {}`), "give exactly one of schedule and alertmanager", spec(`schedule: {cron: "@daily"}`)},
		{spec(`schedule: {cron: "@daily"}, filter: "true"`), "filter and dedupe are about alerts: a schedule has none", spec(`alertmanager: {}, filter: "true"`)},
		{spec(`schedule: {cron: "@daily"}, dedupe: [a]`), "filter and dedupe are about alerts: a schedule has none", spec(`alertmanager: {}, dedupe: [a]`)},
		{spec(`alertmanager: {}, dedupe: []`), "spec.dedupe in body should have at least 1 items", spec(`alertmanager: {}, dedupe: [a, b]`)},
		{spec(`schedule: {cron: "0 7 * *"}`), "give five fields, as in a CronJob, such as 0 7 * * 1-5, and the time zone in timeZone", spec(`schedule: {cron: "*/5 0-7 * jan mon"}`)},
		{spec(`schedule: {cron: "CRON_TZ=UTC 0 7 * * *"}`), "and the time zone in timeZone", spec(`schedule: {cron: "0 7 * * *", timeZone: UTC}`)},
		{spec(`schedule: {cron: "0 7 * * *", timeZone: Central European}`), "spec.schedule.timeZone: Invalid value", spec(`schedule: {cron: "0 7 * * *", timeZone: America/Argentina/Buenos_Aires}`)},
		{spec(`alertmanager: {}, cooldown: 169h`), "give at least 0s and at most 168h", spec(`alertmanager: {}, cooldown: 0s`)},
		{spec(`alertmanager: {}, maxActive: 0`), "spec.maxActive in body should be greater than or equal to 1", spec(`alertmanager: {}, maxActive: 100`)},
		{`{agent: a, alertmanager: {}}`, "spec.prompt: Required value", spec(`alertmanager: {resolved: true}`)},
	})
}
