package helm

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What Helm writes on every object of a release.
const (
	managedByHelm    = "app.kubernetes.io/managed-by=Helm"
	releaseName      = "meta.helm.sh/release-name"
	releaseNamespace = "meta.helm.sh/release-namespace"
	resourcePolicy   = "helm.sh/resource-policy"
)

// usualTypes are those among which objects of a release are looked for that it
// does not state.
var usualTypes = []schema.GroupVersionResource{
	{Version: "v1", Resource: "configmaps"}, {Version: "v1", Resource: "persistentvolumeclaims"}, {Version: "v1", Resource: "secrets"},
	{Version: "v1", Resource: "serviceaccounts"}, {Version: "v1", Resource: "services"},
	{Group: "apps", Version: "v1", Resource: "daemonsets"}, {Group: "apps", Version: "v1", Resource: "deployments"}, {Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	{Group: "batch", Version: "v1", Resource: "cronjobs"}, {Group: "batch", Version: "v1", Resource: "jobs"},
	{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}, {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
	{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"}, {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
}

// typesToSearch are the usual types and those a release states, and its objects
// as type/namespace/name.
func typesToSearch(stated []*live) (known map[string]bool, types []schema.GroupVersionResource) {
	known, types = map[string]bool{}, slices.Clone(usualTypes)
	for _, l := range stated {
		if l.mapping == nil {
			continue
		}
		known[l.mapping.Resource.GroupResource().String()+"/"+l.namespace+"/"+l.GetName()] = true
		if l.namespace != "" && !slices.ContainsFunc(types, func(t schema.GroupVersionResource) bool {
			return t.GroupResource() == l.mapping.Resource.GroupResource()
		}) {
			types = append(types, l.mapping.Resource)
		}
	}
	return known, types
}

// extras are objects in a release's namespace that are marked as its own and
// that it does not state, and findings about types that could not be searched.
func (b *Backend) extras(ctx context.Context, r Release, stated []*live) (extra, findings []string, err error) {
	c, err := b.open()
	if err != nil {
		return nil, nil, err
	}
	known, types := typesToSearch(stated)
	var mu sync.Mutex
	var dark []string
	var steps []func(context.Context) error
	for _, t := range types {
		steps = append(steps, func(ctx context.Context) error {
			found, err := c.heads.Resource(t).Namespace(r.Namespace).List(ctx, metav1.ListOptions{LabelSelector: managedByHelm})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if !apierrors.IsNotFound(err) { // a type the cluster does not serve has no objects
					dark = append(dark, t.GroupResource().String())
				}
				return ctx.Err()
			}
			for _, o := range found.Items {
				name := t.GroupResource().String() + "/" + o.Namespace + "/" + o.Name
				if known[name] || o.Annotations[releaseName] != r.Name || o.Annotations[releaseNamespace] != r.Namespace {
					continue
				}
				text := fmt.Sprintf("%s/%s", t.GroupResource(), o.Name)
				if o.Annotations[resourcePolicy] == "keep" {
					text += " (kept on purpose)"
				}
				extra = append(extra, text)
			}
			return nil
		})
	}
	err = mcpkit.Together(ctx, looksAtOnce, steps...)
	slices.Sort(extra)
	if slices.Sort(dark); len(dark) > 0 {
		findings = append(findings, "objects beyond the manifest not searched for among (forbidden or failing): "+first(dark, 20))
	}
	return extra, findings, err
}
