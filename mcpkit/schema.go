package mcpkit

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// Properties are the arguments of a tool by name, for a Constrain method to
// tighten beyond what a Go type can say:
//
//	func (QueryIn) Constrain(p mcpkit.Properties) { p["limit"].Maximum = new(1000.0) }
type Properties map[string]*jsonschema.Schema

type constrainer interface{ Constrain(Properties) }

// inputSchema is a tool's input schema in the forms the kit needs: as sent, and
// ready to validate one argument at a time.
type inputSchema struct {
	json   json.RawMessage
	schema *jsonschema.Schema
	names  []string // of the arguments, sorted
	each   map[string]*jsonschema.Resolved
}

// typeSchemas are the kit's own argument types.
var typeSchemas = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[When]():     {Type: "string"},
	reflect.TypeFor[Duration](): {Type: "string"},
	reflect.TypeFor[Object]():   {Type: "object"},
}

// inferInput derives the schema of In. It panics when In cannot be a tool's
// arguments, at start-up, as a programming error.
func inferInput[In any](tool string) *inputSchema {
	s, err := jsonschema.For[In](&jsonschema.ForOptions{TypeSchemas: typeSchemas})
	if err != nil {
		panic(fmt.Sprintf("input of tool %s: %v", tool, err))
	}
	dropNull(s)
	var in In
	if c, ok := any(in).(constrainer); ok {
		c.Constrain(s.Properties)
	}
	if _, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true}); err != nil {
		panic(fmt.Sprintf("input of tool %s: %v", tool, err))
	}
	out := &inputSchema{json: mustJSON(s), schema: s, each: map[string]*jsonschema.Resolved{}}
	for name, p := range s.Properties {
		out.names = append(out.names, name)
		if out.each[name], err = p.CloneSchemas().Resolve(nil); err != nil {
			panic(fmt.Sprintf("argument %s of tool %s: %v", name, tool, err))
		}
	}
	slices.Sort(out.names)
	return out
}

// inferOutput derives the schema of Out, which must be a struct. What the
// budget may cut must be able to say so, hence a result with lists embeds Left.
func inferOutput[Out any](tool string) *jsonschema.Schema {
	s, err := jsonschema.For[Out](&jsonschema.ForOptions{TypeSchemas: typeSchemas})
	if err != nil {
		panic(fmt.Sprintf("output of tool %s: %v", tool, err))
	}
	if s.Type != "object" {
		panic(fmt.Sprintf("output of tool %s is a %s; it must be a struct", tool, s.Type))
	}
	dropNull(s)
	return s
}

// dropNull rewrites the ["null", T] inferred for slices and pointers to T: some
// clients mangle type unions, and the kit never sends null.
func dropNull(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	s.Types = slices.DeleteFunc(s.Types, func(t string) bool { return t == "null" })
	if len(s.Types) == 1 {
		s.Type, s.Types = s.Types[0], nil
	}
	for _, p := range s.Properties {
		dropNull(p)
	}
	dropNull(s.Items)
	dropNull(s.AdditionalProperties)
}

func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
