package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// manifestObjects bounds how many objects one call may write.
const manifestObjects = 100

// document is one object of a manifest and where it stands there.
type document struct {
	unstructured.Unstructured
	place string
}

// parseManifest reads the objects of a manifest, those inside Lists one by one.
func parseManifest(argument, text string) ([]document, error) {
	parsed, err := parseDocuments(argument, text)
	if err != nil {
		return nil, err
	}
	var out []document
	for i, v := range parsed {
		docs, err := objectsIn(v, fmt.Sprintf("%s, document %d", argument, i+1))
		if err != nil {
			return nil, err
		}
		out = append(out, docs...)
	}
	switch {
	case len(out) == 0:
		return nil, mcpkit.Errorf(mcpkit.Invalid, "%s holds no object", argument)
	case len(out) > manifestObjects:
		return nil, mcpkit.Errorf(mcpkit.TooLarge, "%s holds %d objects; at most %d go in one call", argument, len(out), manifestObjects)
	}
	return out, nil
}

// objectsIn is the object of one document, or those of a List.
func objectsIn(v any, place string) ([]document, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "%s is not an object with apiVersion and kind but %s", place, mcpkit.Cut(mcpkit.Flow(v)))
	}
	d := document{unstructured.Unstructured{Object: m}, place}
	items, hasItems := m["items"].([]any)
	switch {
	case !isString(m["apiVersion"]) || d.GetAPIVersion() == "":
		return nil, mcpkit.Errorf(mcpkit.Invalid, "%s has no apiVersion", place)
	case !isString(m["kind"]) || d.GetKind() == "":
		return nil, mcpkit.Errorf(mcpkit.Invalid, "%s has no kind", place)
	case strings.HasSuffix(d.GetKind(), "List") && hasItems:
		var out []document
		for i, item := range items {
			docs, err := objectsIn(item, fmt.Sprintf("%s, item %d", place, i+1))
			if err != nil {
				return nil, err
			}
			out = append(out, docs...)
		}
		return out, nil
	}
	return []document{d}, d.validate()
}

// validate holds the parts of metadata that decide where an object goes
// against their types, which the accessors do not.
func (d document) validate() error {
	metadata, ok := d.Object["metadata"].(map[string]any)
	if !ok {
		return mcpkit.Errorf(mcpkit.Invalid, "%s (%s) has no metadata", d.place, d.GetKind())
	}
	for _, field := range []string{"name", "generateName", "namespace", "uid", "resourceVersion"} {
		if v, given := metadata[field]; given && v != nil && !isString(v) {
			return mcpkit.Errorf(mcpkit.Invalid, "%s (%s): metadata.%s must be a string; put quotes around %s", d.place, d.GetKind(), field, mcpkit.Flow(v))
		}
	}
	if d.GetName() == "" && d.GetGenerateName() == "" {
		return mcpkit.Errorf(mcpkit.Invalid, "%s (%s) has no metadata.name", d.place, d.GetKind())
	}
	return nil
}

// changesOf turns a manifest into changes, one per object: namespaces and
// custom resource definitions first, the rest as it stands. Objects of
// namespaced types that name no namespace go into the given one.
func (b *Backend) changesOf(ctx context.Context, a action, docs []document, namespace string) ([]change, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	var out []change
	seen := map[string]string{}
	for _, d := range docs {
		t, err := b.resolveKind(ctx, d.GroupVersionKind())
		if err != nil {
			return nil, d.untyped(err, docs)
		}
		d.SetManagedFields(nil) // belongs to the API server
		unstructured.RemoveNestedField(d.Object, "metadata", "annotations", lastApplied)
		ch := change{action: a, t: t, name: d.GetName(), object: d.Object}
		if t.Namespaced {
			ch.namespace = c.scope(t, cmp.Or(d.GetNamespace(), namespace))
			d.SetNamespace(ch.namespace)
		}
		if err := checkNames(ch.namespace, ch.name); err != nil {
			return nil, err
		}
		if first, twice := seen[ch.String()]; twice && ch.name != "" {
			return nil, mcpkit.Errorf(mcpkit.Invalid, "%s is there twice: %s and %s", ch, first, d.place)
		}
		seen[ch.String()] = d.place
		out = append(out, ch)
	}
	slices.SortStableFunc(out, func(x, y change) int { return cmp.Compare(x.rank(), y.rank()) })
	return out, nil
}

// rank orders what others need before they can be there.
func (ch change) rank() int {
	switch ch.t.GroupResource().String() {
	case "namespaces":
		return 0
	case "customresourcedefinitions.apiextensions.k8s.io":
		return 1
	}
	return 2
}

// untyped says why a document's kind is not known, which is no wonder when the
// same manifest defines it.
func (d document) untyped(err error, docs []document) error {
	for _, other := range docs {
		if other.GetKind() == "CustomResourceDefinition" &&
			nested(other, "spec", "group") == d.GroupVersionKind().Group && nested(other, "spec", "names", "kind") == d.GetKind() {
			return mcpkit.Errorf(mcpkit.Invalid, "%s is a %s, which this manifest only defines: apply its CustomResourceDefinition first, and its objects in another call, so that they can be checked", d.place, d.GetKind())
		}
	}
	return err
}

func nested(d document, path ...string) string {
	s, _, _ := unstructured.NestedString(d.Object, path...)
	return s
}

// resolveKind finds the type of an object by its apiVersion and kind, exactly.
func (b *Backend) resolveKind(ctx context.Context, gvk schema.GroupVersionKind) (resourceType, error) {
	exactly := func(t resourceType) bool { return t.GroupVersion().WithKind(t.Kind) == gvk }
	types, broken, err := b.allTypes(ctx, false)
	if err == nil && !slices.ContainsFunc(types, exactly) {
		types, broken, err = b.allTypes(ctx, true)
	}
	if err != nil {
		return resourceType{}, err
	}
	if i := slices.IndexFunc(types, exactly); i >= 0 {
		return types[i], nil
	}
	var elsewhere []string
	for _, t := range types {
		if t.Kind == gvk.Kind {
			elsewhere = append(elsewhere, t.GroupVersion().String())
		}
	}
	if len(elsewhere) > 0 {
		return resourceType{}, mcpkit.Errorf(mcpkit.NotFound, "the cluster has no %s in apiVersion %s; it has one in %s", gvk.Kind, gvk.GroupVersion(), strings.Join(elsewhere, ", "))
	}
	return resourceType{}, unknownType(gvk.Kind, types, broken)
}

func isString(v any) bool { _, ok := v.(string); return ok }
