// Package agentrun ends AgentRuns that nobody will work on, and deletes those
// that have been over for as long as they are to be kept. It refuses to touch a
// run that an agent works on: what becomes of that is the agent's to say.
package agentrun

import (
	"context"
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/index"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

const (
	// defaultTTL is for how long a run is kept that does not say.
	defaultTTL = 7 * 24 * time.Hour
	// grace is for how long a run waits for an Agent that is not there, or does
	// not serve, and for how long the claim of a vanished agent counts.
	grace = 10 * time.Minute
)

// Rules are what it takes.
var Rules = []rbacv1.PolicyRule{
	{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"agentruns"}, Verbs: []string{"get", "list", "watch", "delete"}},
	{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"agentruns/status"}, Verbs: []string{"patch"}},
	{APIGroups: []string{"kagent.dev"}, Resources: []string{"agents"}, Verbs: []string{"get", "list", "watch"}},
}

// Reconciler ends and deletes AgentRuns.
type Reconciler struct {
	Client client.Client
	Fresh  client.Reader // past the cache, which keeps no events of runs
	Clock  clock.PassiveClock
}

// Setup has the manager end and delete AgentRuns.
func Setup(m manager.Manager) error {
	r := &Reconciler{Client: m.GetClient(), Fresh: m.GetAPIReader(), Clock: clock.RealClock{}}
	return ctrl.NewControllerManagedBy(m).
		For(&v1alpha1.AgentRun{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: matters})).
		Watches(&kagent.Agent{}, handler.EnqueueRequestsFromMapFunc(r.fromAgent)).
		Complete(r)
}

// matters leaves out the steps of a run, which say nothing about its end.
func matters(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*v1alpha1.AgentRun), e.ObjectNew.(*v1alpha1.AgentRun)
	return before.Generation != after.Generation || before.Status.Phase != after.Status.Phase ||
		(before.Status.Claim == nil) != (after.Status.Claim == nil)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var run v1alpha1.AgentRun
	if err := r.Client.Get(ctx, request.NamespacedName, &run); err != nil || !run.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if run.Status.Phase.Final() {
		return r.expire(ctx, &run)
	}
	return r.orphaned(ctx, &run)
}

// fromAgent are the runs of an agent that are not over.
func (r *Reconciler) fromAgent(ctx context.Context, agent client.Object) []ctrl.Request {
	var list v1alpha1.AgentRunList
	if err := r.Client.List(ctx, &list, client.InNamespace(agent.GetNamespace()), client.MatchingFields{index.RunAgent: agent.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list the runs of an Agent")
		return nil
	}
	var out []ctrl.Request
	for _, run := range list.Items {
		if !run.Status.Phase.Final() {
			out = append(out, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&run)})
		}
	}
	return out
}
