package kubernetes

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
)

// maxProblems bounds what is found in one object.
const maxProblems = 200

// problem is one thing wrong with an object.
type problem struct{ path, text string }

// schemaCheck holds an object against its schema and gathers all that is wrong.
// It goes down the object itself, since the API server's validator neither
// follows references nor minds unknown fields, and asks that validator about
// each value by itself.
type schemaCheck struct {
	custom   bool // null and the empty string are values in custom types, and absence in built-in ones
	silent   bool // about values: the object is a Secret
	problems []problem
	rules    int // CEL rules met, which are not evaluated
}

func (c *schemaCheck) found(path, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, problem{path, fmt.Sprintf(format, args...)})
	}
}

func (c *schemaCheck) check(path string, s shape, v any) {
	c.rules += len(s.rules())
	switch {
	case v == nil:
		if c.custom && !s.Nullable && s.Default == nil && len(s.Type) > 0 {
			c.found(path, "must be %s, not null", a(s.typeName()))
		}
		return
	case s.quantity():
		c.quantity(path, v)
		return
	case s.intOrString():
		if kindOf(v) != "integer" && kindOf(v) != "string" {
			c.found(path, "must be an integer or a string, not %s", a(kindOf(v)))
			return
		}
	case !fits(s, v):
		c.found(path, "must be %s, not %s%s", a(s.typeName()), a(kindOf(v)), c.remedy(s, v))
		return
	}
	c.value(path, s, v)
	switch v := v.(type) {
	case map[string]any:
		c.object(path, s, v)
	case []any:
		for i, item := range v {
			c.check(path+"["+strconv.Itoa(i)+"]", s.item(), item)
		}
		c.distinct(path, s, v)
	}
}

func (c *schemaCheck) object(path string, s shape, o map[string]any) {
	for _, name := range s.Required {
		field, _ := s.field(name)
		unset := o[name] == nil && !c.custom && field.scalar() && field.Format != "date-time" // others are null when they are empty
		if _, given := o[name]; !given || unset {
			c.found(joined(path, name), "is required")
		}
	}
	for _, key := range sortedKeys(o) {
		field, known := s.field(key)
		switch {
		case known:
			c.check(joined(path, key), field, o[key])
		case s.free():
		default:
			c.found(joined(path, key), "unknown field%s", meant(key, sortedKeys(s.Properties)))
		}
	}
}

// meant guesses which field an unknown one was to be.
func meant(key string, names []string) string {
	if near := mcpkit.Nearest(key, names); len(near) > 0 {
		return "; did you mean " + near[0] + "?"
	}
	if len(names) == 0 {
		return "; there are none here"
	}
	return "; the fields here are " + strings.Join(names[:min(15, len(names))], ", ") + more(len(names)-15)
}

func (c *schemaCheck) quantity(path string, v any) {
	text, ok := v.(string)
	if !ok {
		if kind := kindOf(v); kind != "integer" && kind != "number" {
			c.found(path, "must be a quantity such as 500m or 2Gi, not %s", a(kind))
		}
		return
	}
	if _, err := resource.ParseQuantity(text); err != nil {
		c.found(path, "%s is not a quantity such as 500m or 2Gi", c.shown(text))
	}
}

// value asks the API server's own validator about one value, without what is
// inside it.
func (c *schemaCheck) value(path string, s shape, v any) {
	if v == "" && !c.custom {
		return
	}
	alone := &spec.Schema{SchemaProps: spec.SchemaProps{
		Type: s.Type, Format: s.Format, Pattern: s.Pattern, Enum: s.Enum, MinLength: s.MinLength, MaxLength: s.MaxLength,
		Minimum: s.Minimum, Maximum: s.Maximum, ExclusiveMinimum: s.ExclusiveMinimum, ExclusiveMaximum: s.ExclusiveMaximum,
		MultipleOf: s.MultipleOf, MinItems: s.MinItems, MaxItems: s.MaxItems, UniqueItems: s.UniqueItems,
		MinProperties: s.MinProperties, MaxProperties: s.MaxProperties,
	}}
	if s.intOrString() {
		alone.Type, alone.Format = nil, ""
	}
	if c.custom && selfContained(s.Schema) {
		alone.AllOf, alone.AnyOf, alone.OneOf, alone.Not = s.AllOf, s.AnyOf, s.OneOf, s.Not
	}
	for _, err := range validate.NewSchemaValidator(alone, nil, path, strfmt.Default).Validate(v).Errors {
		if c.silent {
			c.found(path, "is not what the schema asks for: %s", s.constraints(false, shownEnum))
			return
		}
		text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), " in body", ""), path+" ")
		c.found(path, "%s", strings.TrimPrefix(text, `"`+path+`" `))
	}
}

