package kubernetes

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// refreshAfter is the least time between two looks at the API server's types
// when a name is not among those known.
const refreshAfter = 2 * time.Second

// discoveryTimeout bounds one look at the API server's types.
const discoveryTimeout = 30 * time.Second

// resourceType is one type the API server serves, in its preferred version
// unless a version was asked for.
type resourceType struct {
	schema.GroupVersionResource
	Kind       string
	Singular   string
	ShortNames []string
	Categories []string
	Verbs      []string
	Namespaced bool
}

// String is the type as a person would write it: "pods", "deployments.apps".
func (t resourceType) String() string { return t.GroupResource().String() }

// can reports whether the API server offers verb on the type.
func (t resourceType) can(verb string) bool { return slices.Contains(t.Verbs, verb) }

// mapping is the type in the form kubectl's libraries take.
func (t resourceType) mapping() *meta.RESTMapping {
	m := &meta.RESTMapping{
		Resource:         t.GroupVersionResource,
		GroupVersionKind: t.GroupVersion().WithKind(t.Kind),
		Scope:            meta.RESTScopeRoot,
	}
	if t.Namespaced {
		m.Scope = meta.RESTScopeNamespace
	}
	return m
}

// path is where the type's objects live; name may be empty for the collection.
func (t resourceType) path(namespace, name string, sub ...string) string {
	parts := []string{"/apis", t.Group, t.Version}
	if t.Group == "" {
		parts = []string{"/api", t.Version}
	}
	if t.Namespaced && namespace != "" {
		parts = append(parts, "namespaces", namespace)
	}
	parts = append(parts, t.Resource)
	if name != "" {
		parts = append(parts, name)
	}
	return strings.Join(append(parts, sub...), "/")
}

// typeIndex finds types by any of the names people use for them. It is filled
// from discovery at first use and again when a name is not found.
type typeIndex struct {
	looking singleflight.Group // however many calls wait, the API server is asked once
	mu      sync.Mutex
	types   []resourceType
	broken  []string // group versions whose API server does not answer
	filled  time.Time
}

// resolve finds a type by plural, singular, short name or kind in any case,
// alone or qualified: "po", "Deployment", "deployments.apps", "widgets.v1.example.com".
func (b *Backend) resolve(ctx context.Context, name string) (resourceType, error) {
	name = strings.TrimSpace(name)
	if name == "" || strings.ContainsAny(name, "/, \t\n?#%") {
		return resourceType{}, mcpkit.Errorf(mcpkit.Invalid, "%q is not a resource type; write one such as pods, deploy or widgets.example.com (the name goes into resource_name)", name)
	}
	types, _, err := b.allTypes(ctx, false)
	if err != nil {
		return resourceType{}, err
	}
	if t, ok := findType(types, name); ok {
		return t, nil
	}
	types, broken, err := b.allTypes(ctx, true)
	if err != nil {
		return resourceType{}, err
	}
	if t, ok := findType(types, name); ok {
		return t, nil
	}
	return resourceType{}, unknownType(name, types, broken)
}

func unknownType(name string, types []resourceType, broken []string) error {
	hint := "k8s_get_available_api_resources lists what there is"
	if near := nearestTypes(name, types); len(near) > 0 {
		hint = "the nearest are " + strings.Join(near, ", ")
	}
	if len(broken) > 0 {
		hint += "; these API groups do not answer and may hold it: " + strings.Join(broken, ", ")
	}
	return mcpkit.Errorf(mcpkit.NotFound, "the cluster has no resource type %s; %s", shown(name), hint)
}

// nearestTypes compares with every name a type has, and answers with full names.
func nearestTypes(name string, types []resourceType) []string {
	var names []string
	full := map[string]string{}
	for _, t := range types {
		for _, n := range []string{t.Resource, t.Singular, strings.ToLower(t.Kind), t.String()} {
			if full[n] == "" {
				full[n] = t.String()
				names = append(names, n)
			}
		}
	}
	var out []string
	for _, n := range mcpkit.Nearest(name, names) {
		if !slices.Contains(out, full[n]) {
			out = append(out, full[n])
		}
	}
	return out
}

