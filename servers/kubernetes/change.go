package kubernetes

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// action is what a change does to its object.
type action string

const (
	creating action = "create"
	applying action = "apply" // server-side apply; creates what is not there
	patching action = "patch"
	deleting action = "delete"
)

// change is one write of one object, the unit every write tool is made of. A
// tool says which changes its call asks for and leaves the rest to the two
// halves of the engine:
//
//	func (b *Backend) planScale(ctx context.Context, in ScaleIn) (mcpkit.Plan, error) {
//		...
//		return b.plan(ctx, change{action: patching, t: t, namespace: ns, name: in.Name, subresource: "scale",
//			patchType: types.MergePatchType, patch: []byte(`{"spec":{"replicas":3}}`)})
//	}
//
//	mcpkit.Write(ts, scale, b.planScale, applied[ScaleIn](b))
//
// plan rehearses each change against the API server (dryRun=All) and shows the
// fields that would differ; applied carries out exactly those changes, each
// under the precondition that its object is still the one the plan rests on.
type change struct {
	action      action
	t           resourceType
	namespace   string // empty for cluster-wide types
	name        string
	subresource string // of a patch: scale or status

	object    map[string]any // to create or apply
	force     bool           // apply: take fields that belong to other managers
	standIn   string         // namespace to rehearse a creation in while its own is not there yet
	patchType types.PatchType
	patch     []byte               // JSON
	options   metav1.DeleteOptions // of a delete

	// changing are paths, as the diff writes them, whose new value differs
	// from plan to plan, such as a time. Plans show that they change, not to what.
	changing []string
	details  []string // more lines for the diff, such as what a delete takes along
	notes    []string // more for the person to know
	now      []string // how things stand, which does not make the plan stale
}

// String names the object of the change.
func (ch change) String() string { return named(ch.t.String(), ch.namespace, ch.name) }

// planned is a change that has been rehearsed.
type planned struct {
	change
	before  *unstructured.Unstructured // nil when it is not there
	after   *unstructured.Unstructured // as the dry run returned it; nil after a delete
	seen    string                     // what before is, as far as the plan rests on it
	diff    []string                   // nothing when the change changes nothing
	caution []string
}

// plan rehearses changes in their order and returns what they would do
// together. One that the API server refuses fails the plan. A plan whose
// changes change nothing has no diff, and applying it writes nothing.
func (b *Backend) plan(ctx context.Context, changes ...change) (mcpkit.Plan, error) {
	all, err := b.rehearseAll(ctx, changes)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	return planOf(all), nil
}

