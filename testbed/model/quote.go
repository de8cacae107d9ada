package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// reference is how a rule quotes what it captured: ${name}, or ${name:number}
// where a JSON number is wanted. $${ is a plain ${.
var reference = regexp.MustCompile(`\$?\$\{([A-Za-z_]\w*)(:number)?\}`)

// known are names that every rule can quote.
var known = []string{"user", "last", "calls", "request"}

// patterns are the regular expressions of a rule.
func (w *When) patterns() []*Pattern {
	out := []*Pattern{w.User, w.Read, w.System, w.Model}
	for _, r := range w.Results {
		out = append(out, r.Matches)
	}
	return slices.DeleteFunc(out, func(p *Pattern) bool { return p == nil })
}

// checkNames refuses a quotation of what the rule does not capture.
func (r *Rule) checkNames() error {
	names := map[string]bool{}
	for _, k := range known {
		names[k] = true
	}
	var unknown error
	check := func(text string) {
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[0], "$$") && !names[m[1]] && unknown == nil {
				unknown = fmt.Errorf("${%s} is captured nowhere before; there is %s", m[1], strings.Join(slices.Sorted(maps.Keys(names)), ", "))
			}
		}
	}
	for _, p := range r.When.patterns() {
		check(p.source)
		for _, group := range p.SubexpNames() {
			if group != "" && names[group] {
				return fmt.Errorf("the name %q is taken; call the group something else", group)
			}
			if group != "" {
				names[group] = true
			}
		}
	}
	r.quotable(check)
	return unknown
}

// quotable calls see for every text of a rule that may quote.
func (r *Rule) quotable(see func(string)) {
	see(r.Say)
	see(r.Think)
	if r.Fail != nil {
		see(r.Fail.Message)
	}
	for _, c := range r.Call {
		see(c.Raw)
		fill(c.Arguments, func(s string) any { see(s); return s })
	}
}

// fill copies a decoded value with every text in it replaced.
func fill(v any, replace func(string) any) any {
	switch v := v.(type) {
	case string:
		return replace(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = fill(value, replace)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = fill(value, replace)
		}
		return out
	}
	return v
}

// captures are what a rule's conditions found, by name.
type captures map[string]string

func (c captures) quote(text string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		if plain, ok := strings.CutPrefix(ref, "$$"); ok {
			return "$" + plain
		}
		return c[reference.FindStringSubmatch(ref)[1]]
	})
}

// value is quote, but a text that is one ${name:number} becomes that number.
func (c captures) value(text string) any {
	if m := reference.FindStringSubmatch(text); m != nil && m[0] == text && m[2] != "" {
		if n, err := strconv.ParseFloat(c[m[1]], 64); err == nil {
			return n
		}
	}
	return c.quote(text)
}

// arguments are those of a call, as JSON.
func (c captures) arguments(call Call) (string, error) {
	if call.Raw != "" {
		return c.quote(call.Raw), nil
	}
	if call.Arguments == nil {
		return "{}", nil
	}
	content, err := json.Marshal(fill(call.Arguments, c.value))
	if err != nil {
		return "", fmt.Errorf("arguments of %s: %w", call.Tool, err)
	}
	return string(content), nil
}
