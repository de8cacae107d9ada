package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/toolcrib/toolcrib/mcpkit"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Bounds of the search for what goes with a deleted object.
const (
	searchTypes   = 8      // listed at once
	searchObjects = 20_000 // looked at, over all types
)

const (
	claims     = "persistentvolumeclaims"
	claimsLost = "its volume claims go too, and with them the data on volumes whose reclaim policy is Delete"
)

// loss is what goes with a deleted object, as its plan shows it.
type loss struct{ lines, notes []string }

// lost finds what goes with o: what is in a namespace, the objects of a custom
// type, and otherwise what o owns, directly or not.
func (b *Backend) lost(ctx context.Context, o *unstructured.Unstructured, t resourceType, policy metav1.DeletionPropagation) (loss, error) {
	if t.GroupResource().String() == "customresourcedefinitions.apiextensions.k8s.io" {
		return b.instances(ctx, o)
	}
	namespace := o.GetNamespace()
	if t.GroupResource().String() == "namespaces" {
		namespace = o.GetName()
	}
	s, err := b.newSearch(ctx, namespace)
	if err != nil {
		return loss{}, err
	}
	if t.GroupResource().String() == "namespaces" {
		return s.inventory(ctx)
	}
	return s.owned(ctx, o.GetUID(), policy)
}

// instances counts the objects of the type that a definition defines.
func (b *Backend) instances(ctx context.Context, crd *unstructured.Unstructured) (loss, error) {
	name := text(crd, "spec", "names", "plural") + "." + text(crd, "spec", "group")
	t, err := b.resolve(ctx, name)
	if err != nil {
		return loss{notes: []string{"how many " + name + " there are was not looked at: " + err.Error()}}, nil
	}
	c, err := b.open()
	if err != nil {
		return loss{}, err
	}
	n, err := count(ctx, c, t, "")
	switch {
	case err != nil:
		return loss{notes: []string{translate(err, "count "+name).Error()}}, nil
	case n == 0:
		return loss{}, nil
	}
	return loss{lines: []string{fmt.Sprintf("- all %s: %s", name, roughly(n))}}, nil
}

// search looks through the types of a namespace, or of the whole cluster.
type search struct {
	c         *clients
	namespace string
	types     []resourceType
	unseen    []string // types that may not be listed

	mu     sync.Mutex
	looked int
}

// newSearch asks the API server what may be listed, so as not to try.
func (b *Backend) newSearch(ctx context.Context, namespace string) (*search, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	types, _, err := b.allTypes(ctx, false)
	if err != nil {
		return nil, err
	}
	review, err := c.typed.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: cmp.Or(namespace, c.namespace)},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, translate(err, "ask which types it may list")
	}
	s := &search{c: c, namespace: namespace}
	seen := map[string]bool{}
	for _, t := range types {
		if seen[t.String()] || !t.can("list") || !t.can("delete") || namespace != "" && !t.Namespaced || passing[t.String()] {
			continue
		}
		seen[t.String()] = true
		if review.Status.Incomplete || mayList(review.Status.ResourceRules, t) {
			s.types = append(s.types, t)
		} else {
			s.unseen = append(s.unseen, t.String())
		}
	}
	slices.Sort(s.unseen)
	return s, nil
}

// passing are types nobody counts as lost: records, and what controllers keep
// in step with other objects by themselves.
var passing = map[string]bool{
	"events": true, "events.events.k8s.io": true, "endpoints": true, "endpointslices.discovery.k8s.io": true,
	"leases.coordination.k8s.io": true, "controllerrevisions.apps": true,
}

func mayList(rules []authorizationv1.ResourceRule, t resourceType) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, "*") || slices.Contains(list, want)
	}
	return slices.ContainsFunc(rules, func(r authorizationv1.ResourceRule) bool {
		return len(r.ResourceNames) == 0 && has(r.Verbs, "list") && has(r.APIGroups, t.Group) && has(r.Resources, t.Resource)
	})
}

