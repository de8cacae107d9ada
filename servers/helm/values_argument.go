package helm

import (
	"encoding/json"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/toolcrib/toolcrib/mcpkit"
	"sigs.k8s.io/yaml"
)

// Values are a chart's values as a model may write them: an object, or the text
// of a values file. A null takes a default of the chart away.
type Values map[string]any

// UnmarshalJSON reads both forms.
func (v *Values) UnmarshalJSON(b []byte) error {
	text := b
	var quoted string
	if json.Unmarshal(b, &quoted) == nil {
		text = []byte(quoted)
	}
	raw, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, "values are not YAML: %w", err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, `values must be an object such as {"replicas": 2}, never the path of a file`)
	}
	*v = out
	return nil
}

// constrainValues states both forms in a tool's schema.
func constrainValues(p mcpkit.Properties) {
	p["values"] = &jsonschema.Schema{Description: p["values"].Description, AnyOf: []*jsonschema.Schema{{Type: "object"}, {Type: "string"}}}
}