// rehearseAll rehearses every change, so that all that is wrong is said at
// once. What goes into a namespace that an earlier change creates is rehearsed
// in another one.
func (b *Backend) rehearseAll(ctx context.Context, changes []change) ([]*planned, error) {
	var all []*planned
	var wrong []error
	born := map[string]bool{}
	for _, ch := range changes {
		if born[ch.namespace] {
			c, err := b.open()
			if err != nil {
				return nil, err
			}
			ch.standIn = c.namespace
			ch.notes = append(ch.notes, fmt.Sprintf("its namespace is new, so it was checked in namespace %q", c.namespace))
		}
		p, err := b.rehearse(ctx, ch)
		if ctx.Err() != nil {
			return nil, cmp.Or(err, ctx.Err())
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if p.t.GroupResource() == (schema.GroupResource{Resource: "namespaces"}) && p.before == nil {
			born[p.name] = true
		}
		all = append(all, p)
	}
	return all, together(wrong, len(changes))
}

// together joins what is wrong with some of several changes.
func together(wrong []error, of int) error {
	switch {
	case len(wrong) == 0:
		return nil
	case of == 1:
		return wrong[0]
	}
	kind := mcpkit.Invalid
	text := fmt.Sprintf("%d of %d objects were refused, so none would be written:", len(wrong), of)
	for i, err := range wrong {
		known, ok := errors.AsType[*mcpkit.Error](err)
		if !ok {
			return err
		}
		if i == 0 {
			kind = known.Kind
		}
		text += "\n- " + known.Text
	}
	return &mcpkit.Error{Kind: kind, Text: text, Err: errors.Join(wrong...)}
}

func planOf(all []*planned) mcpkit.Plan {
	plan := mcpkit.Plan{Target: targets(all), State: all}
	plan.Diff, _ = diffText(all)
	var notes []string
	about := map[string][]string{} // objects by note
	for _, p := range all {
		plan.Seen = append(plan.Seen, p.seen)
		for _, n := range p.caution {
			if about[n] == nil {
				notes = append(notes, n)
			}
			about[n] = append(about[n], p.String())
		}
		if p.changes() {
			plan.Now = append(plan.Now, p.now...)
		}
	}
	for _, n := range notes {
		if len(all) > 1 {
			n = short(about[n]) + ": " + n
		}
		plan.Notes = append(plan.Notes, n)
	}
	if cut.MatchString(plan.Diff) {
		plan.Notes = append(plan.Notes, "parts of this are cut (…) and are done all the same: before you decide, read them in the arguments of the call, or in what those name")
	}
	return plan
}

// cut is how a diff says that it does not show all.
var cut = regexp.MustCompile(`… \(\d+ bytes\)|… \d+ more lines`)

// rehearse finds out what a change would do, without doing it.
func (b *Backend) rehearse(ctx context.Context, ch change) (*planned, error) {
	mcpkit.SetTarget(ctx, ch.String())
	p := &planned{change: ch}
	var err error
	p.seen = ch.version(nil)
	if ch.action != creating {
		if p.before, p.seen, err = b.current(ctx, ch); err != nil {
			return nil, err
		}
		if p.before == nil && ch.action != applying {
			return nil, b.notFound(ctx, ch.t, ch.namespace, ch.name)
		}
	}
	heard, warnings := hearWarnings(ctx)
	if p.after, err = b.send(heard, *p, true); err != nil {
		return nil, translateWrite(err, ch)
	}
	p.diff = append(difference(ctx, p, p.after), ch.details...)
	if p.changes() {
		p.caution = append(b.cautions(ctx, p), warnings.list()...)
		p.caution = append(p.caution, ch.notes...)
	}
	return p, nil
}

// current reads the object of a change, nil when it is not there, and its
// version. A scale says nothing of its object's history, so that is read too:
// after it, lest the version be newer than what the change is tied to.
func (b *Backend) current(ctx context.Context, ch change) (*unstructured.Unstructured, string, error) {
	c, err := b.open()
	if err != nil {
		return nil, "", err
	}
	var sub []string
	if ch.subresource == "scale" { // status is read with its object
		sub = []string{ch.subresource}
	}
	objects := c.in(ch.t, ch.namespace)
	obj, err := objects.Get(ctx, ch.name, metav1.GetOptions{}, sub...)
	whole := obj
	if err == nil && sub != nil {
		whole, err = objects.Get(ctx, ch.name, metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil, ch.version(nil), nil
	}
	if err != nil {
		return nil, "", translate(err, "get "+ch.String())
	}
	return obj, ch.version(whole), nil
}

// version tells apart what a plan can rest on: what an object says, how often
// that has changed, and who wrote it when. It is not the resource version: a
// workload's status moves all the time, and a plan for its spec must outlive
// that for as long as a person takes to decide. The history is part of it so
// that a plan is stale even when its object was changed and changed back.
func (ch change) version(o *unstructured.Unstructured) string {
	if o == nil {
		return ch.String() + " absent"
	}
	generation := o.GetGeneration()
	var writers []metav1.ManagedFieldsEntry
	for _, w := range o.GetManagedFields() {
		switch {
		case o.GetKind() == "Node": // whose taints the control plane takes from and gives to others as it fails and recovers
		case ch.subresource == "status" || !reports(w):
			writers = append(writers, w)
		case w.Subresource == "": // then the generation counts reports too
			generation = 0
		}
	}
	raw, err := json.Marshal([]any{steady(o, ch.subresource), generation, writers})
	if err != nil { // what came as JSON encodes as JSON
		return ch.String() + " " + o.GetResourceVersion()
	}
	sum := sha256.Sum256(raw)
	return ch.String() + " " + string(o.GetUID()) + ":" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// reports tells the writers that report an object's status from those that
// change the object. A custom type may have a status and no subresource for it.
func reports(w metav1.ManagedFieldsEntry) bool {
	if w.Subresource == "status" || w.FieldsV1 == nil {
		return w.Subresource == "status"
	}
	var fields map[string]json.RawMessage
	err := json.Unmarshal(w.FieldsV1.GetRawBytes(), &fields)
	return err == nil && len(fields) == 1 && fields["f:status"] != nil
}

// changes reports whether carrying out p would make a difference.
func (p *planned) changes() bool {
	if p.action == deleting { // what is on its way out already can only be hurried
		return p.before.GetDeletionTimestamp() == nil || p.options.GracePeriodSeconds != nil
	}
	return p.before == nil || len(p.diff) > 0
}

// targets names what a plan is about.
func targets(all []*planned) string {
	if len(all) == 1 {
		return all[0].String()
	}
	var names []string
	for _, p := range all {
		names = append(names, p.String())
	}
	return fmt.Sprintf("%d objects: %s", len(all), short(names))
}

// short lists the first few names.
func short(names []string) string {
	const shown = 3
	return strings.Join(names[:min(shown, len(names))], ", ") + more(len(names)-shown)
}

// changeOf begins a change of the object ref names.
func (b *Backend) changeOf(ctx context.Context, a action, ref Ref) (change, error) {
	t, err := b.resolve(ctx, ref.ResourceType)
	if err != nil {
		return change{}, err
	}
	c, err := b.open()
	if err != nil {
		return change{}, err
	}
	ch := change{action: a, t: t, namespace: c.scope(t, ref.Namespace), name: ref.ResourceName}
	if ch.name == "" {
		return ch, mcpkit.Errorf(mcpkit.Invalid, "resource_name is empty; name the one object to change")
	}
	return ch, checkNames(ch.namespace, ch.name)
}
