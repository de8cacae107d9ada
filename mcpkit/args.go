package mcpkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/prometheus/common/model"
)

// Object is one object of a backend as it came, keys and all. In arguments it
// takes any JSON object; in results it is redacted like everything else.
type Object map[string]any

// When is an instant as a model may write it: a duration before now ("15m"),
// RFC 3339, or epoch seconds. The zero When is absent.
type When struct {
	at  time.Time
	ago time.Duration
	set bool
}

// IsZero reports whether the argument was absent.
func (w When) IsZero() bool { return !w.set }

// Time returns the instant, counting durations back from now.
func (w When) Time(now time.Time) time.Time {
	if w.at.IsZero() && w.set {
		return now.Add(-w.ago)
	}
	return w.at
}

// Ago returns a When that lies d before now.
func Ago(d time.Duration) When { return When{ago: d, set: true} }

// UnmarshalJSON reads the three forms.
func (w *When) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := ParseWhen(s)
	*w = parsed
	return err
}

// ParseWhen reads a duration before now, an RFC 3339 time or epoch seconds.
func ParseWhen(s string) (When, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return When{}, nil
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return When{at: at, set: true}, nil
	}
	if d, err := model.ParseDuration(s); err == nil {
		return Ago(time.Duration(d)), nil
	}
	if sec, err := strconv.ParseFloat(s, 64); err == nil && sec > 0 && sec < 1e11 && !math.IsNaN(sec) {
		return When{at: time.UnixMilli(int64(sec * 1000)), set: true}, nil
	}
	return When{}, Errorf(Invalid, `%q is not a time; write a duration before now such as "15m", an RFC 3339 time such as "2026-01-02T15:04:05Z", or epoch seconds`, s)
}

// Duration is a length of time in Prometheus's notation: "90s", "15m", "1h30m", "7d".
type Duration time.Duration

// UnmarshalJSON reads Prometheus's notation.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := model.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return Errorf(Invalid, `%q is not a duration; write one such as "90s", "15m", "1h30m" or "7d"`, s)
	}
	*d = Duration(parsed)
	return nil
}

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
	if err := json.Unmarshal(args, &in); err != nil {
		var known *Error
		if asError(err, &known) {
			return in, known
		}
		return in, Errorf(Invalid, "arguments: %w", err)
	}
	return in, nil
}

// check holds raw arguments against the schema: no argument twice, none
// unknown, each of its type. It returns them in canonical form, with scalars
// that a model wrote as the wrong JSON type ("5", "true") put right.
func (s *inputSchema) check(raw json.RawMessage) (json.RawMessage, error) {
	args, err := uniqueKeys(raw)
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
	for name, v := range args {
		if err := s.checkOne(name, v); err != nil {
			return nil, err
		}
	}
	return json.Marshal(args)
}

// checkOne validates one argument, so that the error can name it and say what
// it is for.
func (s *inputSchema) checkOne(name string, v any) error {
	p := s.schema.Properties[name]
	resolved, err := p.CloneSchemas().Resolve(nil)
	if err != nil {
		return fmt.Errorf("schema of argument %s: %w", name, err)
	}
	if err := resolved.Validate(v); err != nil {
		return Errorf(Invalid, "argument %q does not fit: %s. It must be: %s", name, lastReason(err), expected(p))
	}
	return nil
}

// lastReason drops the schema paths jsonschema puts before a reason.
func lastReason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "validating "); i >= 0 {
		if _, reason, ok := strings.Cut(text[i:], ": "); ok {
			return reason
		}
	}
	return text
}

func expected(p *jsonschema.Schema) string {
	var b strings.Builder
	b.WriteString(p.Type)
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
	var names []string
	for n := range s.schema.Properties {
		names = append(names, n)
	}
	slices.Sort(names)
	if near := Nearest(name, names); len(near) > 0 {
		return Errorf(Invalid, "unknown argument %q; did you mean %q? The arguments are %s", name, near[0], strings.Join(names, ", "))
	}
	if len(names) == 0 {
		return Errorf(Invalid, "unknown argument %q; this tool takes no arguments", name)
	}
	return Errorf(Invalid, "unknown argument %q; the arguments are %s", name, strings.Join(names, ", "))
}

// uniqueKeys decodes a JSON object and refuses a key given twice, which Go's
// decoder would let through and a person reading the plan might not see.
func uniqueKeys(raw json.RawMessage) (map[string]any, error) {
	args := map[string]any{}
	if len(bytes.TrimSpace(raw)) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return args, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, Errorf(Invalid, "arguments must be one JSON object")
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, Errorf(Invalid, "arguments: %w", err)
		}
		name := t.(string) // a JSON object's keys are strings
		if _, twice := args[name]; twice {
			return nil, Errorf(Invalid, "argument %q is given twice", name)
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, Errorf(Invalid, "argument %q: %w", name, err)
		}
		args[name] = v
	}
	if _, err := d.Token(); err != nil && err != io.EOF {
		return nil, Errorf(Invalid, "arguments: %w", err)
	}
	return args, nil
}

// coerce puts a scalar into the type the schema asks for where nothing can be
// lost: models write numbers and booleans as strings, and times as numbers.
func coerce(v any, want string) any {
	switch x := v.(type) {
	case json.Number:
		if want == "string" {
			return x.String()
		}
		if i, err := x.Int64(); err == nil {
			return i
		}
		f, _ := x.Float64()
		return f
	case string:
		switch want {
		case "integer":
			if i, err := strconv.ParseInt(x, 10, 64); err == nil {
				return i
			}
		case "number":
			if f, err := strconv.ParseFloat(x, 64); err == nil {
				return f
			}
		case "boolean":
			if b, err := strconv.ParseBool(x); err == nil {
				return b
			}
		}
	}
	return plainNumbers(v)
}

// plainNumbers replaces json.Number inside v, which the validator does not know.
func plainNumbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		return coerce(x, "number")
	case map[string]any:
		for k := range x {
			x[k] = plainNumbers(x[k])
		}
	case []any:
		for i := range x {
			x[i] = plainNumbers(x[i])
		}
	}
	return v
}
