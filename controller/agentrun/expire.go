package agentrun

import (
	"context"
	"fmt"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// expire deletes a run that has been over for its time. The version goes along,
// so that somebody who asks to keep it longer in the last moment is heard.
func (r *Reconciler) expire(ctx context.Context, run *v1alpha1.AgentRun) (ctrl.Result, error) {
	if wait := endOf(run).Add(ttl(run)).Sub(r.Clock.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	err := r.Client.Delete(ctx, run, client.Preconditions{UID: &run.UID, ResourceVersion: &run.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("delete AgentRun %s/%s: %w", run.Namespace, run.Name, err)
	}
	return ctrl.Result{}, nil
}

// endOf is when the run was over; for one that does not say, the last sign of
// life that it left.
func endOf(run *v1alpha1.AgentRun) time.Time {
	switch s := run.Status; {
	case s.FinishedAt != nil:
		return s.FinishedAt.Time
	case s.Claim != nil:
		return s.Claim.RenewedAt.Time
	}
	return run.CreationTimestamp.Time
}

func ttl(run *v1alpha1.AgentRun) time.Duration {
	if seconds := run.Spec.TTLSecondsAfterFinished; seconds != nil {
		return time.Duration(*seconds) * time.Second
	}
	return defaultTTL
}
