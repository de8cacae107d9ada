package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	fieldpath "k8s.io/apimachinery/pkg/util/validation/field"
)

var validateManifest = mcpkit.Tool{
	Name:        "k8s_validate_manifest",
	Title:       "Validate a manifest",
	Description: "Holds YAML or JSON against the cluster's schemas and says everything that is wrong, with paths. Nothing is sent to be created, so admission, quotas and clashes with what is there stay unchecked.",
	Narrow:      "validate fewer documents at once",
	// Schemas are everybody's, like discovery: no rule.
}

type ValidateManifestIn struct {
	Manifest string `json:"manifest" jsonschema:"one or more documents"`
}

type ValidateManifestOut struct {
	Valid   bool `json:"valid"`
	Objects int  `json:"objects" jsonschema:"how many were checked"`
	mcpkit.Left
	NotChecked []string      `json:"not_checked,omitempty"`
	Problems   *mcpkit.Table `json:"problems,omitempty"`
}

func (b *Backend) validateManifest(ctx context.Context, in ValidateManifestIn) (ValidateManifestOut, error) {
	parsed, err := parseDocuments("manifest", in.Manifest)
	if err != nil {
		return ValidateManifestOut{}, err
	}
	objects := flattened(parsed)
	if len(objects) == 0 {
		return ValidateManifestOut{}, mcpkit.Errorf(mcpkit.Invalid, "manifest holds no object")
	}
	api, err := b.schemas(ctx)
	if err != nil {
		return ValidateManifestOut{}, err
	}
	out := ValidateManifestOut{Objects: len(objects)}
	var rows [][]string
	for i, o := range objects {
		label := labelOf(i, o)
		problems, unchecked, err := b.problemsOf(ctx, api, o, objects)
		if err != nil {
			return ValidateManifestOut{}, err
		}
		for _, p := range problems {
			rows = append(rows, []string{label, p.path, p.text})
		}
		if unchecked != "" {
			out.NotChecked = append(out.NotChecked, label+": "+unchecked)
		}
	}
	if out.Valid = len(rows) == 0; !out.Valid {
		out.Problems = &mcpkit.Table{Columns: []string{"object", "path", "problem"}, Rows: rows}
	}
	return out, nil
}

// flattened takes Lists apart.
func flattened(parsed []any) []any {
	var out []any
	for _, v := range parsed {
		o, _ := v.(map[string]any)
		kind, _ := o["kind"].(string)
		items, isList := o["items"].([]any)
		if strings.HasSuffix(kind, "List") && isList {
			out = append(out, flattened(items)...)
			continue
		}
		out = append(out, v)
	}
	return out
}

// labelOf names an object by its place in the manifest and what it says it is.
func labelOf(i int, v any) string {
	label := fmt.Sprint(i + 1)
	o, _ := v.(map[string]any)
	if kind, _ := o["kind"].(string); kind != "" {
		label += " " + kind
		if name, _, _ := unstructured.NestedString(o, "metadata", "name"); name != "" {
			label += "/" + name
		}
	}
	return label
}

// problemsOf is all that is wrong with one object, and what could not be said
// of it. An error means that nothing could be checked at all.
func (b *Backend) problemsOf(ctx context.Context, api *schemas, v any, all []any) ([]problem, string, error) {
	o, gvk, problems := identified(v)
	if len(problems) > 0 {
		return problems, "", nil
	}
	t, err := b.resolveKind(ctx, gvk)
	var known *mcpkit.Error
	switch {
	case errors.As(err, &known) && known.Kind == mcpkit.NotFound:
		if definedIn(all, gvk) {
			return nil, "its type is only defined in this manifest", nil
		}
		return []problem{{"kind", known.Text}}, "", nil
	case err != nil:
		return nil, "", err
	}
	s, err := api.of(ctx, t)
	if errors.As(err, &known) && known.Kind == mcpkit.NotFound {
		return nil, known.Text, nil
	}
	if err != nil {
		return nil, "", err
	}
	problems, unchecked := checked(t, s, o)
	return problems, unchecked, nil
}

