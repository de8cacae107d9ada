// Package agenttrigger asks agents when it is time, and when Alertmanager says
// that something is wrong. What is not worth a question is sorted out before any
// run is made. It refuses to put what an alert says into a question: that goes
// beside it, as data, because whoever writes labels must not be able to ask.
package agenttrigger

import (
	"context"
	"errors"
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/outcome"
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

// Rules are what it takes. The reviews are of those who send alerts.
var Rules = []rbacv1.PolicyRule{
	{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"agenttriggers"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"agenttriggers/status"}, Verbs: []string{"patch"}},
	{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"agentruns"}, Verbs: []string{"get", "list", "create"}},
	{APIGroups: []string{"kagent.dev"}, Resources: []string{"agents"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
	{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
}

// SenderRules are what it takes to send alerts to triggers.
var SenderRules = []rbacv1.PolicyRule{
	{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"agenttriggers/alerts"}, Verbs: []string{"create"}},
}

// Reconciler keeps the schedules of AgentTriggers and says how they stand.
type Reconciler struct {
	Client client.Client
	status outcome.Writer
	starter
	filters filters
}

// New is a Reconciler that reads past the cache with fresh.
func New(status outcome.Writer, fresh client.Reader, c clock.PassiveClock) *Reconciler {
	return &Reconciler{Client: status.Client, status: status, starter: starter{client: status.Client, fresh: fresh, clock: c}}
}

// Setup has the manager reconcile AgentTriggers, and every replica receive
// alerts, unless there is to be no address for them.
func Setup(m manager.Manager, o Options) error {
	status := outcome.Writer{Client: m.GetClient(), Events: m.GetEventRecorder("toolcrib-controller")}
	r := New(status, m.GetAPIReader(), clock.RealClock{})
	err := ctrl.NewControllerManagedBy(m).
		For(&v1alpha1.AgentTrigger{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&kagent.Agent{}, handler.EnqueueRequestsFromMapFunc(r.fromAgent), builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(event.UpdateEvent) bool { return false }, // that there is one is all that counts
		})).
		Complete(r)
	if err != nil || o.Address == "" || o.Address == "0" {
		return err
	}
	return m.Add(NewReceiver(m.GetClient(), m.GetAPIReader(), clock.RealClock{}, o))
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, err error) {
	var t v1alpha1.AgentTrigger
	if err := r.Client.Get(ctx, request.NamespacedName, &t); err != nil || !t.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := t.DeepCopy()
	defer func() {
		err = errors.Join(err, r.status.Write(ctx, before, &t, before.Status.Conditions, t.Status.Conditions))
	}()

	s, err := r.check(ctx, &t)
	var wait time.Duration
	if err == nil {
		wait, err = r.keepTime(ctx, &t, s)
	}
	report(&t, err)
	if wait > 0 && err == nil {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return outcome.Result(err, 0)
}

// fromAgent are the triggers that ask an agent.
func (r *Reconciler) fromAgent(ctx context.Context, agent client.Object) []ctrl.Request {
	var list v1alpha1.AgentTriggerList
	if err := r.Client.List(ctx, &list, client.InNamespace(agent.GetNamespace())); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list the triggers of an Agent")
		return nil
	}
	var out []ctrl.Request
	for _, t := range list.Items {
		if t.Spec.Agent == agent.GetName() {
			out = append(out, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&t)})
		}
	}
	return out
}
