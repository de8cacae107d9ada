// Package modelconfig says of each ModelConfig whether agents can use it. It
// refuses to ask the provider: a key is only tried by the agent that has it.
package modelconfig

import (
	"context"
	"errors"
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/outcome"
	rbacv1 "k8s.io/api/rbac/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// resync is when a ModelConfig is looked at again, because Secrets are not
// watched.
const resync = 5 * time.Minute

// Rules are what it takes. Secrets are not among them: whoever wants them
// checked gives the controller a Role in the namespace.
var Rules = []rbacv1.PolicyRule{
	{APIGroups: []string{"kagent.dev"}, Resources: []string{"modelconfigs"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"kagent.dev"}, Resources: []string{"modelconfigs/status"}, Verbs: []string{"patch"}},
}

// Reconciler reconciles ModelConfigs.
type Reconciler struct {
	client.Client
	status outcome.Writer
}

// Setup has the manager reconcile ModelConfigs.
func Setup(m manager.Manager) error {
	return ctrl.NewControllerManagedBy(m).
		For(&kagent.ModelConfig{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(&Reconciler{Client: m.GetClient(), status: outcome.Writer{Client: m.GetClient(), Events: m.GetEventRecorder("toolcrib-controller")}})
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, err error) {
	var m kagent.ModelConfig
	if err := r.Get(ctx, request.NamespacedName, &m); err != nil || !m.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before, spec := m.DeepCopy(), m.DeepCopy()
	defer func() {
		err = errors.Join(err, r.status.Write(ctx, before, &m, before.Status.Conditions, m.Status.Conditions))
	}()

	err = served(spec)
	note := ""
	if err == nil {
		note, m.Status.SecretHash, err = r.keys(ctx, spec)
	}
	report(&m, spec, note, err)
	return outcome.Result(err, resync)
}