// identified reads what an object says it is.
func identified(v any) (map[string]any, schema.GroupVersionKind, []problem) {
	o, ok := v.(map[string]any)
	if !ok {
		return nil, schema.GroupVersionKind{}, []problem{{"", "must be an object with apiVersion and kind, not " + a(kindOf(v))}}
	}
	var problems []problem
	for _, key := range []string{"apiVersion", "kind"} {
		if text, _ := o[key].(string); text == "" {
			problems = append(problems, problem{key, "is required, as a string"})
		}
	}
	if len(problems) > 0 {
		return o, schema.GroupVersionKind{}, problems
	}
	gv, err := schema.ParseGroupVersion(o["apiVersion"].(string))
	if err != nil {
		problems = []problem{{"apiVersion", "must be GROUP/VERSION, such as apps/v1, or v1"}}
	}
	return o, gv.WithKind(o["kind"].(string)), problems
}

// definedIn reports whether the manifest itself defines a kind.
func definedIn(all []any, gvk schema.GroupVersionKind) bool {
	for _, v := range all {
		o, _ := v.(map[string]any)
		group, _, _ := unstructured.NestedString(o, "spec", "group")
		kind, _, _ := unstructured.NestedString(o, "spec", "names", "kind")
		if o["kind"] == "CustomResourceDefinition" && group == gvk.Group && kind == gvk.Kind {
			return true
		}
	}
	return false
}

// checked is all that is wrong with an object of a type.
func checked(t resourceType, s shape, o map[string]any) ([]problem, string) {
	c := &schemaCheck{custom: groupRank(t.GroupVersion().String()) == addOnGroup, silent: t.Kind == "Secret"}
	c.check("", s, o)
	inMetadata := func(p problem) bool { return p.path == "metadata" || strings.HasPrefix(p.path, "metadata.") }
	if !slices.ContainsFunc(c.problems, inMetadata) {
		c.metadata(t, o)
	}
	c.selector(o)
	if c.rules > 0 {
		return c.problems, fmt.Sprintf("%d CEL rules of %s; k8s_explain_resource shows them", c.rules, t.Kind)
	}
	return c.problems, ""
}

// metadata asks the API server's own rules about names, labels and the rest.
func (c *schemaCheck) metadata(t resourceType, o map[string]any) {
	var m struct {
		metav1.ObjectMeta `json:"metadata"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(map[string]any{"metadata": o["metadata"]}, &m); err != nil {
		c.found("metadata", "cannot be read: %v", err)
		return
	}
	switch { // the API server fills in the one and drops the other
	case !t.Namespaced:
		m.Namespace = ""
	case m.Namespace == "":
		m.Namespace = metav1.NamespaceDefault
	}
	for _, err := range apivalidation.ValidateObjectMeta(&m.ObjectMeta, t.Namespaced, nameRule(t), fieldpath.NewPath("metadata")) {
		text, _, _ := strings.Cut(err.ErrorBody(), ", regex used for validation is")
		c.found(err.Field, "%s", text)
	}
}

// nameRule is what the type's names are held to. It is never stricter than the
// API server.
func nameRule(t resourceType) apivalidation.ValidateNameFunc {
	switch t.GroupResource().String() {
	case "services", "namespaces":
		return apivalidation.NameIsDNSLabel
	case "ipaddresses.networking.k8s.io", "apiservices.apiregistration.k8s.io":
		return partOfPath
	}
	if t.Group == "rbac.authorization.k8s.io" {
		return partOfPath
	}
	return apivalidation.NameIsDNSSubdomain
}

// partOfPath is the one rule for names that need not be DNS names.
func partOfPath(name string, prefix bool) []string {
	if prefix {
		return content.IsPathSegmentPrefix(name)
	}
	return content.IsPathSegmentName(name)
}

// selector finds the workload that would not own its own pods, which no schema
// can say and the API server refuses.
func (c *schemaCheck) selector(o map[string]any) {
	raw, hasSelector, _ := unstructured.NestedMap(o, "spec", "selector")
	given, hasTemplate, _ := unstructured.NestedStringMap(o, "spec", "template", "metadata", "labels")
	if _, template, _ := unstructured.NestedMap(o, "spec", "template", "spec"); !hasSelector || !hasTemplate && !template {
		return
	}
	var s metav1.LabelSelector
	if runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &s) != nil {
		return
	}
	if selector, err := metav1.LabelSelectorAsSelector(&s); err == nil && !selector.Matches(labels.Set(given)) {
		c.found("spec.template.metadata.labels", "must match spec.selector (%s); they are %q", selector, pairs(given))
	}
}
