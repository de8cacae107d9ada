package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// roleKey names a Role, or a ClusterRole where the namespace is empty.
type roleKey struct{ namespace, name string }

// role is what a role says about the request, and nothing else of it.
type role struct {
	hit    *rbacv1.PolicyRule // the first rule that grants it
	verbs  []string           // what is granted on the same resource
	names  []string           // objects to which a grant is limited
	labels map[string]string
	from   []metav1.LabelSelector // of an aggregated role
}

// roles reads every role that says something about the request.
func (a *accessCheck) roles(ctx context.Context) (map[roleKey]*role, error) {
	out := map[roleKey]*role{}
	rbac := a.c.typed.RbacV1()
	err := each(ctx, rbac.ClusterRoles().List, metav1.ListOptions{}, func(r *rbacv1.ClusterRole) {
		kept := a.readRole(r.Rules)
		if kept == nil {
			return
		}
		if kept.labels = r.Labels; r.AggregationRule != nil {
			kept.from = r.AggregationRule.ClusterRoleSelectors
		}
		out[roleKey{"", r.Name}] = kept
	})
	if err := a.look(translate(err, "list clusterroles")); err != nil || !a.want.namespaced {
		return out, err
	}
	return out, a.everywhere(func(ns string) error {
		err := each(ctx, rbac.Roles(ns).List, metav1.ListOptions{}, func(r *rbacv1.Role) {
			if kept := a.readRole(r.Rules); kept != nil {
				out[roleKey{r.Namespace, r.Name}] = kept
			}
		})
		return translate(err, "list "+named("roles", ns, ""))
	})
}

// readRole keeps what rules say about the request, nil when nothing.
func (a *accessCheck) readRole(rules []rbacv1.PolicyRule) *role {
	var kept role
	for _, r := range rules {
		if !a.want.covers(r) {
			continue
		}
		switch {
		case a.want.allows(r):
			if kept.hit == nil {
				kept.hit = r.DeepCopy()
			}
		case holds(r.Verbs, a.want.verb):
			kept.names = append(kept.names, r.ResourceNames...)
		default:
			kept.verbs = append(kept.verbs, r.Verbs...)
		}
	}
	if kept.hit == nil && len(kept.names)+len(kept.verbs) == 0 {
		return nil
	}
	return &kept
}

// binding is a role given to subjects, in one namespace or everywhere.
type binding struct {
	name      string
	namespace string // empty: cluster-wide
	role      roleKey
	subjects  []rbacv1.Subject
}

func (b binding) String() string {
	if b.namespace == "" {
		return "ClusterRoleBinding " + b.name
	}
	return fmt.Sprintf("RoleBinding %s/%s", b.namespace, b.name)
}

func (k roleKey) String() string {
	if k.namespace == "" {
		return "ClusterRole " + k.name
	}
	return "Role " + k.name
}

// eachBinding gives do every binding of the cluster, or, where we may
// not read those of all namespaces, the ones that bear on the request.
func (a *accessCheck) eachBinding(ctx context.Context, do func(binding)) error {
	rbac := a.c.typed.RbacV1()
	err := each(ctx, rbac.ClusterRoleBindings().List, metav1.ListOptions{}, func(v *rbacv1.ClusterRoleBinding) {
		do(binding{name: v.Name, role: roleKey{"", v.RoleRef.Name}, subjects: v.Subjects})
	})
	if err := a.look(translate(err, "list clusterrolebindings")); err != nil || !a.want.namespaced {
		return err
	}
	return a.everywhere(func(ns string) error {
		err := each(ctx, rbac.RoleBindings(ns).List, metav1.ListOptions{}, func(v *rbacv1.RoleBinding) {
			ref := roleKey{"", v.RoleRef.Name}
			if v.RoleRef.Kind == "Role" {
				ref.namespace = v.Namespace
			}
			do(binding{name: v.Name, namespace: v.Namespace, role: ref, subjects: v.Subjects})
		})
		return translate(err, "list "+named("rolebindings", ns, ""))
	})
}

// everywhere lists in all namespaces, or in the one asked about where that is
// all we may.
func (a *accessCheck) everywhere(list func(ns string) error) error {
	err := list("")
	if isKind(err, mcpkit.Denied) && a.want.namespace != "" {
		err = list(a.want.namespace)
	}
	return a.look(err)
}

// look notes what RBAC does not let us see, so that an answer can go
// on without it.
func (a *accessCheck) look(err error) error {
	if !isKind(err, mcpkit.Denied) {
		return err
	}
	var known *mcpkit.Error
	errors.As(err, &known)
	a.blind = append(a.blind, known.Text)
	return nil
}

// ruleText writes a rule in one line, what was asked about first.
func (w accessRequest) ruleText(r rbacv1.PolicyRule) string {
	what := "on " + front(r.Resources, w.path(), "*", "*/"+w.subresource)
	if w.url != "" {
		what = "on " + front(r.NonResourceURLs, w.url)
	} else if groups := front(r.APIGroups, cmp.Or(w.group, "core"), "*"); groups != "" {
		what += " of " + groups
	}
	if len(r.ResourceNames) > 0 {
		what += " named " + front(r.ResourceNames, w.name)
	}
	return front(r.Verbs, w.verb, "*") + " " + what
}

// front writes a list with the items that matter first.
func front(list []string, first ...string) string {
	sorted := slices.Clone(list)
	if i := slices.Index(sorted, ""); i >= 0 {
		sorted[i] = "core" // an API group
	}
	slices.SortStableFunc(sorted, func(a, b string) int {
		return position(first, a) - position(first, b)
	})
	const shown = 8
	return strings.Join(sorted[:min(shown, len(sorted))], ",") + more(len(sorted)-shown)
}

func position(list []string, v string) int {
	if i := slices.Index(list, v); i >= 0 {
		return i
	}
	return len(list)
}

// sources names the roles from which an aggregated role has its rule.
func sources(all map[roleKey]*role, of *role) []string {
	var out []string
	for key, r := range all {
		if r == of || r.hit == nil || key.namespace != "" {
			continue
		}
		for _, s := range of.from {
			if selector, err := metav1.LabelSelectorAsSelector(&s); err == nil && selector.Matches(labels.Set(r.labels)) {
				out = append(out, key.name)
				break
			}
		}
	}
	slices.Sort(out)
	return out
}
