// Package approval deletes Approvals once they have been over for as long as an
// operator keeps them. It refuses to delete one that has not expired, whatever
// was decided: until then it may be used, or hold back the next one.
package approval

import (
	"context"
	"fmt"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// Rules are what it takes: no right to change an approval, least of all to
// decide.
var Rules = []rbacv1.PolicyRule{
	{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"approvals"}, Verbs: []string{"get", "list", "watch", "delete"}},
}

// Reconciler deletes Approvals.
type Reconciler struct {
	Client    client.Client
	Clock     clock.PassiveClock
	Retention time.Duration // from expiry to deletion
}

// Setup has the manager delete Approvals a retention after they have expired.
func Setup(m manager.Manager, retention time.Duration) error {
	return ctrl.NewControllerManagedBy(m).
		For(&v1alpha1.Approval{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(&Reconciler{Client: m.GetClient(), Clock: clock.RealClock{}, Retention: retention})
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var a v1alpha1.Approval
	if err := r.Client.Get(ctx, request.NamespacedName, &a); err != nil || !a.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if wait := a.Spec.ExpiresAt.Add(r.Retention).Sub(r.Clock.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	err := r.Client.Delete(ctx, &a, client.Preconditions{UID: &a.UID})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return ctrl.Result{}, fmt.Errorf("delete Approval %s: %w", request, err)
	}
	return ctrl.Result{}, nil
}
