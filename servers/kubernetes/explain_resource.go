package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var explainResource = mcpkit.Tool{
	Name:        "k8s_explain_resource",
	Title:       "Explain a resource type",
	Description: "The fields of a type, or of one field of it, from the cluster's own schema, CRDs included: types, defaults, what is required or allowed.",
	Narrow:      "give the path of the part you need, or less depth",
	// Schemas are everybody's, like discovery: no rule.
}

type ExplainResourceIn struct {
	ResourceType string `json:"resource_type" jsonschema:"any type, such as deploy or widgets.v1.example.com"`
	Path         string `json:"path,omitempty" jsonschema:"a field, such as spec.template.spec.containers"`
	Depth        int    `json:"depth,omitempty" jsonschema:"levels below it; 1 if absent; more leaves descriptions out"`
}

func (ExplainResourceIn) Constrain(p mcpkit.Properties) {
	p["depth"].Minimum, p["depth"].Maximum = new(1.0), new(10.0)
}

type ExplainResourceOut struct {
	Kind        string `json:"kind"`
	APIVersion  string `json:"api_version"`
	Path        string `json:"path,omitempty"`
	Type        string `json:"type"`
	Description string `json:"description,omitempty"`
	mcpkit.Left
	Rules  []string      `json:"rules,omitempty" jsonschema:"what the API server checks besides, in words"`
	Fields *mcpkit.Table `json:"fields,omitempty" jsonschema:"fields below it; deeper ones indented"`
}

func (b *Backend) explainResource(ctx context.Context, in ExplainResourceIn) (ExplainResourceOut, error) {
	t, path, err := b.resolveWithPath(ctx, in.ResourceType, in.Path)
	if err != nil {
		return ExplainResourceOut{}, err
	}
	steps, err := parseFieldPath(path)
	if err != nil {
		return ExplainResourceOut{}, err
	}
	mcpkit.SetTarget(ctx, "schema of "+t.String())
	api, err := b.schemas(ctx)
	if err != nil {
		return ExplainResourceOut{}, err
	}
	root, err := api.of(ctx, t)
	if err != nil {
		return ExplainResourceOut{}, err
	}
	at, err := root.at(t.Kind, steps)
	if err != nil {
		return ExplainResourceOut{}, err
	}
	out := ExplainResourceOut{
		Kind: t.Kind, APIVersion: t.GroupVersion().String(), Path: path, Type: at.constraints(false, len(at.Enum)),
		Description: strings.TrimSpace(at.Description), Rules: at.rules(),
	}
	x := explanation{depth: cmp.Or(in.Depth, 1), whole: len(steps) == 0, opened: map[string]string{}}
	x.below(at.inner(), "", 0)
	out.Fields = x.table()
	return out, nil
}

// resolveWithPath finds the type, also where its name and the path come as one,
// as kubectl explain takes them: deployments.spec.template.
func (b *Backend) resolveWithPath(ctx context.Context, name, path string) (resourceType, string, error) {
	t, err := b.resolve(ctx, name)
	head, rest, dotted := strings.Cut(name, ".")
	if err == nil || path != "" || !dotted {
		return t, path, err
	}
	if short, shortErr := b.resolve(ctx, head); shortErr == nil {
		return short, rest, nil
	}
	return t, path, err
}

// at follows steps down from s, through lists and maps. Where a key is not in
// the schema it says which are.
func (s shape) at(kind string, steps []fieldStep) (shape, error) {
	way := ""
	for _, step := range steps {
		for s.is("array") {
			s = s.item()
		}
		if step.item {
			continue
		}
		next, ok := s.field(step.key)
		if !ok {
			return shape{}, s.noField(kind, way, step.key)
		}
		way, s = joined(way, step.key), next
	}
	return s, nil
}

func (s shape) noField(kind, way, key string) error {
	names := sortedKeys(s.Properties)
	where := strings.TrimSuffix(kind+"."+way, ".")
	switch near := mcpkit.Nearest(key, names); {
	case len(near) > 0:
		return mcpkit.Errorf(mcpkit.NotFound, "%s has no field %s; the nearest are %s", where, shown(key), strings.Join(near, ", "))
	case len(names) > 0:
		return mcpkit.Errorf(mcpkit.NotFound, "%s has no field %s; it has %s", where, shown(key), strings.Join(names, ", "))
	case s.free() && !s.scalar():
		return mcpkit.Errorf(mcpkit.NotFound, "%s takes any fields; its schema names none", where)
	}
	return mcpkit.Errorf(mcpkit.NotFound, "%s is a %s and has no fields", where, s.typeName())
}

