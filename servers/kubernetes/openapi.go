package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/openapi"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// schemas are the OpenAPI v3 schemas that one call needs, read once each and
// dropped with the call: they take megabytes, and change with every CRD.
type schemas struct {
	groups map[string]openapi.GroupVersionWithContext
	read   map[schema.GroupVersion]definitions
}

// definitions are the schemas of a group version by name. Each is decoded when
// it is first looked at.
type definitions map[string]*component

type component struct {
	raw     json.RawMessage
	decoded *spec.Schema
}

func (b *Backend) schemas(ctx context.Context) (*schemas, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	groups, err := c.discovery.OpenAPIV3WithContext(ctx).PathsWithContext(ctx)
	if err != nil {
		return nil, translate(err, "read the API's schemas")
	}
	return &schemas{groups, map[schema.GroupVersion]definitions{}}, nil
}

// of is the schema of a type's objects.
func (s *schemas) of(ctx context.Context, t resourceType) (shape, error) {
	doc, err := s.definitions(ctx, t.GroupVersion())
	if err != nil {
		return shape{}, err
	}
	for _, c := range doc {
		if c.describes(t.GroupVersion().WithKind(t.Kind)) {
			return doc.shape(c.schema()), nil
		}
	}
	return shape{}, mcpkit.Errorf(mcpkit.NotFound, "the API server publishes no schema of %s in %s", t.Kind, t.GroupVersion())
}

func (s *schemas) definitions(ctx context.Context, gv schema.GroupVersion) (definitions, error) {
	if doc, ok := s.read[gv]; ok {
		return doc, nil
	}
	path := "apis/" + gv.String()
	if gv.Group == "" {
		path = "api/" + gv.Version
	}
	group, ok := s.groups[path]
	if !ok {
		return nil, mcpkit.Errorf(mcpkit.NotFound, "the API server publishes no schemas of %s", gv)
	}
	raw, err := group.SchemaWithContext(ctx, runtime.ContentTypeJSON)
	if err != nil {
		return nil, translate(err, "read the schemas of "+gv.String())
	}
	var all struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the schemas of %s cannot be read: %w", gv, err)
	}
	doc := definitions{}
	for name, raw := range all.Components.Schemas {
		doc[name] = &component{raw: raw}
	}
	s.read[gv] = doc
	return doc, nil
}

const kindsExtension = "x-kubernetes-group-version-kind"

// describes reports whether the schema is that of a kind's objects.
func (c *component) describes(gvk schema.GroupVersionKind) bool {
	if !bytes.Contains(c.raw, []byte(kindsExtension)) || !bytes.Contains(c.raw, []byte(`"`+gvk.Kind+`"`)) {
		return false
	}
	var kinds struct {
		List []schema.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
	}
	return json.Unmarshal(c.raw, &kinds) == nil && slices.Contains(kinds.List, gvk)
}

// schema decodes the component. One that cannot be decoded describes nothing,
// so that anything goes.
func (c *component) schema() *spec.Schema {
	if c.decoded == nil {
		c.decoded = &spec.Schema{}
		if err := json.Unmarshal(c.raw, c.decoded); err != nil {
			c.decoded = &spec.Schema{}
		}
	}
	return c.decoded
}

// shape is a schema with its references followed.
type shape struct {
	*spec.Schema
	doc  definitions
	name string // of the component it is, if it is one
}

// shape follows references. The API server wraps one in allOf where it adds a
// description or a default.
func (d definitions) shape(s *spec.Schema) shape {
	if s == nil {
		s = &spec.Schema{}
	}
	ref := s.Ref.String()
	if ref == "" && len(s.AllOf) == 1 {
		ref = s.AllOf[0].Ref.String()
	}
	target := d[strings.TrimPrefix(ref, "#/components/schemas/")]
	if target == nil {
		return shape{Schema: s, doc: d}
	}
	followed := *target.schema()
	if s.Description != "" {
		followed.Description = s.Description
	}
	if s.Default != nil {
		followed.Default = s.Default
	}
	return shape{Schema: &followed, doc: d, name: strings.TrimPrefix(ref, "#/components/schemas/")}
}

// field is the shape under a key of an object, and whether the schema has one.
func (s shape) field(key string) (shape, bool) {
	if p, ok := s.Properties[key]; ok {
		return s.doc.shape(&p), true
	}
	if extra := s.AdditionalProperties; extra != nil && (extra.Schema != nil || extra.Allows) {
		return s.doc.shape(extra.Schema), true
	}
	return shape{}, false
}

// item is the shape of a list's items.
func (s shape) item() shape {
	if s.Items == nil {
		return s.doc.shape(nil)
	}
	return s.doc.shape(s.Items.Schema)
}

func (s shape) is(kind string) bool { return slices.Contains(s.Type, kind) }

func (s shape) extension(name string) bool {
	on, _ := s.Extensions.GetBool(name)
	return on
}

// free reports whether keys that the schema does not name are kept.
func (s shape) free() bool {
	return s.extension("x-kubernetes-preserve-unknown-fields") || s.extension("x-kubernetes-embedded-resource") ||
		len(s.Properties) == 0 && s.AdditionalProperties == nil
}

func (s shape) intOrString() bool {
	return s.extension("x-kubernetes-int-or-string") || s.Format == "int-or-string"
}

func (s shape) quantity() bool { return strings.HasSuffix(s.name, ".resource.Quantity") }

// typeName says what a value is in a word or two.
func (s shape) typeName() string {
	switch {
	case s.quantity():
		return "quantity"
	case s.intOrString():
		return "integer or string"
	case s.is("array"):
		return "list of " + s.item().typeName()
	case s.mapped():
		return "map of " + s.doc.shape(s.AdditionalProperties.Schema).typeName()
	case s.Format == "date-time":
		return "time"
	case s.Format == "byte":
		return "base64"
	case len(s.Type) == 1:
		return s.Type[0]
	}
	return "any"
}
