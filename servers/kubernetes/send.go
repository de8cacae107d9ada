package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// fieldManager is the name under which the cluster remembers our fields.
const fieldManager = "toolcrib"

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
	if rehearsal && p.standIn != "" {
		return b.sendStandIn(ctx, p)
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
		return nil, b.sendDelete(ctx, p, on, dry)
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

// sendDelete deletes p's object. A dry run says that it is one in the query too:
// the API server goes by the body, but its audit log may hold the query alone.
func (b *Backend) sendDelete(ctx context.Context, p planned, on *unstructured.Unstructured, dry []string) error {
	c, err := b.open()
	if err != nil {
		return err
	}
	o := p.options
	o.DryRun = dry
	if on != nil {
		o.Preconditions = &metav1.Preconditions{UID: new(on.GetUID()), ResourceVersion: new(on.GetResourceVersion())}
	}
	o.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("DeleteOptions"))
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode the options of deleting %s: %w", p, err)
	}
	req := c.rest.Delete().AbsPath(p.t.path(p.namespace, p.name)).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body)
	for _, d := range dry {
		req.Param("dryRun", d)
	}
	return req.Do(ctx).Error()
}

// sendStandIn rehearses the creation of p in a namespace that is there. That
// the name is taken there comes last of all refusals, and means nothing.
func (b *Backend) sendStandIn(ctx context.Context, p planned) (*unstructured.Unstructured, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	obj := (&unstructured.Unstructured{Object: p.object}).DeepCopy()
	obj.SetNamespace(p.standIn)
	after, err := c.in(p.t, p.standIn).Create(ctx, obj, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict})
	if apierrors.IsAlreadyExists(err) {
		return obj, nil
	}
	return after, err
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
