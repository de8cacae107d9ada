package helm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// readObjects grants looking at the built-in types of which charts are usually
// made. This is the list to extend when a tool says it may not look at a kind of
// yours.
var readObjects = []mcpkit.Rule{
	look("", "configmaps", "endpoints", "limitranges", "namespaces", "persistentvolumeclaims", "persistentvolumes", "pods", "replicationcontrollers", "resourcequotas", "serviceaccounts", "services"),
	look("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations"),
	look("apiextensions.k8s.io", "customresourcedefinitions"),
	look("apiregistration.k8s.io", "apiservices"),
	look("apps", "daemonsets", "deployments", "replicasets", "statefulsets"),
	look("autoscaling", "horizontalpodautoscalers"),
	look("batch", "cronjobs", "jobs"),
	look("networking.k8s.io", "ingressclasses", "ingresses", "networkpolicies"),
	look("policy", "poddisruptionbudgets"),
	look("rbac.authorization.k8s.io", "clusterrolebindings", "clusterroles", "rolebindings", "roles"),
	look("scheduling.k8s.io", "priorityclasses"),
	look("storage.k8s.io", "storageclasses"),
}

func look(group string, resources ...string) mcpkit.Rule {
	return mcpkit.Rule{Groups: []string{group}, Resources: resources, Verbs: []string{"get", "list"}}
}

// live is an object that a release states, as it is in the cluster.
type live struct {
	manifestObject
	mapping *meta.RESTMapping
	is      *unstructured.Unstructured // nil if it is missing, or not looked at
	unseen  string                     // why it was not looked at
}

// missing reports whether the object was looked for and is not there.
func (l *live) missing() bool { return l.is == nil && l.unseen == "" }

// looksAtOnce bounds how many objects are fetched at the same time.
const looksAtOnce = 16

// look fetches the objects a release states. What cannot be looked at says why
// and hides nothing else.
func (b *Backend) look(ctx context.Context, objects []manifestObject) ([]*live, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	out, err := c.located(ctx, objects)
	if err != nil {
		return nil, err
	}
	var steps []func(context.Context) error
	for _, l := range out {
		if l.unseen == "" {
			steps = append(steps, func(ctx context.Context) error { return l.fetch(ctx, c) })
		}
	}
	return out, mcpkit.Together(ctx, looksAtOnce, steps...)
}

// located finds the type of each object. Types that have come since the last
// time are found by asking the cluster once more.
func (c *clients) located(ctx context.Context, objects []manifestObject) ([]*live, error) {
	types, err := c.types(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*live, len(objects))
	asked := false
	for i, o := range objects {
		l := &live{manifestObject: o}
		out[i] = l
		gvk := o.GroupVersionKind()
		if l.mapping, err = types.mapper.RESTMapping(gvk.GroupKind(), gvk.Version); meta.IsNoMatchError(err) && !asked {
			asked = true
			types.mapper.Reset()
			l.mapping, err = types.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		}
		switch {
		case meta.IsNoMatchError(err):
			l.unseen = fmt.Sprintf("the cluster does not serve kind %s of %s", gvk.Kind, gvk.GroupVersion())
		case err != nil:
			return nil, translate(locks.Told(ctx, c.typed.Discovery().RESTClient(), err), "find the type "+gvk.Kind)
		case l.mapping.Scope.Name() != meta.RESTScopeNameNamespace:
			l.namespace = ""
		}
	}
	return out, nil
}

func (l *live) fetch(ctx context.Context, c *clients) error {
	is, err := c.objects.Resource(l.mapping.Resource).Namespace(l.namespace).Get(ctx, l.GetName(), metav1.GetOptions{})
	switch {
	case err == nil:
		l.is = is
	case apierrors.IsNotFound(err):
	case apierrors.IsForbidden(err):
		l.unseen = "forbidden: RBAC grants no get of " + l.mapping.Resource.GroupResource().String() + where(l.namespace)
	default:
		if _, answered := errors.AsType[*apierrors.StatusError](err); !answered || ctx.Err() != nil {
			return translate(err, "get "+l.String())
		}
		l.unseen = clientgo.Message(err) // a type whose own server is down, say
	}
	return nil
}

func where(namespace string) string {
	if namespace == "" {
		return ""
	}
	return inWords(namespace)
}

// unseen says once for each reason which objects were not looked at.
func unseen(all []*live) []string {
	names := map[string][]string{}
	for _, l := range all {
		if l.unseen != "" {
			names[l.unseen] = append(names[l.unseen], l.String())
		}
	}
	var out []string
	for _, why := range slices.Sorted(maps.Keys(names)) {
		out = append(out, fmt.Sprintf("not looked at: %s (%s)", first(names[why], 5), why))
	}
	return out
}

// podsOf is the selector of the pods a workload runs, nil for other objects.
func podsOf(o *unstructured.Unstructured) *metav1.LabelSelector {
	switch o.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Group: "apps", Kind: "StatefulSet"},
		schema.GroupKind{Group: "apps", Kind: "DaemonSet"}, schema.GroupKind{Group: "batch", Kind: "Job"}:
		labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector", "matchLabels")
		if len(labels) > 0 {
			return &metav1.LabelSelector{MatchLabels: labels}
		}
	}
	return nil
}
