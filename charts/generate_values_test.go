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
		text, err := json.MarshalIndent(whole, "", "  ")
		require.NoError(t, err)
		requireGolden(t, path, string(text)+"\n")
	}
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
