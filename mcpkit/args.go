package mcpkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Object is one object of a backend as it came, keys and all. In arguments it
// takes any JSON object; in results it is redacted like everything else.
type Object map[string]any

// FirstN returns the first limit rows, or fallback rows when limit is absent,
// and whether that left any out.
func FirstN[T any](rows []T, limit, fallback int) ([]T, bool) {
	if limit <= 0 {
		limit = fallback
	}
	if len(rows) <= limit {
		return rows, false
	}
	return rows[:limit], true
}

// decode turns checked arguments into a tool's input.
func decode[In any](args json.RawMessage) (In, error) {
	var in In
	err := json.Unmarshal(args, &in)
	if err == nil {
		return in, nil
	}
	if known, ok := errors.AsType[*Error](err); ok {
		return in, known
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return in, Errorf(Invalid, "argument %q does not fit: it cannot be %s", wrong.Field, short(wrong.Value))
	}
	return in, Errorf(Invalid, "arguments: %w", err)
}

// check holds raw arguments against the schema: none unknown, none given twice,
// each of its type. It returns them in canonical form, with values that a model
// wrote as the wrong JSON type ("5", "true") put right.
func (s *inputSchema) check(raw json.RawMessage) (json.RawMessage, error) {
	args, err := readArgs(raw)
	if err != nil {
		return nil, err
	}
	for name, v := range args {
		p, known := s.schema.Properties[name]
		if !known {
			return nil, s.unknown(name)
		}
		if v == nil {
			delete(args, name)
			continue
		}
		args[name] = coerce(v, p.Type)
	}
	for _, name := range s.schema.Required {
		if _, given := args[name]; !given {
			return nil, Errorf(Invalid, "argument %q is required: %s", name, s.schema.Properties[name].Description)
		}
	}
	for _, name := range s.names {
		if v, given := args[name]; given {
			if err := s.each[name].Validate(plain(v)); err != nil {
				return nil, misfit(name, v, err, s.schema.Properties[name])
			}
		}
	}
	return json.Marshal(args)
}

// misfit says what is wrong with an argument and what would be right.
func misfit(name string, v any, err error, p *jsonschema.Schema) error {
	switch v.(type) {
	case map[string]any, []any:
		return Errorf(Invalid, "argument %q does not fit: %s. It must be: %s", name, lastReason(err), expected(p))
	}
	return Errorf(Invalid, "argument %q cannot be %s. It must be: %s", name, short(string(mustJSON(v))), expected(p))
}

// lastReason drops the schema paths jsonschema puts before a reason.
func lastReason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "validating "); i >= 0 {
		if _, reason, ok := strings.Cut(text[i:], ": "); ok {
			text = reason
		}
	}
	return short(text)
}

// short is s as far as an error needs to repeat it.
func short(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

func expected(p *jsonschema.Schema) string {
	types := []string{p.Type}
	if len(p.AnyOf) > 0 {
		types = nil
		for _, form := range p.AnyOf {
			types = append(types, form.Type)
		}
	}
	var b strings.Builder
	b.WriteString(strings.Join(types, " or "))
	if len(p.Enum) > 0 {
		fmt.Fprintf(&b, ", one of %v", p.Enum)
	}
	if p.Minimum != nil {
		fmt.Fprintf(&b, ", at least %v", *p.Minimum)
	}
	if p.Maximum != nil {
		fmt.Fprintf(&b, ", at most %v", *p.Maximum)
	}
	if p.Description != "" {
		b.WriteString(": " + p.Description)
	}
	return b.String()
}

func (s *inputSchema) unknown(name string) error {
	all := strings.Join(s.names, ", ")
	name = short(name)
	if near := Nearest(name, s.names); len(near) > 0 {
		return Errorf(Invalid, "unknown argument %q; did you mean %q? The arguments are %s", name, near[0], all)
	}
	if len(s.names) == 0 {
		return Errorf(Invalid, "unknown argument %q; this tool takes no arguments", name)
	}
	return Errorf(Invalid, "unknown argument %q; the arguments are %s", name, all)
}

// maxDepth bounds how deep arguments nest; no object of any backend comes near.
const maxDepth = 64

// readArgs decodes a JSON object. It refuses a key given twice at any depth,
// which Go's decoder would let through and a person reading the plan might not
// see. Numbers stay as written.
func readArgs(raw json.RawMessage) (map[string]any, error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null")) {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	args, ok := v.(map[string]any)
	if !ok {
		return nil, Errorf(Invalid, "the arguments must be one JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, Errorf(Invalid, "the arguments must be one JSON object and nothing after it")
	}
	return args, nil
}

func readValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, Errorf(Invalid, "the arguments are not JSON: %w", err)
	}
	if depth > maxDepth {
		return nil, Errorf(Invalid, "the arguments nest deeper than %d levels", maxDepth)
	}
	switch t {
	case json.Delim('{'):
		return readObject(d, depth)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, closeValue(d)
	}
	return t, nil
}

func readObject(d *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for d.More() {
		key, err := readValue(d, depth)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, Errorf(Invalid, "the arguments are not JSON: a key is not a string")
		}
		if _, twice := object[name]; twice {
			return nil, Errorf(Invalid, "argument %q is given twice", short(name))
		}
		if object[name], err = readValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	return object, closeValue(d)
}

func closeValue(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return Errorf(Invalid, "the arguments are not JSON: %w", err)
	}
	return nil
}

// coerce puts a value into the type the schema asks for where nothing can be
// lost: models write numbers, booleans and lists as strings, and times as
// numbers. What it cannot put right it leaves for the schema to refuse.
func coerce(v any, want string) any {
	switch x := v.(type) {
	case json.Number:
		switch want {
		case "string":
			return x.String()
		case "integer":
			return wholeNumber(x)
		}
	case bool:
		if want == "string" {
			return strconv.FormatBool(x)
		}
	case string:
		return coerceString(x, want)
	}
	return v
}

func coerceString(s, want string) any {
	text := strings.TrimSpace(s)
	switch want {
	case "boolean":
		switch strings.ToLower(text) {
		case "true":
			return true
		case "false":
			return false
		}
	case "integer", "number", "array", "object":
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		v, err := readValue(d, 1)
		if _, end := d.Token(); err != nil || end != io.EOF {
			return s
		}
		switch v.(type) {
		case json.Number, []any, map[string]any:
			if n, ok := v.(json.Number); ok && want == "integer" {
				return wholeNumber(n)
			}
			return v
		}
	}
	return s
}

// wholeNumber writes 5.0 and 1e3 as Go's decoder wants integers, 5 and 1000.
func wholeNumber(n json.Number) json.Number {
	if _, err := n.Int64(); err == nil || len(n) > 32 {
		return n
	}
	f, _, err := big.ParseFloat(n.String(), 10, 128, big.ToNearestEven)
	if err != nil || !f.IsInt() || f.MantExp(nil) > 63 {
		return n
	}
	return json.Number(f.Text('f', 0))
}

// plain is v with numbers of Go's own types, for the validator.
func plain(v any) any {
	switch x := v.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i
		}
		f, _ := x.Float64() // infinite when out of range, which fits no bound
		return f
	case map[string]any:
		out := make(map[string]any, len(x))
		for k := range x {
			out[k] = plain(x[k])
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = plain(x[i])
		}
		return out
	}
	return v
}
