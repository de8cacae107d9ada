package helm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lineages are the releases of a namespace, of all if it is empty, by namespace
// and name; the Secrets whose labels make no sense; and findings about releases
// that Helm keeps elsewhere.
func (b *Backend) lineages(ctx context.Context, namespace string) (all map[string]*lineage, odd, foreign []string, err error) {
	all = map[string]*lineage{}
	take := func(r record) {
		key := r.namespace + "/" + r.release
		if all[key] == nil {
			all[key] = new(lineage)
		}
		all[key].take(r)
	}
	err = mcpkit.Together(ctx, 2,
		func(ctx context.Context) error {
			err := b.eachRecord(ctx, namespace, "owner=helm", take, func(s string) { odd = append(odd, s) })
			return perNamespace(err, namespace)
		},
		func(ctx context.Context) error { foreign = b.elsewhere(ctx, namespace); return nil },
	)
	return all, odd, foreign, err
}

// perNamespace adds to a denial of all namespaces that one may be granted.
func perNamespace(err error, namespace string) error {
	known, ok := errors.AsType[*mcpkit.Error](err)
	if !ok || known.Kind != mcpkit.Denied || namespace != "" {
		return err
	}
	return &mcpkit.Error{Kind: known.Kind, Err: err, Text: "nobody has granted listing releases in all namespaces. It may well be granted in some: call again with namespace. " + known.Text}
}

// elsewhere finds releases that this server does not list: those that Helm's
// other drivers keep, and leftovers of Helm 2. What it may not look at it says
// nothing of.
func (b *Backend) elsewhere(ctx context.Context, namespace string) []string {
	c, err := b.open()
	if err != nil {
		return nil
	}
	var out []string
	for _, place := range []struct{ resource, selector, what string }{
		{"configmaps", "owner=helm", "kept in ConfigMaps (HELM_DRIVER=configmap), which this server does not read"},
		{"configmaps", "OWNER=TILLER", "left over from Helm 2, in ConfigMaps; Helm 3 and 4 do not see them"},
		{"secrets", "OWNER=TILLER", "left over from Helm 2, in Secrets; Helm 3 and 4 do not see them"},
	} {
		found, err := c.heads.Resource(corev1.SchemeGroupVersion.WithResource(place.resource)).Namespace(namespace).
			List(ctx, metav1.ListOptions{LabelSelector: place.selector, Limit: pageSize})
		if err != nil || len(found.Items) == 0 {
			continue
		}
		names := map[string]bool{}
		for _, o := range found.Items {
			name := o.Labels["name"] + o.Labels["NAME"] // one of the two
			names[o.Namespace+"/"+name] = true
		}
		out = append(out, fmt.Sprintf("%s not listed: %s; %s", plural(len(names), "release"), first(slices.Sorted(maps.Keys(names)), 5), place.what))
	}
	return out
}
