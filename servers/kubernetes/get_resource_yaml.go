package kubernetes

import (
	"context"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var getResourceYAML = mcpkit.Tool{
	Name:        "k8s_get_resource_yaml",
	Title:       "Get a Kubernetes object as YAML",
	Description: "One whole object as YAML, or only the fields asked for. Secret values come as fingerprints.",
	Narrow:      "ask for parts with fields",
	Rules:       readable,
}

type GetResourceYAMLIn struct {
	Ref
	Fields        []string `json:"fields,omitempty" jsonschema:"only these, as JSONPath: .spec.template.spec.containers[*].resources"`
	Status        *bool    `json:"status,omitempty" jsonschema:"false leaves the status out"`
	ManagedFields bool     `json:"managed_fields,omitempty" jsonschema:"managedFields and last-applied-configuration too"`
}

func (GetResourceYAMLIn) Constrain(p mcpkit.Properties) {
	p["fields"].MaxItems = new(20)
}

type GetResourceYAMLOut struct {
	mcpkit.Left
	Absent []string      `json:"absent,omitempty" jsonschema:"fields the object does not have"`
	Fields mcpkit.Object `json:"fields,omitempty"`
	Object mcpkit.Object `json:"object,omitempty"`
}

func (b *Backend) getResourceYAML(ctx context.Context, in GetResourceYAMLIn) (GetResourceYAMLOut, error) {
	var paths []path
	for _, f := range in.Fields {
		p, err := parsePath(f)
		if err != nil {
			return GetResourceYAMLOut{}, err
		}
		paths = append(paths, p)
	}
	o, _, err := b.get(ctx, in.Ref)
	if err != nil {
		return GetResourceYAMLOut{}, err
	}
	if !in.ManagedFields {
		withoutBookkeeping(o)
	}
	if in.Status != nil && !*in.Status {
		delete(o.Object, "status")
	}
	if len(paths) == 0 {
		return GetResourceYAMLOut{Object: o.Object}, nil
	}
	return picked(mcpkit.Redact(ctx, o.Object), paths), nil
}

// withoutBookkeeping takes out what repeats the object for other programs' use.
func withoutBookkeeping(o *unstructured.Unstructured) {
	o.SetManagedFields(nil)
	annotations := o.GetAnnotations()
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
	if len(annotations) == 0 {
		annotations = nil
	}
	o.SetAnnotations(annotations)
}

// picked is what paths find in an object. The object must be redacted already:
// a part does not say any more what it is a part of.
func picked(o mcpkit.Object, paths []path) GetResourceYAMLOut {
	out := GetResourceYAMLOut{Fields: mcpkit.Object{}}
	for _, p := range paths {
		switch values := p.values(o); len(values) {
		case 0:
			out.Absent = append(out.Absent, p.name)
		case 1:
			out.Fields[p.name] = values[0]
		default:
			out.Fields[p.name] = values
		}
	}
	return out
}
