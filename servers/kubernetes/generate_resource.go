package kubernetes

import (
	"cmp"
	"context"
	_ "embed" // for skeletons.yaml
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var generateResource = mcpkit.Tool{
	Name:        "k8s_generate_resource",
	Title:       "Generate a manifest",
	Description: "A valid manifest of any type from the cluster's schema: what is required, plus the fields given. It does not read descriptions: give values in fields.",
	Narrow:      "give fewer fields",
	// Schemas are everybody's, like discovery: no rule.
}

type GenerateResourceIn struct {
	ResourceType        string        `json:"resource_type" jsonschema:"any type or short name"`
	ResourceName        string        `json:"resource_name,omitempty" jsonschema:"of the object; example if absent"`
	Namespace           string        `json:"namespace,omitempty" jsonschema:"left to the one who applies it if absent"`
	ResourceDescription string        `json:"resource_description,omitempty" jsonschema:"kept as an annotation"`
	Fields              mcpkit.Object `json:"fields,omitempty" jsonschema:"path to value: {\"spec.template.spec.containers[0].image\": \"nginx\"}"`
}

type GenerateResourceOut struct {
	ToFill []string `json:"to_fill,omitempty" jsonschema:"placeholders, and what each must be"`
	mcpkit.Left
	NotChecked string        `json:"not_checked,omitempty"`
	Manifest   mcpkit.Object `json:"manifest"`
}

// placeholder stands where only the caller knows the value.
const placeholder = "change-me"

// skeletonText is what the API server asks for beyond its schemas.
//
//go:embed skeletons.yaml
var skeletonText string

func (b *Backend) generateResource(ctx context.Context, in GenerateResourceIn) (GenerateResourceOut, error) {
	t, err := b.resolve(ctx, in.ResourceType)
	if err != nil {
		return GenerateResourceOut{}, err
	}
	api, err := b.schemas(ctx)
	if err != nil {
		return GenerateResourceOut{}, err
	}
	s, err := api.of(ctx, t)
	if err != nil {
		return GenerateResourceOut{}, err
	}
	o, err := in.skeleton(t)
	if err != nil {
		return GenerateResourceOut{}, err
	}
	for _, path := range sortedKeys(in.Fields) {
		if err := setField(o, s, t.Kind, path, in.Fields[path]); err != nil {
			return GenerateResourceOut{}, err
		}
	}
	if spec, ok := s.Properties["spec"]; ok && o["spec"] == nil && len(s.doc.shape(&spec).Required) > 0 {
		o["spec"] = map[string]any{} // optional to the schema, though what is in it is not
	}
	f := filling{}
	f.required("", s, o, 0)
	f.find("", s, o)
	problems, unchecked := checked(t, s, o)
	if err := f.blame(t, problems); err != nil {
		return GenerateResourceOut{}, err
	}
	if t.Kind == "Secret" && (o["data"] != nil || o["stringData"] != nil) {
		f.list = append(f.list, "data, stringData: values of Secrets are never shown; put them in again")
	}
	return GenerateResourceOut{Manifest: o, ToFill: f.list, NotChecked: unchecked}, nil
}

// skeleton is the least the API server takes for a new object of the type,
// before its schema is asked.
func (in GenerateResourceIn) skeleton(t resourceType) (map[string]any, error) {
	parsed, err := parseDocuments("skeletons", skeletonText)
	if err != nil {
		return nil, err
	}
	given, _ := in.Fields["metadata.name"].(string)
	name := cmp.Or(in.ResourceName, given, "example")
	head, tail, _ := strings.Cut(name, ".")
	words := map[string]string{"NAME": name, "HEAD": head, "TAIL": tail, "NAMESPACE": cmp.Or(in.Namespace, "default")}
	all, _ := parsed[0].(map[string]any)
	o, _ := worded(all[t.String()], words).(map[string]any)
	if o == nil {
		o = map[string]any{}
	}
	o["apiVersion"], o["kind"] = t.GroupVersion().String(), t.Kind
	metadata, _ := o["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		o["metadata"] = metadata
	}
	metadata["name"] = name
	if in.Namespace != "" && t.Namespaced {
		metadata["namespace"] = in.Namespace
	}
	if in.ResourceDescription != "" {
		metadata["annotations"] = map[string]any{"kubernetes.io/description": in.ResourceDescription}
	}
	return o, nil
}

// worded replaces words that stand alone in strings.
func worded(v any, words map[string]string) any {
	switch v := v.(type) {
	case string:
		if w, ok := words[v]; ok {
			return w
		}
	case map[string]any:
		for k := range v {
			v[k] = worded(v[k], words)
		}
	case []any:
		for i := range v {
			v[i] = worded(v[i], words)
		}
	}
	return v
}

// setField puts a value at a path of an object, making the objects and lists
// on the way. The schema must have the path.
func setField(o map[string]any, s shape, kind, path string, v any) error {
	steps, err := parseFieldPath(path)
	if err != nil {
		return err
	}
	if len(steps) == 0 || steps[0].item {
		return badPath(path, "it names no field")
	}
	if _, err := s.at(kind, steps); err != nil && !s.freeBelow(steps) {
		return err
	}
	return put(o, path, steps, whole(v))
}

// freeBelow reports whether the steps lead into a part that takes any fields.
func (s shape) freeBelow(steps []fieldStep) bool {
	for i := range steps {
		if at, err := s.at("", steps[:i]); err == nil && at.inner().free() && !at.inner().scalar() {
			return true
		}
	}
	return false
}

// put sets the value at steps below a container that is there already.
func put(at any, path string, steps []fieldStep, v any) error {
	step := steps[0]
	var next any
	if len(steps) > 1 {
		next = map[string]any{}
		if steps[1].item {
			next = []any{}
		}
	}
	o, isObject := at.(map[string]any)
	if !isObject || step.item {
		return badPath(path, "an index goes right after the list it is of")
	}
	if len(steps) == 1 {
		o[step.key] = v
		return nil
	}
	if !steps[1].item {
		if _, isObject := o[step.key].(map[string]any); !isObject {
			o[step.key] = next
		}
		return put(o[step.key], path, steps[1:], v)
	}
	list, _ := o[step.key].([]any)
	list, err := putItem(list, path, steps[1:], v)
	o[step.key] = list
	return err
}

// putItem sets the value at steps, the first of which is an item of the list.
func putItem(list []any, path string, steps []fieldStep, v any) ([]any, error) {
	index := max(steps[0].index, 0)
	for len(list) <= index {
		list = append(list, nil)
	}
	switch {
	case len(steps) == 1:
		list[index] = v
	case steps[1].item:
		inner, _ := list[index].([]any)
		inner, err := putItem(inner, path, steps[1:], v)
		list[index] = inner
		return list, err
	default:
		if _, isObject := list[index].(map[string]any); !isObject {
			list[index] = map[string]any{}
		}
		return list, put(list[index], path, steps[1:], v)
	}
	return list, nil
}

// whole turns the floats of JSON that are whole numbers into integers, which
// is what schemas mean by them.
func whole(v any) any {
	switch v := v.(type) {
	case float64:
		if i := int64(v); float64(i) == v {
			return i
		}
	case map[string]any:
		for k := range v {
			v[k] = whole(v[k])
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	}
	return v
}
