package kubernetes

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/json"
)

// Bounds of what a call may hand in as YAML or JSON.
const (
	manifestBytes = 2 << 20
	manifestNodes = 100_000 // values, once aliases are written out
	manifestSpan  = 8 << 20 // bytes of scalars, once aliases are written out
	manifestDepth = 100
)

// parseDocuments reads YAML or JSON as the API server's types want it: numbers
// int64 or float64, everything else plain. It is stricter than a YAML library:
// a key given twice, a tag of somebody's own and aliases that unfold into
// more than the bounds are refused. Empty documents are left out.
func parseDocuments(argument, text string) ([]any, error) {
	if len(text) > manifestBytes {
		return nil, mcpkit.Errorf(mcpkit.TooLarge, "%s has %d bytes; at most %d are read", argument, len(text), manifestBytes)
	}
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		if v, ok, err := parseJSON(argument, trimmed); ok || err != nil {
			return []any{v}, err
		}
	}
	var out []any
	d := yaml.NewDecoder(strings.NewReader(text))
	u := unfolding{argument: argument}
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, mcpkit.Errorf(mcpkit.Invalid, "%s is not YAML: %s", argument, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		v, err := u.value(&doc, 0)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out = append(out, v)
		}
	}
}

// parseJSON reads text if it is JSON at all: YAML's rules for strings are not
// quite those of JSON.
func parseJSON(argument, text string) (any, bool, error) {
	var v any
	twice, err := json.UnmarshalStrict([]byte(text), &v)
	if err != nil {
		return nil, false, nil
	}
	if len(twice) > 0 {
		return nil, true, mcpkit.Errorf(mcpkit.Invalid, "%s: %w", argument, twice[0])
	}
	if deeper(v, manifestDepth) {
		return nil, true, mcpkit.Errorf(mcpkit.Invalid, "%s: nested more than %d deep", argument, manifestDepth)
	}
	return v, true, nil
}

// deeper reports whether v nests more than depth levels.
func deeper(v any, depth int) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			if depth == 0 || deeper(item, depth-1) {
				return true
			}
		}
	case []any:
		return len(v) > 0 && depth == 0 || slices.ContainsFunc(v, func(item any) bool { return deeper(item, depth-1) })
	}
	return false
}

// unfolding turns YAML nodes into values, counting what it makes.
type unfolding struct {
	argument    string
	nodes, span int
}

func (u *unfolding) refuse(n *yaml.Node, format string, args ...any) error {
	return mcpkit.Errorf(mcpkit.Invalid, "%s, line %d: %s", u.argument, n.Line, fmt.Sprintf(format, args...))
}

func (u *unfolding) value(n *yaml.Node, depth int) (any, error) {
	u.nodes++
	u.span += len(n.Value)
	switch {
	case u.nodes > manifestNodes || u.span > manifestSpan:
		return nil, mcpkit.Errorf(mcpkit.TooLarge, "%s unfolds into more than %d values or %d bytes", u.argument, manifestNodes, manifestSpan)
	case depth > manifestDepth:
		return nil, u.refuse(n, "nested more than %d deep", manifestDepth)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return u.value(n.Content[0], depth)
	case yaml.AliasNode:
		return u.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := u.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.MappingNode:
		return u.mapping(n, depth)
	case yaml.ScalarNode:
		return u.scalar(n)
	}
	return nil, nil // a document of comments alone
}

func (u *unfolding) mapping(n *yaml.Node, depth int) (any, error) {
	out := map[string]any{}
	merged := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		v, err := u.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		_, twice := out[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null":
			return nil, u.refuse(n.Content[i], "a key must be a string")
		case key.ShortTag() == "!!merge":
			if err := u.merge(merged, n.Content[i], v); err != nil {
				return nil, err
			}
			continue
		case twice:
			return nil, u.refuse(n.Content[i], "key %q is given twice", key.Value)
		}
		out[key.Value] = v
		u.span += len(key.Value)
	}
	for k, v := range merged {
		if _, own := out[k]; !own {
			out[k] = v
		}
	}
	return out, nil
}

// merge gathers what a "<<" key brings in, the first of several winning.
func (u *unfolding) merge(into map[string]any, at *yaml.Node, v any) error {
	sources, ok := v.([]any)
	if !ok {
		sources = []any{v}
	}
	for _, s := range sources {
		m, ok := s.(map[string]any)
		if !ok {
			return u.refuse(at, "<< must name a mapping")
		}
		for k, v := range m {
			if _, own := into[k]; !own {
				into[k] = v
			}
		}
	}
	return nil
}

func (u *unfolding) scalar(n *yaml.Node) (any, error) {
	tag := n.ShortTag()
	switch tag {
	case "!!str", "!!timestamp": // a date is text to the API server
		return n.Value, nil
	case "!!null":
		return nil, nil
	case "!!bool", "!!int", "!!float":
	default:
		return nil, u.refuse(n, "the tag %s has no meaning here", tag)
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, u.refuse(n, "%q is not a %s", n.Value, strings.TrimPrefix(tag, "!!"))
	}
	switch x := v.(type) {
	case int:
		return int64(x), nil
	case uint64:
		return float64(x), nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, u.refuse(n, "%s is not a number JSON knows", n.Value)
		}
	}
	return v, nil
}

// parseDocument reads an argument that must be one document.
func parseDocument(argument, text string) (any, error) {
	docs, err := parseDocuments(argument, text)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "%s holds %d documents; it must be one", argument, len(docs))
	}
	return docs[0], nil
}
