// Package remotemcpserver finds out which tools each RemoteMCPServer has. It
// refuses to call any of them, and to wait for a server that does not answer
// longer than the server's own timeout.
package remotemcpserver

import (
	"context"
	"errors"
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/identity"
	"github.com/toolcrib/toolcrib/controller/index"
	"github.com/toolcrib/toolcrib/controller/outcome"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

const (
	// resync is when a server is asked again that answered.
	resync = 5 * time.Minute
	// workers is how many servers are asked at a time: most of the time that
	// takes is the servers'.
	workers = 32
)

// Rules are what it takes. Secrets are not among them: servers that want
// headers from Secrets have their tools discovered where a Role lets the
// controller read those.
var Rules = []rbacv1.PolicyRule{
	{APIGroups: []string{"kagent.dev"}, Resources: []string{"remotemcpservers"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"kagent.dev"}, Resources: []string{"remotemcpservers/status"}, Verbs: []string{"patch"}},
	{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}},
}

// Reconciler reconciles RemoteMCPServers.
type Reconciler struct {
	client.Client
	fresh    client.Reader // past the cache
	identity *identity.Identity
	patience patience
	status   outcome.Writer
}

// Setup has the manager reconcile RemoteMCPServers.
func Setup(m manager.Manager, self *identity.Identity) error {
	r := &Reconciler{Client: m.GetClient(), fresh: m.GetAPIReader(), identity: self, status: outcome.Writer{Client: m.GetClient(), Events: m.GetEventRecorder("toolcrib-controller")}}
	return ctrl.NewControllerManagedBy(m).
		For(&kagent.RemoteMCPServer{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.fromConfigMap)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, err error) {
	var s kagent.RemoteMCPServer
	if err := r.Get(ctx, request.NamespacedName, &s); err != nil || !s.DeletionTimestamp.IsZero() {
		r.patience.forget(request)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before, spec := s.DeepCopy(), s.DeepCopy()
	defer func() {
		err = errors.Join(err, r.status.Write(ctx, before, &s, before.Status.Conditions, s.Status.Conditions))
	}()

	err = normalise(spec)
	var way *way
	if err == nil {
		way, err = r.wayTo(ctx, spec)
	}
	var f *found
	if err == nil {
		f, err = discover(ctx, way)
	}
	report(&s, way, f, err)
	return outcome.Result(r.patience.with(request, err), resync)
}

// fromConfigMap are the servers that take headers from the ConfigMap.
func (r *Reconciler) fromConfigMap(ctx context.Context, o client.Object) []ctrl.Request {
	var list kagent.RemoteMCPServerList
	if err := r.List(ctx, &list, client.MatchingFields{index.ConfigMap: index.Key(o.GetNamespace(), o.GetName())}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list the tool servers that take headers from a ConfigMap")
		return nil
	}
	var out []ctrl.Request
	for _, s := range list.Items {
		out = append(out, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&s)})
	}
	return out
}
