package controller_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller"
	"github.com/toolcrib/toolcrib/controller/agentrun"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// own is a client that is the controller, past any cache.
func own(t *testing.T) client.WithWatch {
	t.Helper()
	config := rest.CopyConfig(account)
	config.QPS = -1 // as in the controller
	c, err := client.NewWithWatch(config, client.Options{Scheme: controller.Scheme()})
	require.NoError(t, err)
	return c
}

// asked makes a run of the agent.
func asked(t *testing.T, namespace, agent string, ttl *int32) *v1alpha1.AgentRun {
	t.Helper()
	run := &v1alpha1.AgentRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "ask-"},
		Spec:       v1alpha1.AgentRunSpec{Agent: agent, Prompt: "Why?", TTLSecondsAfterFinished: ttl},
	}
	require.NoError(t, admin.Create(limit(t), run))
	return run
}

// becameOf writes the run's status, as its agent does. The controller may have
// written that it waits.
func becameOf(t *testing.T, run *v1alpha1.AgentRun, status v1alpha1.AgentRunStatus) {
	t.Helper()
	before := run.DeepCopy()
	run.Status = status
	require.NoError(t, admin.Status().Patch(limit(t), run, client.MergeFrom(before)))
}

// looksAt reconciles the object at that time.
func looksAt(t *testing.T, r interface {
	Reconcile(context.Context, ctrl.Request) (ctrl.Result, error)
}, o client.Object) ctrl.Result {
	t.Helper()
	result, err := r.Reconcile(limit(t), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(o)})
	require.NoError(t, err)
	return result
}

func gone(t *testing.T, o client.Object) bool {
	t.Helper()
	err := admin.Get(limit(t), client.ObjectKeyFromObject(o), o)
	require.NoError(t, client.IgnoreNotFound(err))
	return apierrors.IsNotFound(err)
}

func TestARunIsKeptForItsTime(t *testing.T) {
	t.Parallel()
	ns, now := namespace(t, nil), time.Now().Truncate(time.Second)
	clock := clocktesting.NewFakePassiveClock(now)
	r := &agentrun.Reconciler{Client: own(t), Fresh: own(t), Clock: clock}
	for ttl, kept := range map[*int32]time.Duration{nil: 7 * 24 * time.Hour, new(int32(3600)): time.Hour} {
		for _, phase := range []v1alpha1.RunPhase{v1alpha1.RunCompleted, v1alpha1.RunStopped, v1alpha1.RunFailed, v1alpha1.RunCancelled} {
			clock.SetTime(now)
			run := asked(t, ns, "never-was", ttl)
			becameOf(t, run, v1alpha1.AgentRunStatus{Phase: phase, FinishedAt: new(metav1.NewTime(now))})
			require.Equal(t, kept, looksAt(t, r, run).RequeueAfter)
			clock.SetTime(now.Add(kept - time.Second))
			require.Equal(t, time.Second, looksAt(t, r, run).RequeueAfter)
			require.False(t, gone(t, run))
			clock.SetTime(now.Add(kept))
			require.Zero(t, looksAt(t, r, run))
			require.True(t, gone(t, run))
		}
	}
}

func TestTheControllerDeletesWhatIsOver(t *testing.T) {
	t.Parallel()
	run := asked(t, namespace(t, nil), "never-was", new(int32(0)))
	becameOf(t, run, v1alpha1.AgentRunStatus{Phase: v1alpha1.RunCompleted, FinishedAt: new(metav1.Now())})
	until(t, func() error {
		if !gone(t, run) {
			return fmt.Errorf("%s is still there", run.Name)
		}
		return nil
	})
}

func TestARunWithoutAnAgentFails(t *testing.T) {
	t.Parallel()
	ns := namespace(t, nil)
	run := asked(t, ns, "never-was", nil)
	clock := clocktesting.NewFakePassiveClock(run.CreationTimestamp.Add(time.Minute))
	r := &agentrun.Reconciler{Client: own(t), Fresh: own(t), Clock: clock}
	why := fmt.Sprintf(`there is no Agent "never-was" in namespace %q; kubectl get agents lists those that can be asked`, ns)
	require.Equal(t, 9*time.Minute, looksAt(t, r, run).RequeueAfter)
	require.False(t, gone(t, run))
	require.Equal(t, v1alpha1.RunPending, run.Status.Phase)
	require.Equal(t, "waits until "+run.CreationTimestamp.Add(10*time.Minute).UTC().Format(time.RFC3339)+": "+why, run.Status.Message)
	told := run.ResourceVersion
	looksAt(t, r, run)
	require.False(t, gone(t, run))
	require.Equal(t, told, run.ResourceVersion, "what it says already is not written again")
	clock.SetTime(run.CreationTimestamp.Add(10 * time.Minute))
	require.Zero(t, looksAt(t, r, run))
	require.False(t, gone(t, run))
	require.Equal(t, v1alpha1.RunFailed, run.Status.Phase)
	require.Equal(t, why, run.Status.Message)
	require.Equal(t, clock.Now().Unix(), run.Status.FinishedAt.Unix())
	require.Len(t, run.Status.Events, 1)
	require.Equal(t, v1alpha1.EventEnded, run.Status.Events[0].Type)
	require.Equal(t, v1alpha1.RunFailed, run.Status.Events[0].Phase)
	require.Equal(t, why, run.Status.Events[0].Reason)
}

