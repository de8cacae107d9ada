package helm

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"github.com/toolcrib/toolcrib/mcpkit"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// chartValues are a copy of a caller's values for Helm, which writes into what it
// is given. Numbers stay the floats that Helm makes of them too, for charts
// look at their type: 1000000 is rendered as 1e+06, as Helm's own program does.
func chartValues(given map[string]any) map[string]any {
	out := make(map[string]any, len(given))
	for k, v := range given {
		out[k] = chartValue(v)
	}
	return out
}

func chartValue(v any) any {
	switch x := v.(type) {
	case map[string]any:
		return chartValues(x)
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = chartValue(x[i])
		}
		return out
	}
	return v
}

// maxFaults is how many faults of values one answer names.
const maxFaults = 20

// checkValues holds given values, over the chart's own, to the schemas of the
// chart and its subcharts, and names all faults at once. Unlike Helm's own
// check it fetches nothing: a schema could otherwise make this server read any
// file or URL, so that whoever renders or installs a chart must skip Helm's.
func checkValues(c *chart.Chart, given map[string]any) error {
	all, err := chartutil.CoalesceValues(c, given)
	if err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, "the values do not fit chart %s: %w", c.Name(), err)
	}
	faults, err := schemaFaults(c, all, "")
	if err != nil {
		return err
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	faults = slices.Compact(faults)
	text := fmt.Sprintf("values do not fit the schema of chart %s (values.schema.json):\n- %s", c.Name(), strings.Join(faults[:min(maxFaults, len(faults))], "\n- "))
	if len(faults) > maxFaults {
		text += fmt.Sprintf("\nand %d more", len(faults)-maxFaults)
	}
	return mcpkit.Errorf(mcpkit.Invalid, "%s", text)
}

// schemaFaults are the faults of values below path, by the schema of c and
// those of its subcharts.
func schemaFaults(c *chart.Chart, values map[string]any, path string) ([]string, error) {
	var faults []string
	if len(c.Schema) > 0 {
		schema, err := compileSchema(c.Schema)
		if err != nil {
			return nil, mcpkit.Errorf(mcpkit.Invalid, "values.schema.json of chart %s cannot be used: %w. Schemas that lie outside the chart are not fetched", c.Name(), err)
		}
		if invalid, ok := schema.Validate(values).(*jsonschema.ValidationError); ok {
			faults = leaves(invalid, path)
		}
	}
	for _, sub := range c.Dependencies() {
		below, ok := values[sub.Name()].(map[string]any)
		if !ok {
			continue
		}
		more, err := schemaFaults(sub, below, path+sub.Name()+".")
		if err != nil {
			return nil, err
		}
		faults = append(faults, more...)
	}
	return faults, nil
}

type noLoader struct{}

func (noLoader) Load(url string) (any, error) { return nil, fmt.Errorf("it refers to %s", url) }

func compileSchema(raw []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	const name = "chart:///values.schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(name, document); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}

// leaves are the faults at the bottom of e, which the ones above only repeat.
func leaves(e *jsonschema.ValidationError, path string) []string {
	if len(e.Causes) > 0 {
		var out []string
		for _, cause := range e.Causes {
			out = append(out, leaves(cause, path)...)
		}
		return out
	}
	at := strings.TrimSuffix(path+strings.Join(e.InstanceLocation, "."), ".")
	if at == "" {
		at = "values"
	}
	switch k := e.ErrorKind.(type) { // these two repeat the value, which may be a secret
	case *kind.Pattern:
		return []string{fmt.Sprintf("%s (does not match pattern %s)", at, k.Want)}
	case *kind.Format:
		return []string{fmt.Sprintf("%s (is not a valid %s)", at, k.Want)}
	}
	why := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	return []string{at + " (" + why + ")"}
}

// unknownValues are findings about given values that the chart does not know:
// they would change nothing, which is seldom what their author meant.
func unknownValues(c *chart.Chart, given map[string]any) []string {
	known := knownKeys(c)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if slices.Contains(known, key) || usedInTemplates(c, key) {
			continue
		}
		text := fmt.Sprintf("value %q is unknown to chart %s and changes nothing", key, c.Name())
		if near := mcpkit.Nearest(key, known); len(near) > 0 {
			text += "; did you mean " + near[0] + "?"
		}
		out = append(out, text)
	}
	return append(out, misspelt(c.Values, given, "")...)
}

// knownKeys are the values a chart has at the top.
func knownKeys(c *chart.Chart) []string {
	known := map[string]any{"global": nil}
	maps.Copy(known, c.Values)
	for _, d := range c.Metadata.Dependencies {
		known[d.Name] = nil
		if d.Alias != "" {
			known[d.Alias] = nil
		}
		if len(d.Tags) > 0 {
			known["tags"] = nil
		}
	}
	for _, sub := range c.Dependencies() {
		known[sub.Name()] = nil
	}
	if document, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema)); err == nil {
		schema, _ := document.(map[string]any)
		properties, _ := schema["properties"].(map[string]any)
		for key := range properties {
			known[key] = nil
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// usedInTemplates reports whether any template speaks of .Values.key, or of
// values as a whole.
func usedInTemplates(c *chart.Chart, key string) bool {
	used := regexp.MustCompile(`\.Values\.` + regexp.QuoteMeta(key) + `\b|\.Values[\s)]`)
	return slices.ContainsFunc(c.Templates, func(f *chart.File) bool { return used.Match(f.Data) })
}

// misspelt are given keys below the top that are not in defaults and much like
// one that is. Others may be meant: labels, say, are anybody's.
func misspelt(defaults, given map[string]any, path string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(given)) {
		inner, isMap := given[key].(map[string]any)
		below, known := defaults[key].(map[string]any)
		if isMap && known {
			out = append(out, misspelt(below, inner, path+key+".")...)
			continue
		}
		if _, known := defaults[key]; known || path == "" {
			continue
		}
		free := slices.DeleteFunc(slices.Sorted(maps.Keys(defaults)), func(k string) bool { _, taken := given[k]; return taken })
		if near := mcpkit.Nearest(key, free); len(near) > 0 {
			out = append(out, fmt.Sprintf("value %q is not among the chart's own; did you mean %s?", path+key, path+near[0]))
		}
	}
	return out
}