// allTypes lists every type in its preferred version, built-in groups first,
// and the group versions that did not answer. The look at the API server is
// shared: it outlives the call that began it, for others that wait for it.
func (b *Backend) allTypes(ctx context.Context, again bool) ([]resourceType, []string, error) {
	x := b.types.of(b.seenAs(ctx), b.now())
	if types, broken, fresh := x.known(b.now(), again); fresh {
		return types, broken, nil
	}
	done := x.looking.DoChan("", func() (any, error) {
		shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), discoveryTimeout)
		defer cancel()
		return nil, b.discover(shared, x)
	})
	select {
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case r := <-done:
		types, broken, _ := x.known(b.now(), false)
		return types, broken, r.Err
	}
}

// known is what the index holds, and whether that will do.
func (x *typeIndex) known(now time.Time, again bool) (types []resourceType, broken []string, fresh bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	fresh = !x.filled.IsZero() && (!again || now.Sub(x.filled) < refreshAfter)
	return x.types, x.broken, fresh
}

// discover fills an index.
func (b *Backend) discover(ctx context.Context, x *typeIndex) error {
	c, err := b.open()
	if err != nil {
		return err
	}
	groups, lists, err := c.discovery.ServerGroupsAndResourcesWithContext(ctx)
	failed, partial := discovery.GroupDiscoveryFailedErrorGroups(err)
	if err != nil && !partial {
		return translate(locks.Told(ctx, c.rest, err), "list the resource types")
	}
	var broken []string
	for gv := range failed {
		broken = append(broken, gv.String())
	}
	slices.Sort(broken)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.types, x.broken, x.filled = indexed(groups, lists), broken, b.now()
	return nil
}

// indexed flattens discovery's lists: Kubernetes' own groups before others,
// since that decides who owns a name, and in each group the preferred version first.
func indexed(groups []*metav1.APIGroup, lists []*metav1.APIResourceList) []resourceType {
	order := map[string]int{}
	for _, g := range groups {
		for _, v := range g.Versions {
			order[v.GroupVersion] = len(order)
		}
		order[g.PreferredVersion.GroupVersion] = -1
	}
	slices.SortStableFunc(lists, func(a, b *metav1.APIResourceList) int {
		return cmp.Or(cmp.Compare(groupRank(a.GroupVersion), groupRank(b.GroupVersion)),
			cmp.Compare(order[a.GroupVersion], order[b.GroupVersion]), cmp.Compare(a.GroupVersion, b.GroupVersion))
	})
	var out []resourceType
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			continue // a group version nobody could address either
		}
		for _, r := range l.APIResources {
			if strings.Contains(r.Name, "/") {
				continue
			}
			out = append(out, resourceType{
				GroupVersionResource: gv.WithResource(r.Name), Kind: r.Kind, Singular: r.SingularName,
				ShortNames: r.ShortNames, Categories: r.Categories, Verbs: r.Verbs, Namespaced: r.Namespaced,
			})
		}
	}
	return out
}

// Ranks of API groups: who owns a name that several have.
const (
	coreGroup = iota
	builtInGroup
	addOnGroup
	metricsGroup // its nodes and pods are not the ones people mean
)

func groupRank(groupVersion string) int {
	group, _, grouped := strings.Cut(groupVersion, "/")
	switch {
	case !grouped:
		return coreGroup
	case strings.HasSuffix(group, "metrics.k8s.io"):
		return metricsGroup
	case !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io"):
		return builtInGroup
	}
	return addOnGroup
}

// findType prefers an exact name over another's singular, kind or short name.
func findType(types []resourceType, name string) (resourceType, bool) {
	name = strings.ToLower(name)
	for _, match := range []func(resourceType, string) bool{
		func(t resourceType, n string) bool { return t.Resource == n },
		func(t resourceType, n string) bool { return t.Singular == n || strings.ToLower(t.Kind) == n },
		func(t resourceType, n string) bool { return slices.Contains(t.ShortNames, n) },
	} {
		for _, t := range types {
			for _, n := range t.unqualified(name) {
				if match(t, n) {
					return t, true
				}
			}
		}
	}
	return resourceType{}, false
}

// unqualified strips t's group and version from name where it ends in them:
// "deployments.apps" and "deployments.v1.apps" are "deployments" to apps/v1.
func (t resourceType) unqualified(name string) []string {
	out := []string{name}
	for _, suffix := range []string{"." + t.Group, "." + t.Version + "." + t.Group, "." + t.Version} {
		if head, ok := strings.CutSuffix(name, suffix); ok && suffix != "." {
			out = append(out, head)
		}
	}
	return out
}