func TestARunOfAnAgentThatDoesNotServeFails(t *testing.T) {
	t.Parallel()
	ns := namespace(t, nil)
	apply(t, ns, "{apiVersion: kagent.dev/v1alpha2, kind: Agent, metadata: {name: lame}, spec: {type: Declarative, declarative: {modelConfig: none, systemMessage: Help.}}}")
	becomes(t, agentOf(ns, "lame"), "Accepted", metav1.ConditionFalse, "ModelConfigNotFound")
	run := asked(t, ns, "lame", nil)
	clock := clocktesting.NewFakePassiveClock(run.CreationTimestamp.Add(9 * time.Minute))
	r := &agentrun.Reconciler{Client: own(t), Fresh: own(t), Clock: clock}
	require.Equal(t, time.Minute, looksAt(t, r, run).RequeueAfter)
	clock.SetTime(run.CreationTimestamp.Add(11 * time.Minute))
	require.Zero(t, looksAt(t, r, run))
	require.False(t, gone(t, run))
	require.Equal(t, v1alpha1.RunFailed, run.Status.Phase)
	require.Contains(t, run.Status.Message, `Agent "lame" does not serve`)
	require.Contains(t, run.Status.Message, `"none"`)
}

func TestARunOfAnAgentThatServesAnEarlierRevisionWaits(t *testing.T) {
	t.Parallel()
	run := asked(t, namespace(t, nil), "edited", nil)
	c := interceptor.NewClient(own(t), interceptor.Funcs{Get: func(ctx context.Context, w client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
		agent, isAgent := o.(*kagent.Agent)
		if !isAgent {
			return w.Get(ctx, key, o, options...)
		}
		agent.Status.Conditions = []metav1.Condition{{Type: "Accepted", Status: metav1.ConditionFalse}, {Type: "Ready", Status: metav1.ConditionTrue}}
		return nil
	}})
	r := &agentrun.Reconciler{Client: c, Fresh: own(t), Clock: clocktesting.NewFakePassiveClock(run.CreationTimestamp.Add(time.Hour))}
	require.Zero(t, looksAt(t, r, run))
	require.False(t, gone(t, run))
	require.Equal(t, v1alpha1.RunPending, run.Status.Phase)
}

func TestARunThatSomebodyWorksOnIsLetBe(t *testing.T) {
	t.Parallel()
	ns := namespace(t, nil)
	claim := func(at time.Time) *v1alpha1.RunClaim {
		return &v1alpha1.RunClaim{Holder: "pod-1", RenewedAt: metav1.NewMicroTime(at)}
	}
	run := asked(t, ns, "never-was", nil)
	later := run.CreationTimestamp.Add(time.Hour)
	clock := clocktesting.NewFakePassiveClock(later)
	becameOf(t, run, v1alpha1.AgentRunStatus{
		Phase: v1alpha1.RunRunning, Claim: claim(later.Add(-time.Minute)),
		Events: []v1alpha1.AgentRunEvent{{Time: "2026-11-21T19:00:00.000Z", Type: v1alpha1.EventAsked, Text: "Why?"}},
	})
	r := &agentrun.Reconciler{Client: own(t), Fresh: own(t), Clock: clock}
	require.Equal(t, 9*time.Minute, looksAt(t, r, run).RequeueAfter)
	clock.SetTime(later.Add(9 * time.Minute))
	require.Zero(t, looksAt(t, r, run))
	require.False(t, gone(t, run))
	require.Equal(t, v1alpha1.RunFailed, run.Status.Phase)
	require.Contains(t, run.Status.Message, `Agent "never-was" was deleted while it worked on this run`)
	require.Len(t, run.Status.Events, 2)
	require.Equal(t, "Why?", run.Status.Events[0].Text)

	claimed := asked(t, ns, "never-was", nil)
	c := interceptor.NewClient(own(t), interceptor.Funcs{Get: func(ctx context.Context, w client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
		err := w.Get(ctx, key, o, options...)
		if _, isRun := o.(*v1alpha1.AgentRun); isRun && claimed.Status.Claim == nil {
			becameOf(t, claimed, v1alpha1.AgentRunStatus{Phase: v1alpha1.RunRunning, Claim: claim(later)})
		}
		return err
	}})
	r = &agentrun.Reconciler{Client: c, Fresh: own(t), Clock: clock}
	_, err := r.Reconcile(limit(t), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(claimed)})
	require.True(t, apierrors.IsConflict(err), "%v", err)
	require.False(t, gone(t, claimed))
	require.Equal(t, v1alpha1.RunRunning, claimed.Status.Phase)
}
