package agentrun

import (
	"context"
	"fmt"
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/outcome"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mostMessage is what the API server admits in a run's message, in characters.
const mostMessage = 1024

// orphaned ends a run that nobody works on once it has waited long enough for
// an agent to do so.
func (r *Reconciler) orphaned(ctx context.Context, run *v1alpha1.AgentRun) (ctrl.Result, error) {
	why, since, err := r.unserved(ctx, run)
	if err != nil || why == "" {
		return ctrl.Result{}, err
	}
	end := since.Add(grace)
	if wait := end.Sub(r.Clock.Now()); wait > 0 {
		if err := r.tell(ctx, run, fmt.Sprintf("waits until %s: %s", end.UTC().Format(time.RFC3339), why)); err != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return ctrl.Result{}, r.fail(ctx, run, why)
}

// unserved is why nobody will work on the run, and since when that is so; empty
// if somebody does or may.
func (r *Reconciler) unserved(ctx context.Context, run *v1alpha1.AgentRun) (why string, since time.Time, err error) {
	var agent kagent.Agent
	err = r.Client.Get(ctx, client.ObjectKey{Namespace: run.Namespace, Name: run.Spec.Agent}, &agent)
	since = run.CreationTimestamp.Time
	switch {
	case apierrors.IsNotFound(err) && run.Status.Claim != nil:
		return fmt.Sprintf("Agent %q was deleted while it worked on this run; what it did is in status.events", run.Spec.Agent), run.Status.Claim.RenewedAt.Time, nil
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("there is no Agent %q in namespace %q; kubectl get agents lists those that can be asked", run.Spec.Agent, run.Namespace), since, nil
	case err != nil:
		return "", since, fmt.Errorf("read Agent %s/%s: %w", run.Namespace, run.Spec.Agent, err)
	case run.Status.Claim != nil:
		return "", since, nil
	}
	c := meta.FindStatusCondition(agent.Status.Conditions, outcome.Ready)
	if c == nil { // an Agent that is not accepted any more may still serve an earlier revision, which Ready says
		c = meta.FindStatusCondition(agent.Status.Conditions, outcome.Accepted)
	}
	if c == nil || c.Status != metav1.ConditionFalse {
		return "", since, nil
	}
	if c.LastTransitionTime.After(since) {
		since = c.LastTransitionTime.Time
	}
	return fmt.Sprintf("Agent %q does not serve (%s): %s", run.Spec.Agent, c.Reason, c.Message), since, nil
}

// tell has the run say what it waits for, unless somebody has taken it up since:
// what it says then is theirs.
func (r *Reconciler) tell(ctx context.Context, run *v1alpha1.AgentRun, what string) error {
	if what = clip(what); run.Status.Claim != nil || run.Status.Message == what {
		return nil
	}
	before := run.DeepCopy()
	run.Status.Message = what
	err := r.Client.Status().Patch(ctx, run, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("tell what AgentRun %s/%s waits for: %w", run.Namespace, run.Name, err)
	}
	return nil
}

// fail ends the run with the version that was looked at, so that an agent that
// claims it meanwhile keeps it.
func (r *Reconciler) fail(ctx context.Context, seen *v1alpha1.AgentRun, why string) error {
	var run v1alpha1.AgentRun
	if err := r.Fresh.Get(ctx, client.ObjectKeyFromObject(seen), &run); err != nil {
		return client.IgnoreNotFound(err)
	}
	run.ResourceVersion = seen.ResourceVersion
	before, now := run.DeepCopy(), r.Clock.Now().UTC()
	run.Status.Phase, run.Status.Message = v1alpha1.RunFailed, clip(why)
	run.Status.FinishedAt = new(metav1.NewTime(now))
	run.Status.Events = append(run.Status.Events, v1alpha1.AgentRunEvent{
		Time: now.Format("2006-01-02T15:04:05.000Z07:00"), Type: v1alpha1.EventEnded,
		Phase: v1alpha1.RunFailed, Reason: clip(why), Text: "There is no answer: " + clip(why) + ".",
	})
	err := r.Client.Status().Patch(ctx, &run, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("end AgentRun %s/%s: %w", run.Namespace, run.Name, err)
	}
	return nil
}

func clip(text string) string {
	if r := []rune(text); len(r) > mostMessage {
		return string(r[:mostMessage-1]) + "…"
	}
	return text
}
