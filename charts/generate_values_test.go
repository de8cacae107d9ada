package charts

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// servers are the charts of servers, which share what is in common.
var servers = []string{"helm", "kubernetes", "prometheus"}

// others are the charts with values of their own that run no tool server.
var others = []string{"agents", "controller"}

const commonValues = "# What follows is the same for all servers: make generate copies it from charts/common.\n\n"

func TestGeneratedValues(t *testing.T) {
	common := read(t, "common/values.yaml")
	for _, chart := range servers {
		path := filepath.Join(chart, "values.yaml")
		own, _, _ := strings.Cut(read(t, path), commonValues)
		requireGolden(t, path, own+commonValues+common)
	}
}

// TestGeneratedSchemas leaves the properties that a chart has for itself.
func TestGeneratedSchemas(t *testing.T) {
	for _, chart := range servers {
		path := filepath.Join(chart, "values.schema.json")
		whole, own := schemaAt(t, "common/values.schema.json"), schemaAt(t, path)
		properties := whole["properties"].(map[string]any)
		for name, property := range own["properties"].(map[string]any) {
			if _, common := properties[name]; !common {
				properties[name] = property
			}
		}
		requireDefaults(whole, whole, chartAt(t, chart).Values)
		text, err := json.MarshalIndent(whole, "", "  ")
		require.NoError(t, err)
		requireGolden(t, path, string(text)+"\n")
	}
}

// requireDefaults has a schema, part of whole, ask for what is something by
// default, unless it allows null. To Helm null means "no default", and a template
// without a port or without clusterWide would open what its default keeps shut.
func requireDefaults(whole, schema, defaults map[string]any) {
	var required []string
	for name, value := range defaults {
		property := referred(whole, schema["properties"].(map[string]any)[name].(map[string]any))
		if inner, ok := value.(map[string]any); ok && property["properties"] != nil {
			requireDefaults(whole, property, inner)
		}
		if !allowsNothing(property, value) {
			required = append(required, name)
		}
	}
	if len(required) > 0 {
		slices.Sort(required)
		schema["required"] = required
	}
}

// allowsNothing reports whether a property whose default is value may be absent,
// as a list may that may be empty.
func allowsNothing(property map[string]any, value any) bool {
	types, _ := property["type"].([]any)
	if slices.Contains(types, any("null")) {
		return true
	}
	switch v := value.(type) {
	case []any:
		return property["minItems"] == nil
	case map[string]any:
		return property["properties"] == nil
	default:
		return v == nil || v == ""
	}
}

// referred is what a property is described by, in whole if it only refers to it.
func referred(whole, property map[string]any) map[string]any {
	ref, ok := property["$ref"].(string)
	if !ok {
		return property
	}
	return whole["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
}

// TestTheSchemaKnowsTheValues finds a value that the schema does not describe,
// and a property that no value has.
func TestTheSchemaKnowsTheValues(t *testing.T) {
	for _, chart := range append(others, servers...) {
		values := chartAt(t, chart).Values
		values["global"] = nil
		if slices.Contains(servers, chart) {
			values["crib"] = nil
		}
		schema := schemaAt(t, filepath.Join(chart, "values.schema.json"))
		require.ElementsMatch(t, keys(values), keys(schema["properties"].(map[string]any)), chart)
	}
}

func keys(m map[string]any) []string {
	var out []string
	for key := range maps.Keys(m) {
		out = append(out, key)
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func schemaAt(t *testing.T, path string) map[string]any {
	t.Helper()
	var schema map[string]any
	require.NoError(t, json.Unmarshal([]byte(read(t, path)), &schema), path)
	return schema
}
