package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/types"
	sigsjson "sigs.k8s.io/json"
)

var labelResource = mcpkit.Tool{
	Name:        "k8s_label_resource",
	Title:       "Label a Kubernetes object",
	Description: "Sets labels of one object; others stay. The plan says whose selectors would pick or drop it. To take one away use k8s_remove_label.",
	Rules:       labelable,
	Idempotent:  true,
}

var removeLabel = mcpkit.Tool{
	Name:        "k8s_remove_label",
	Title:       "Remove a label from a Kubernetes object",
	Description: "Takes one label off one object. The plan says whose selectors would pick or drop it.",
	Rules:       labelable,
	Idempotent:  true,
}

// labelable is what people label and annotate; nodes are placed by labels.
var labelable = append(changeable("patch"),
	mcpkit.Rule{Groups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "patch"}})

type LabelResourceIn struct {
	Ref
	Labels KeyValues `json:"labels" jsonschema:"such as {\"tier\": \"web\"}, or text: tier=web env=prod"`
}

func (LabelResourceIn) Constrain(p mcpkit.Properties) {
	p["labels"] = keyValues(p["labels"].Description)
}

type RemoveLabelIn struct {
	Ref
	LabelKey string `json:"label_key"`
}

func (RemoveLabelIn) Constrain(p mcpkit.Properties) {
	p["label_key"].Description, p["label_key"].MinLength = "such as tier or app.example.com/tier", new(1)
}

func (b *Backend) planLabel(ctx context.Context, in LabelResourceIn) (mcpkit.Plan, error) {
	return b.planMetadata(ctx, in.Ref, "labels", in.Labels)
}

func (b *Backend) planRemoveLabel(ctx context.Context, in RemoveLabelIn) (mcpkit.Plan, error) {
	return b.planMetadata(ctx, in.Ref, "labels", map[string]any{in.LabelKey: nil})
}

// planMetadata plans to set labels or annotations, nil removing one.
func (b *Backend) planMetadata(ctx context.Context, ref Ref, field string, values any) (mcpkit.Plan, error) {
	ch, err := b.changeOf(ctx, patching, ref)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	ch.patchType = types.MergePatchType
	if ch.patch, err = json.Marshal(map[string]any{"metadata": map[string]any{field: values}}); err != nil {
		return mcpkit.Plan{}, fmt.Errorf("encode %s: %w", field, err)
	}
	return b.plan(ctx, ch)
}

// KeyValues are labels or annotations as a model may write them: an object of
// strings, or text such as "tier=web env=prod".
type KeyValues map[string]string

// UnmarshalJSON reads both forms.
func (kv *KeyValues) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		parsed, err := parseKeyValues(s)
		*kv = parsed
		return err
	}
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*kv = m
	if len(m) == 0 {
		return noKeyValues
	}
	return nil
}

var noKeyValues = mcpkit.Errorf(mcpkit.Invalid, `there is nothing to set; write an object such as {"tier": "web"}, or text such as tier=web env=prod`)

// parseKeyValues reads "k=v k2=v2", or an object written as text.
func parseKeyValues(s string) (KeyValues, error) {
	if strings.HasPrefix(strings.TrimSpace(s), "{") {
		var m map[string]string
		wrong, err := sigsjson.UnmarshalStrict([]byte(s), &m)
		if err = errors.Join(append(wrong, err)...); err != nil {
			return nil, mcpkit.Errorf(mcpkit.Invalid, "%q is not an object of strings: %w", s, err)
		}
		if len(m) == 0 {
			return nil, noKeyValues
		}
		return m, nil
	}
	out := KeyValues{}
	for _, word := range strings.Fields(s) {
		key, value, ok := strings.Cut(word, "=")
		_, twice := out[key]
		switch {
		case !ok || key == "":
			return nil, mcpkit.Errorf(mcpkit.Invalid, `%q is not key=value; a value that holds spaces needs the form of an object, {"key": "the value"}`, word)
		case twice:
			return nil, mcpkit.Errorf(mcpkit.Invalid, "%q is given twice", key)
		case strings.ContainsAny(value, `"'`):
			return nil, mcpkit.Errorf(mcpkit.Invalid, `%q holds a quote, which would become part of the value; write an object, {"key": "the value"}`, word)
		}
		out[key] = value
	}
	if len(out) == 0 {
		return nil, noKeyValues
	}
	return out, nil
}

// keyValues is the schema of KeyValues.
func keyValues(description string) *jsonschema.Schema {
	return &jsonschema.Schema{Description: description, AnyOf: []*jsonschema.Schema{
		{Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "string"}},
		{Type: "string"},
	}}
}