// each runs do for every type of the search, a few at once.
func (s *search) each(ctx context.Context, do func(context.Context, resourceType) error) error {
	steps := make([]func(context.Context) error, len(s.types))
	for i, t := range s.types {
		steps[i] = func(ctx context.Context) error {
			err := do(ctx, t)
			if err == nil || ctx.Err() != nil {
				return err
			}
			if apierrors.IsNotFound(err) {
				return nil // the type itself is gone by now
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.unseen = append(s.unseen, t.String()) // one broken API must not keep everything from being deleted
			return nil
		}
	}
	err := mcpkit.Together(ctx, searchTypes, steps...)
	slices.Sort(s.unseen)
	return err
}

// notLooked says which types the answer says nothing about.
func (s *search) notLooked() []string {
	var notes []string
	if s.looked > searchObjects {
		notes = append(notes, fmt.Sprintf("only %d objects were looked at; more may go with it", searchObjects))
	}
	if n := len(s.unseen); n > 0 {
		const shown = 3
		notes = append(notes, "types not looked at for what goes with it: "+strings.Join(s.unseen[:min(shown, n)], ", ")+more(n-shown))
	}
	return notes
}

// inventory counts what is in the namespace.
func (s *search) inventory(ctx context.Context) (loss, error) {
	counts := map[string]int64{}
	err := s.each(ctx, func(ctx context.Context, t resourceType) error {
		n, err := count(ctx, s.c, t, s.namespace)
		if err != nil || n == 0 {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		counts[t.String()] = n
		return nil
	})
	if err != nil {
		return loss{}, err
	}
	counts["configmaps"]--      // every namespace has kube-root-ca.crt
	counts["serviceaccounts"]-- // and default
	var out loss
	for _, name := range sortedKeys(counts) {
		if counts[name] < 1 {
			continue
		}
		out.lines = append(out.lines, fmt.Sprintf("- %s: %s", name, roughly(counts[name])))
	}
	if counts[claims] > 0 {
		out.notes = append(out.notes, claimsLost)
	}
	out.notes = append(out.notes, s.notLooked()...)
	return out, nil
}

// count is how many objects of a type there are, without fetching them.
func count(ctx context.Context, c *clients, t resourceType, namespace string) (int64, error) {
	page, err := c.metadata.Resource(t.GroupVersionResource).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, err
	}
	n := int64(len(page.Items))
	if page.RemainingItemCount != nil {
		n += *page.RemainingItemCount
	}
	return n, nil
}

// roughly says a number so that the plan of a busy namespace holds for as long
// as a person takes to decide.
func roughly(n int64) string {
	if n <= 20 {
		return fmt.Sprint(n)
	}
	step := int64(10)
	for step*10 < n {
		step *= 10
	}
	return fmt.Sprintf("more than %d", (n-1)/step*step)
}

// relative is an object that has owners.
type relative struct {
	kind, name string
	owners     []types.UID
}

// owned finds what the object with that uid owns: all that ends with it, or
// what it leaves behind when its dependents are orphaned.
func (s *search) owned(ctx context.Context, uid types.UID, policy metav1.DeletionPropagation) (loss, error) {
	family := map[types.UID]relative{}
	if err := s.each(ctx, func(ctx context.Context, t resourceType) error { return s.relatives(ctx, t, family) }); err != nil {
		return loss{}, err
	}
	names := map[string][]string{}
	for _, r := range goneWith(family, uid, policy == metav1.DeletePropagationOrphan) {
		names[r.kind] = append(names[r.kind], r.name)
	}
	var out loss
	for _, kind := range sortedKeys(names) {
		if policy == metav1.DeletePropagationOrphan {
			out.notes = append(out.notes, "left without an owner: "+kind+": "+few(names[kind]))
			continue
		}
		out.lines = append(out.lines, "- "+kind+": "+few(names[kind]))
	}
	if len(names[claims]) > 0 && policy != metav1.DeletePropagationOrphan {
		out.notes = append(out.notes, claimsLost)
	}
	out.notes = append(out.notes, s.notLooked()...)
	return out, nil
}

// goneWith lists the relatives that lose their last owner with uid, and unless
// they are its children alone, those that lose theirs with them.
func goneWith(family map[types.UID]relative, uid types.UID, children bool) []relative {
	gone := map[types.UID]bool{uid: true}
	var out []relative
	for {
		var next []types.UID
		for id, r := range family {
			alive := func(owner types.UID) bool { return !gone[owner] }
			if !gone[id] && !slices.ContainsFunc(r.owners, alive) {
				next = append(next, id)
				out = append(out, r)
			}
		}
		if len(next) == 0 || children {
			return out
		}
		for _, id := range next {
			gone[id] = true
		}
	}
}

// few names a few objects, or says how many there are.
func few(names []string) string {
	const shown = 5
	slices.Sort(names)
	if len(names) > shown {
		return roughly(int64(len(names)))
	}
	return strings.Join(names, ", ")
}

// relatives adds the objects of one type that have owners, page by page.
func (s *search) relatives(ctx context.Context, t resourceType, family map[types.UID]relative) error {
	o := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := s.c.metadata.Resource(t.GroupVersionResource).Namespace(s.namespace).List(ctx, o)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.looked += len(page.Items)
		for _, item := range page.Items {
			if len(item.OwnerReferences) == 0 {
				continue
			}
			r := relative{kind: t.String(), name: item.Name}
			for _, owner := range item.OwnerReferences {
				r.owners = append(r.owners, owner.UID)
			}
			family[item.UID] = r
		}
		full := s.looked > searchObjects
		s.mu.Unlock()
		if o.Continue = page.Continue; o.Continue == "" || full {
			return nil
		}
	}
}
