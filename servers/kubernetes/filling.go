package kubernetes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// filling puts placeholders where a schema requires a value and none is given.
type filling struct {
	paths []string // of the placeholders
	list  []string // of the placeholders, with what each must be
}

// maxFillDepth ends schemas that require themselves.
const maxFillDepth = 30

// required gives an object, and all that is in it, what its schema requires.
func (f *filling) required(path string, s shape, v any, depth int) {
	if depth > maxFillDepth {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range s.Required {
			if v[name] == nil {
				field, _ := s.field(name)
				v[name] = f.value(joined(path, name), field)
			}
		}
		for _, key := range sortedKeys(v) {
			if field, ok := s.field(key); ok {
				f.required(joined(path, key), field, v[key], depth+1)
			}
		}
	case []any:
		for i := range v {
			if v[i] == nil { // an item nobody gave, before one that was
				v[i] = f.value(item(path, i), s.item())
			}
			f.required(item(path, i), s.item(), v[i], depth+1)
		}
	}
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// value is something of the schema's type. What is inside it is filled later.
func (f *filling) value(path string, s shape) any {
	switch {
	case s.is("object") || s.mapped():
		return map[string]any{}
	case s.is("array"):
		return []any{nil}
	}
	if d := cellText(s.Default); d != "" && d != "0" && d != "{}" {
		return s.Default
	}
	f.paths = append(f.paths, path)
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.quantity():
		return "1"
	case s.intOrString(), s.is("integer"), s.is("number"):
		return least(s)
	case s.is("boolean"):
		return false
	case s.is("string"):
		return sampleText(s)
	}
	return map[string]any{}
}

// least is the smallest number from 1 that a schema takes.
func least(s shape) int64 {
	n := int64(1)
	if s.Minimum != nil {
		n = max(n, int64(*s.Minimum))
		if s.ExclusiveMinimum && float64(n) <= *s.Minimum {
			n++
		}
	}
	if s.Maximum != nil && float64(n) > *s.Maximum {
		n = int64(*s.Maximum)
	}
	return n
}

// sampleTexts are tried in turn where a pattern or a format must be met.
var sampleTexts = []string{
	placeholder, "changeme", "ChangeMe", "CHANGE_ME", "change", "example.com", "example.com/change-me", "change-me.example.com",
	"a", "aaa", "A", "AAA", "1", "v1", "1s", "10m", "1h", "1Gi", "100m", "0", "10%", "1.0.0", "/change-me", "https://example.com",
	"change-me@example.com", "10.0.0.1", "10.0.0.0/24", "0 3 * * *", "Y2hhbmdlLW1l", "2026-01-01T00:00:00Z", "2026-01-01", "00:00",
	"00000000-0000-0000-0000-000000000000",
}

// sampleText is a text the schema takes, where one of the samples is.
func sampleText(s shape) string {
	for _, text := range sampleTexts {
		c := schemaCheck{custom: true}
		if c.value("", s, text); len(c.problems) == 0 {
			return text
		}
	}
	if s.MinLength != nil && s.Pattern == "" && *s.MinLength < 100 {
		return strings.Repeat("x", int(*s.MinLength))
	}
	return placeholder
}

// find adds the placeholders that came with the skeleton or were given.
func (f *filling) find(path string, s shape, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sortedKeys(v) {
			field, _ := s.field(key)
			if field.Schema == nil {
				field = s.doc.shape(nil)
			}
			f.find(joined(path, key), field, v[key])
		}
		return
	case []any:
		for i := range v {
			f.find(item(path, i), s.item(), v[i])
		}
		return
	case string:
		if strings.Contains(v, placeholder) && !slices.Contains(f.paths, path) {
			f.paths = append(f.paths, path)
		}
	}
	if slices.Contains(f.paths, path) {
		f.list = append(f.list, path+": "+s.constraints(false, shownEnum))
	}
}

// blame refuses what is wrong beside the placeholders.
func (f *filling) blame(t resourceType, problems []problem) error {
	var lines []string
	for _, p := range problems {
		if !slices.Contains(f.paths, p.path) {
			lines = append(lines, fmt.Sprintf("\n- %s: %s", p.path, p.text))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	const most = 30
	return mcpkit.Errorf(mcpkit.Invalid, "these fields do not make a valid %s:%s%s", t.Kind, strings.Join(lines[:min(most, len(lines))], ""), more(len(lines)-most))
}