func (s shape) scalar() bool { return len(s.Type) > 0 && !s.is("object") && !s.is("array") }

// explanation gathers rows depth levels deep.
type explanation struct {
	depth  int
	whole  bool // of a whole type: its envelope is left out and spec is opened at once
	rows   [][]string
	opened map[string]string // components opened already, by the field they were opened at
}

const (
	maxExplained = 1000 // rows; a pod has thousands of fields
	shownEnum    = 8    // values of a field in a row; its own path shows all
)

func (x *explanation) below(s shape, path string, level int) {
	for _, name := range sortedKeys(s.Properties) {
		if x.whole && level == 0 && (name == "apiVersion" || name == "kind" || name == "metadata") {
			continue
		}
		if len(x.rows) == maxExplained {
			return
		}
		field, _ := s.field(name)
		is, at := field.constraints(slices.Contains(s.Required, name), shownEnum), joined(path, name)
		inner, open := field.inner(), level+1 < x.depth || x.whole && at == "spec"
		before, known := x.opened[inner.name]
		if open && known { // also what ends schemas that contain themselves
			is, open = is+"; as "+before, false
		}
		x.rows = append(x.rows, []string{strings.Repeat("  ", level) + name, is, firstSentence(field.Description)})
		if open {
			if inner.name != "" && len(inner.Properties) > 0 {
				x.opened[inner.name] = at
			}
			x.below(inner, at, level+1)
		}
	}
}

// inner is what a shape is a list or a map of, or else the shape itself.
func (s shape) inner() shape {
	for {
		switch {
		case s.is("array"):
			s = s.item()
		case s.mapped():
			s = s.doc.shape(s.AdditionalProperties.Schema)
		default:
			return s
		}
	}
}

// mapped reports whether the shape is a map, whose keys are for its user.
func (s shape) mapped() bool {
	return s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil && len(s.Properties) == 0
}

// table is nil when there is nothing below. Deeper looks leave the descriptions
// to a second question.
func (x *explanation) table() *mcpkit.Table {
	if len(x.rows) == 0 {
		return nil
	}
	t := &mcpkit.Table{Columns: []string{"field", "type", "description"}, Rows: x.rows}
	if x.depth > 1 {
		t.Columns = t.Columns[:2]
		for i := range t.Rows {
			t.Rows[i] = t.Rows[i][:2]
		}
	}
	return t
}

// constraints is a field's type and what its values are held to.
// Of the values it may take most are named.
func (s shape) constraints(required bool, most int) string {
	parts := []string{s.typeName()}
	if required {
		parts = append(parts, "required")
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum[:min(most, len(s.Enum))] {
			values = append(values, cellText(v))
		}
		parts = append(parts, "one of "+strings.Join(values, ", ")+more(len(s.Enum)-most))
	}
	if d := cellText(s.Default); d != "" && d != "{}" && d != "[]" && d != "0" && d != "false" {
		parts = append(parts, "default "+d)
	}
	parts = appendBound(parts, "at least ", s.Minimum, s.ExclusiveMinimum)
	parts = appendBound(parts, "at most ", s.Maximum, s.ExclusiveMaximum)
	for _, length := range []struct {
		words string
		n     *int64
	}{{"at least %d characters", s.MinLength}, {"at most %d characters", s.MaxLength}, {"at least %d items", s.MinItems}, {"at most %d items", s.MaxItems}} {
		if length.n != nil {
			parts = append(parts, fmt.Sprintf(length.words, *length.n))
		}
	}
	if s.Pattern != "" {
		parts = append(parts, "matching "+s.Pattern)
	}
	return strings.Join(parts, "; ")
}

func appendBound(parts []string, words string, bound *float64, exclusive bool) []string {
	if bound == nil {
		return parts
	}
	words += strconv.FormatFloat(*bound, 'f', -1, 64)
	if exclusive {
		words += " exclusive"
	}
	return append(parts, words)
}

// rules are the CEL rules of a field, by message or else as written.
func (s shape) rules() []string {
	raw, _ := json.Marshal(s.Extensions["x-kubernetes-validations"]) // decoded from JSON a moment ago
	var rules []struct{ Rule, Message string }
	_ = json.Unmarshal(raw, &rules) // what is no list of rules is none
	var out []string
	for _, r := range rules {
		out = append(out, cmp.Or(r.Message, r.Rule))
	}
	return out
}

// firstSentence is what a description begins with, on one line.
func firstSentence(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n\n")
	s = strings.Join(strings.Fields(s), " ")
	if head, _, ok := strings.Cut(s, ". "); ok {
		s = head
	}
	const most = 160
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strings.TrimSuffix(s, ".")
}
