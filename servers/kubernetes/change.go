package kubernetes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// fieldManager is the name under which the cluster remembers our fields.
const fieldManager = "toolcrib"

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
// together. The first that the API server refuses fails the plan. A plan whose
// changes change nothing has no diff, and applying it writes nothing.
func (b *Backend) plan(ctx context.Context, changes ...change) (mcpkit.Plan, error) {
	var all []*planned
	for _, ch := range changes {
		p, err := b.rehearse(ctx, ch)
		if err != nil {
			return mcpkit.Plan{}, err
		}
		all = append(all, p)
	}
	return planOf(all), nil
}

func planOf(all []*planned) mcpkit.Plan {
	plan := mcpkit.Plan{Target: targets(all), Diff: diffText(all), State: all}
	for _, p := range all {
		plan.Seen = append(plan.Seen, p.seen)
		for _, n := range p.caution {
			if len(all) > 1 {
				n = p.String() + ": " + n
			}
			plan.Notes = append(plan.Notes, n)
		}
		if p.changes() {
			plan.Now = append(plan.Now, p.now...)
		}
	}
	return plan
}

// rehearse finds out what a change would do, without doing it.
func (b *Backend) rehearse(ctx context.Context, ch change) (*planned, error) {
	mcpkit.SetTarget(ctx, ch.String())
	p := &planned{change: ch}
	var err error
	if ch.action != creating {
		if p.before, err = b.current(ctx, ch); err != nil {
			return nil, err
		}
		if p.before == nil && ch.action != applying {
			return nil, b.notFound(ctx, ch.t, ch.namespace, ch.name)
		}
	}
	p.seen = p.version(p.before)
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

// current reads the object of a change, nil when it is not there.
func (b *Backend) current(ctx context.Context, ch change) (*unstructured.Unstructured, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	var sub []string
	if ch.subresource == "scale" { // status is read with its object
		sub = []string{ch.subresource}
	}
	obj, err := c.in(ch.t, ch.namespace).Get(ctx, ch.name, metav1.GetOptions{}, sub...)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return obj, translate(err, "get "+ch.String())
}

// send makes the request of a change, as a dry run or for real. For real, and
// where the object was there before, it takes effect only on that very version.
func (b *Backend) send(ctx context.Context, p planned, rehearsal bool) (*unstructured.Unstructured, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	var dry []string
	var on *unstructured.Unstructured
	if rehearsal {
		dry = []string{metav1.DryRunAll}
	} else {
		on = p.before
	}
	objects := c.in(p.t, p.namespace)
	switch p.action {
	case creating:
		return objects.Create(ctx, &unstructured.Unstructured{Object: p.object},
			metav1.CreateOptions{DryRun: dry, FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict})
	case applying:
		return b.sendApply(ctx, p, on, dry)
	case patching:
		patch, err := bound(p.patchType, p.patch, on)
		if err != nil {
			return nil, err
		}
		var sub []string
		if p.subresource != "" {
			sub = []string{p.subresource}
		}
		return objects.Patch(ctx, p.name, p.patchType, patch,
			metav1.PatchOptions{DryRun: dry, FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict}, sub...)
	default:
		o := p.options
		o.DryRun = dry
		if on != nil {
			o.Preconditions = &metav1.Preconditions{UID: new(on.GetUID()), ResourceVersion: new(on.GetResourceVersion())}
		}
		return nil, objects.Delete(ctx, p.name, o)
	}
}

// sendApply applies p's object. An object that was not there is never applied
// with force: whoever made it meanwhile keeps its fields.
func (b *Backend) sendApply(ctx context.Context, p planned, on *unstructured.Unstructured, dry []string) (*unstructured.Unstructured, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	obj := &unstructured.Unstructured{Object: p.object}
	if on != nil {
		obj = obj.DeepCopy()
		obj.SetUID(on.GetUID())
		obj.SetResourceVersion(on.GetResourceVersion())
	}
	body, err := obj.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", p, err)
	}
	return c.in(p.t, p.namespace).Patch(ctx, p.name, types.ApplyPatchType, body, metav1.PatchOptions{
		DryRun: dry, FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict, Force: new(p.force && p.before != nil),
	})
}

// bound is a patch that takes effect only on the version on of its object: the
// API server refuses a patch that sets another uid or resource version.
func bound(t types.PatchType, patch []byte, on *unstructured.Unstructured) ([]byte, error) {
	if on == nil {
		return patch, nil
	}
	id := map[string]any{"uid": on.GetUID(), "resourceVersion": on.GetResourceVersion()}
	if t == types.JSONPatchType {
		var steps []any
		if err := decodeNumbers(patch, &steps); err != nil {
			return nil, fmt.Errorf("read patch: %w", err)
		}
		for _, field := range sortedKeys(id) {
			steps = append(steps, map[string]any{"op": "add", "path": "/metadata/" + field, "value": id[field]})
		}
		return json.Marshal(steps)
	}
	var fields map[string]any
	if err := decodeNumbers(patch, &fields); err != nil {
		return nil, fmt.Errorf("read patch: %w", err)
	}
	if metadata, ok := fields["metadata"].(map[string]any); ok {
		for _, field := range sortedKeys(id) {
			metadata[field] = id[field]
		}
	} else {
		fields["metadata"] = id
	}
	return json.Marshal(fields)
}

// decodeNumbers decodes JSON with its numbers as they are written.
func decodeNumbers(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}

// version tells apart what a plan can rest on. It is not the resource version:
// a workload's status moves all the time, and a plan for its spec must outlive
// that for as long as a person takes to decide.
func (ch change) version(o *unstructured.Unstructured) string {
	if o == nil {
		return ch.String() + " absent"
	}
	raw, err := json.Marshal(essence(o, ch.subresource))
	if err != nil { // what came as JSON encodes as JSON
		return ch.String() + " " + o.GetResourceVersion()
	}
	sum := sha256.Sum256(raw)
	return ch.String() + " " + string(o.GetUID()) + ":" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// changes reports whether carrying out p would make a difference.
func (p *planned) changes() bool { return p.action == deleting || p.before == nil || len(p.diff) > 0 }

// targets names what a plan is about.
func targets(all []*planned) string {
	if len(all) == 1 {
		return all[0].String()
	}
	const named = 3
	var names []string
	for _, p := range all[:min(named, len(all))] {
		names = append(names, p.String())
	}
	return fmt.Sprintf("%d objects: %s%s", len(all), strings.Join(names, ", "), more(len(all)-named))
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
	return change{action: a, t: t, namespace: c.scope(t, ref.Namespace), name: ref.ResourceName}, nil
}
