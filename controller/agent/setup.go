package agent

import (
	"context"
	"slices"
	"strings"
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/identity"
	"github.com/toolcrib/toolcrib/controller/index"
	"github.com/toolcrib/toolcrib/controller/labels"
	"github.com/toolcrib/toolcrib/controller/outcome"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// The ClusterRoles that agents' ServiceAccounts are bound to.
const (
	// Role is for an agent's work in its own namespace.
	Role = "toolcrib-agent"
	// ReviewsRole is for asking the API server who somebody is and what they
	// may.
	ReviewsRole = "toolcrib-agent-reviews"
)

// resync is when an Agent is looked at again though nothing has changed that is
// watched: grants are not.
const resync = 5 * time.Minute

// Options say how agents are run.
type Options struct {
	Image       string
	PullPolicy  string
	PullSecrets []string
	Prices      string                           // YAML; none if empty
	Gateways    map[string]string                // URLs by the provider that is reached there
	Namespaces  []string                         // that are watched; all if empty
	Monitoring  []networkingv1.NetworkPolicyPeer // that may read agents' metrics; nobody if empty
	Identity    *identity.Identity
	Clock       clock.PassiveClock
}

// Rules are what it takes. The controller can bind the two ClusterRoles and no
// other.
var Rules = []rbacv1.PolicyRule{
	{APIGroups: []string{"kagent.dev"}, Resources: []string{"agents"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"kagent.dev"}, Resources: []string{"agents/status"}, Verbs: []string{"patch"}},
	{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"agentpolicies"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create", "delete"}},
	{APIGroups: []string{""}, Resources: []string{"services", "serviceaccounts"}, Verbs: []string{"get", "list", "watch", "create", "update"}},
	{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
	{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list", "watch", "create", "update"}},
	{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"list", "watch"}},
	{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"get", "list", "watch", "create", "update"}},
	{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}},
	{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"rolebindings"}, Verbs: []string{"get", "list", "watch", "create", "update"}},
	{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"clusterrolebindings"}, Verbs: []string{"get", "list", "watch", "create", "update", "delete"}},
	{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"clusterroles"}, ResourceNames: []string{Role, ReviewsRole}, Verbs: []string{"bind"}},
	{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
}

// Setup has the manager reconcile Agents.
func Setup(m manager.Manager, o Options) error {
	r := &Reconciler{
		Client: m.GetClient(), fresh: m.GetAPIReader(), options: o, grants: newGrants(m.GetClient(), o.Clock),
		status: outcome.Writer{Client: m.GetClient(), Events: m.GetEventRecorder("toolcrib-controller"), ToldBy: map[string]string{outcome.Ready: RolledOut}, Exact: true},
	}
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{})
	b := ctrl.NewControllerManagedBy(m).
		For(&kagent.Agent{}, builder.WithPredicates(changed)).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Owns(&rbacv1.RoleBinding{}).
		Watches(&appsv1.ReplicaSet{}, handler.EnqueueRequestsFromMapFunc(ofLabels)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(ofLabels)).
		Watches(&rbacv1.ClusterRoleBinding{}, handler.EnqueueRequestsFromMapFunc(r.ofClusterRoleBinding)).
		Watches(&kagent.Agent{}, handler.EnqueueRequestsFromMapFunc(r.referring(index.Agent)), builder.WithPredicates(changed)).
		Watches(&kagent.ModelConfig{}, handler.EnqueueRequestsFromMapFunc(r.referring(index.ModelConfig))).
		Watches(&kagent.RemoteMCPServer{}, handler.EnqueueRequestsFromMapFunc(r.referring(index.RemoteMCPServer))).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.ofConfigMap)).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.all), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&v1alpha1.AgentPolicy{}, handler.EnqueueRequestsFromMapFunc(r.ofNamespace), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(r.all))
	return b.Complete(r)
}

// ofLabels is the Agent that the object was made for.
func ofLabels(_ context.Context, o client.Object) []reconcile.Request {
	name := o.GetLabels()[labels.Agent]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: o.GetNamespace(), Name: name}}}
}

// ofClusterRoleBinding is the Agent that the binding was made for, if its
// namespace is one of ours to look after.
func (r *Reconciler) ofClusterRoleBinding(_ context.Context, o client.Object) []reconcile.Request {
	namespace, name, ok := strings.Cut(strings.TrimPrefix(o.GetName(), bindingPrefix), ":")
	if !ok || !strings.HasPrefix(o.GetName(), bindingPrefix) {
		return nil
	}
	if len(r.options.Namespaces) > 0 && !slices.Contains(r.options.Namespaces, namespace) {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}}
}

// ofConfigMap are the Agents that take from the ConfigMap, and the one that it
// was made for.
func (r *Reconciler) ofConfigMap(ctx context.Context, o client.Object) []reconcile.Request {
	requests := append(ofLabels(ctx, o), r.referring(index.ConfigMap)(ctx, o)...)
	var servers kagent.RemoteMCPServerList
	if err := r.List(ctx, &servers, client.MatchingFields{index.ConfigMap: index.Key(o.GetNamespace(), o.GetName())}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list the tool servers that take headers from a ConfigMap")
	}
	for _, s := range servers.Items {
		requests = append(requests, r.referring(index.RemoteMCPServer)(ctx, &s)...)
	}
	return requests
}

// referring are the Agents that refer to the object, by an index.
func (r *Reconciler) referring(by string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return r.found(ctx, client.MatchingFields{by: index.Key(o.GetNamespace(), o.GetName())})
	}
}

func (r *Reconciler) ofNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return r.found(ctx, client.InNamespace(o.GetNamespace()))
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.found(ctx)
}

func (r *Reconciler) found(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var agents kagent.AgentList
	if err := r.List(ctx, &agents, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list the agents that a change concerns")
		return nil
	}
	var requests []reconcile.Request
	for _, a := range agents.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&a)})
	}
	return requests
}
