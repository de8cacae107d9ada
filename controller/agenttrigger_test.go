package controller_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/agenttrigger"
	"github.com/toolcrib/toolcrib/controller/outcome"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// helper is an Agent that is there, which is all that a trigger asks for.
const helper = "{apiVersion: kagent.dev/v1alpha2, kind: Agent, metadata: {name: helper}, spec: {type: Declarative, declarative: {modelConfig: none, systemMessage: Help.}}}"

// triggerOf makes a trigger of the agent helper.
func triggerOf(t *testing.T, namespace, name string, spec v1alpha1.AgentTriggerSpec) *v1alpha1.AgentTrigger {
	t.Helper()
	spec.Agent, spec.Prompt = "helper", "What happened?"
	trigger := &v1alpha1.AgentTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec}
	require.NoError(t, admin.Create(limit(t), trigger))
	return trigger
}

// stands waits until the trigger's condition Ready has the reason, and returns
// its message.
func stands(t *testing.T, trigger *v1alpha1.AgentTrigger, reason string) string {
	t.Helper()
	var message string
	until(t, func() error {
		if err := admin.Get(limit(t), client.ObjectKeyFromObject(trigger), trigger); err != nil {
			return err
		}
		c := meta.FindStatusCondition(trigger.Status.Conditions, outcome.Ready)
		if c == nil || c.Reason != reason || c.ObservedGeneration != trigger.Generation || (c.Status == metav1.ConditionTrue) != (reason == "Waiting") {
			return fmt.Errorf("%s is to be %s: %+v", trigger.Name, reason, trigger.Status.Conditions)
		}
		message = c.Message
		return nil
	})
	return message
}

// begun are the runs of a namespace, by name.
func begun(t *testing.T, namespace string) map[string]v1alpha1.AgentRun {
	t.Helper()
	var list v1alpha1.AgentRunList
	require.NoError(t, admin.List(limit(t), &list, client.InNamespace(namespace)))
	out := map[string]v1alpha1.AgentRun{}
	for _, run := range list.Items {
		out[run.Name] = run
	}
	return out
}

// over ends a run.
func over(t *testing.T, run v1alpha1.AgentRun) {
	t.Helper()
	becameOf(t, &run, v1alpha1.AgentRunStatus{Phase: v1alpha1.RunCompleted, FinishedAt: new(metav1.Now())})
}

func TestATriggerSaysHowItStands(t *testing.T) {
	t.Parallel()
	ns := namespace(t, nil)
	trigger := triggerOf(t, ns, "alerts", v1alpha1.AgentTriggerSpec{Alertmanager: &v1alpha1.TriggerAlertmanager{}, Filter: `alert.label.severity == "critical"`, Suspend: true})
	require.Equal(t, fmt.Sprintf(`spec.filter: column 6: undefined field 'label'; spec.agent: there is no Agent "helper" in namespace %q; kubectl get agents lists those that can be asked; it rests, as spec.suspend says`, ns), stands(t, trigger, "InvalidFilter"))

	merge(t, trigger, `{"spec":{"filter":"alert.labels.severity == \"critical\"","suspend":false}}`)
	stands(t, trigger, "AgentNotFound")
	apply(t, ns, helper)
	require.Equal(t, fmt.Sprintf(`asks Agent "helper" about alerts that are posted to /alerts/%s/alerts`, ns), stands(t, trigger, "Waiting"))
	merge(t, trigger, `{"spec":{"suspend":true}}`)
	stands(t, trigger, "Suspended")

	for cron, message := range map[string]string{
		"0 25 * * *": "spec.schedule.cron: end of range (25) above maximum (23)",
		"0 0 30 2 *": "spec.schedule.cron: there is no such time in the next five years",
	} {
		never := triggerOf(t, ns, fmt.Sprintf("never-%d", len(message)), v1alpha1.AgentTriggerSpec{Schedule: &v1alpha1.TriggerSchedule{Cron: cron}, Cooldown: &metav1.Duration{Duration: time.Hour}})
		require.Contains(t, stands(t, never, "InvalidSchedule"), message)
		require.Equal(t, "admitted and not served: spec.cooldown; a schedule keeps its times", meta.FindStatusCondition(never.Status.Conditions, outcome.UnsupportedFeatures).Message)
		require.Nil(t, never.Status.NextRunAt)
	}
	require.Empty(t, begun(t, ns))
}