// selfContained reports whether the alternatives of a schema name no other
// schema, which the validator cannot follow.
func selfContained(s *spec.Schema) bool {
	parts := slices.Concat(s.AllOf, s.AnyOf, s.OneOf)
	if s.Not != nil {
		parts = append(parts, *s.Not)
	}
	for i := range parts {
		if parts[i].Ref.String() != "" || !selfContained(&parts[i]) {
			return false
		}
		for _, p := range parts[i].Properties {
			if p.Ref.String() != "" || !selfContained(&p) {
				return false
			}
		}
	}
	return true
}

// distinct refuses what a custom type's list may hold only once.
func (c *schemaCheck) distinct(path string, s shape, list []any) {
	kind, _ := s.Extensions.GetString("x-kubernetes-list-type")
	keys, _ := s.Extensions.GetStringSlice("x-kubernetes-list-map-keys")
	if !c.custom || kind != "set" && kind != "map" {
		return
	}
	seen := map[string]int{}
	for i, item := range list {
		id := cellText(item)
		if o, ok := item.(map[string]any); ok && kind == "map" {
			var parts []any
			for _, k := range keys {
				parts = append(parts, o[k])
			}
			id = cellText(parts)
		}
		if first, twice := seen[id]; twice {
			c.found(path+"["+strconv.Itoa(i)+"]", "is the same as [%d], and the list holds each only once", first)
			continue
		}
		seen[id] = i
	}
}

// remedy says how to write a value that has the right form in the wrong type.
func (c *schemaCheck) remedy(s shape, v any) string {
	text, isText := v.(string)
	_, isNumber := strconv.ParseFloat(text, 64)
	_, isBool := strconv.ParseBool(text)
	switch {
	case s.is("string") && (kindOf(v) == "integer" || kindOf(v) == "number" || kindOf(v) == "boolean"):
		return "; put quotes around it"
	case isText && (s.is("integer") || s.is("number")) && isNumber == nil, isText && s.is("boolean") && isBool == nil:
		return "; take the quotes off"
	case s.is("array") && kindOf(v) != "list":
		return "; write it as a list, each item after a dash"
	case isText:
		return ": " + c.shown(text)
	}
	return ""
}

func (c *schemaCheck) shown(text string) string {
	if c.silent {
		return "the value"
	}
	return shown(text)
}

// fits reports whether a value is of the schema's type at all.
func fits(s shape, v any) bool {
	if len(s.Type) == 0 {
		return true
	}
	switch v := v.(type) {
	case string:
		return s.is("string")
	case bool:
		return s.is("boolean")
	case int64:
		return s.is("integer") || s.is("number")
	case float64:
		return s.is("number") || s.is("integer") && v == math.Trunc(v)
	case map[string]any:
		return s.is("object")
	case []any:
		return s.is("array")
	}
	return false
}

// kindOf names a value's type as schemas do.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case int64:
		return "integer"
	case float64:
		return "number"
	case map[string]any:
		return "object"
	case []any:
		return "list"
	}
	return "null"
}

// a puts the article before a type's name.
func a(name string) string {
	switch {
	case name == "any" || name == "base64" || name == "null":
		return name
	case strings.ContainsAny(name[:1], "aeiou"):
		return "an " + name
	}
	return "a " + name
}