func TestASchedule(t *testing.T) {
	t.Parallel()
	ns := namespace(t, nil)
	apply(t, ns, helper)
	becomes(t, agentOf(ns, "helper"), "Accepted", metav1.ConditionFalse, "ModelConfigNotFound") // triggers are not looked at for it any more
	due := time.Now().UTC().Add(6 * time.Hour).Truncate(time.Minute)
	trigger := triggerOf(t, ns, "daily", v1alpha1.AgentTriggerSpec{
		Schedule: &v1alpha1.TriggerSchedule{Cron: due.Format("4 15 * * *")}, MaxActive: 1, TTLSecondsAfterFinished: new(int32(60 * 60 * 24 * 30)),
	})
	stands(t, trigger, "Waiting") // by the controller, whose time has not come
	require.Equal(t, due, trigger.Status.NextRunAt.UTC())

	clock := clocktesting.NewFakePassiveClock(due.Add(-time.Second))
	starts := func() *agenttrigger.Reconciler {
		return agenttrigger.New(outcome.Writer{Client: own(t), Events: events.NewFakeRecorder(100)}, own(t), clock)
	}
	r := starts()
	require.Equal(t, time.Second, looksAt(t, r, trigger).RequeueAfter)
	require.Empty(t, begun(t, ns))

	name := "daily-" + due.Format("20060102-1504")
	clock.SetTime(due.Add(time.Minute))
	for range 3 { // once, however often it is looked at, and by whomever
		require.Equal(t, 24*time.Hour-time.Minute, looksAt(t, r, trigger).RequeueAfter)
		r = starts()
	}
	runs := begun(t, ns)
	require.Len(t, runs, 1)
	require.Equal(t, v1alpha1.AgentRunSpec{
		Agent: "helper", Prompt: "What happened?", TTLSecondsAfterFinished: new(int32(60 * 60 * 24 * 30)),
		Trigger: &v1alpha1.RunTrigger{Kind: v1alpha1.TriggerAgentTrigger, Name: "daily", Key: due.Format(time.RFC3339)},
	}, runs[name].Spec)
	require.Empty(t, runs[name].OwnerReferences)
	stands(t, trigger, "Waiting")
	require.Equal(t, v1alpha1.TriggerCounts{Received: 1, Started: 1}, trigger.Status.Counts)
	require.Equal(t, name, trigger.Status.LastRun)
	require.Equal(t, due.Add(24*time.Hour), trigger.Status.NextRunAt.UTC())

	version := trigger.ResourceVersion
	for range 3 {
		looksAt(t, r, trigger)
	}
	stands(t, trigger, "Waiting")
	require.Equal(t, version, trigger.ResourceVersion, "what stands is not written again")

	clock.SetTime(due.Add(24*time.Hour + time.Minute)) // the run of yesterday is still active
	looksAt(t, r, trigger)
	require.Len(t, begun(t, ns), 1)
	over(t, runs[name])
	clock.SetTime(due.Add(3*24*time.Hour + 59*time.Minute)) // two days were missed, and the third is not over
	looksAt(t, r, trigger)
	runs = begun(t, ns)
	require.Len(t, runs, 2)
	require.Contains(t, runs, "daily-"+due.Add(3*24*time.Hour).Format("20060102-1504"))
	clock.SetTime(due.Add(4*24*time.Hour + 2*time.Hour)) // too late
	require.Equal(t, 22*time.Hour, looksAt(t, r, trigger).RequeueAfter)
	require.Len(t, begun(t, ns), 2)
	stands(t, trigger, "Waiting")
	require.Equal(t, v1alpha1.TriggerCounts{Received: 3, Cooled: 1, Started: 2}, trigger.Status.Counts)

	merge(t, trigger, `{"spec":{"suspend":true}}`)
	clock.SetTime(due.Add(5*24*time.Hour + time.Minute))
	require.Zero(t, looksAt(t, r, trigger))
	stands(t, trigger, "Suspended")
	require.Nil(t, trigger.Status.NextRunAt)
	require.Len(t, begun(t, ns), 2)
}
