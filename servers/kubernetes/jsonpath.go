package kubernetes

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/client-go/util/jsonpath"
)

// maxPathBytes is the longest JSONPath taken.
const maxPathBytes = 300

// path is a JSONPath into one object. It selects and does nothing else: ranges,
// and what would let an expression grow its own result, are refused.
type path struct {
	name       string
	expression *jsonpath.JSONPath
	keys       []string // that it begins with, before it branches
}

// bracketed is a key in brackets, taken as it stands: ['app.kubernetes.io/name'].
var bracketed = regexp.MustCompile(`\[(?:'([^']*)'|"([^"]*)")\]`)

// terminators end a key outside brackets unless they are escaped.
var terminators = regexp.MustCompile(`[\\\s.,\[\]$@{}]`)

// parsePath reads a JSONPath as people write it: .spec.replicas, {.spec.replicas},
// $.spec.replicas or spec.replicas.
func parsePath(name string) (path, error) {
	s := strings.TrimSpace(name)
	if head, ok := strings.CutPrefix(s, "{"); ok {
		s = strings.TrimSuffix(head, "}")
	}
	s = strings.TrimPrefix(s, "$")
	if strings.Trim(s, ". ") == "" || len(s) > maxPathBytes || strings.ContainsAny(s, "{}\n\r") {
		return path{}, mcpkit.Errorf(mcpkit.Invalid, "%s is not one JSONPath of up to %d bytes; write it like .spec.replicas", shown(name), maxPathBytes)
	}
	s = bracketed.ReplaceAllStringFunc(s, func(key string) string {
		return "." + terminators.ReplaceAllString(key[2:len(key)-2], `\$0`)
	})
	if !strings.HasPrefix(s, ".") {
		s = "." + s
	}
	tree, err := jsonpath.Parse(name, "{"+s+"}")
	if err == nil {
		err = selects(tree.Root, new(int))
	}
	p := path{name: name, expression: jsonpath.New(name).AllowMissingKeys(true)}
	if err == nil {
		p.keys = leadingKeys(tree.Root)
		err = p.expression.Parse("{" + s + "}")
	}
	if err != nil {
		return path{}, mcpkit.Errorf(mcpkit.Invalid, `%s is not a JSONPath: %w; write it like .spec.replicas or .status.conditions[?(@.type=="Ready")].status`, shown(name), err)
	}
	return p, nil
}

// shown quotes foreign input in a message, on never more than one line.
func shown(s string) string {
	if len(s) > 80 {
		return fmt.Sprintf("%q (%d bytes)", s[:80], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// selects refuses an expression that does more than walk down an object, or
// whose result could be a power of the object's size.
func selects(list *jsonpath.ListNode, growing *int) error {
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *jsonpath.ListNode:
			if err := selects(n, growing); err != nil {
				return err
			}
		case *jsonpath.RecursiveNode, *jsonpath.UnionNode:
			if *growing++; *growing > 1 {
				return fmt.Errorf("it has more than one .. or union")
			}
		case *jsonpath.FieldNode, *jsonpath.ArrayNode, *jsonpath.WildcardNode:
		case *jsonpath.FilterNode:
			if err := compares(n.Left, growing); err != nil {
				return err
			}
			if err := compares(n.Right, growing); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%v selects nothing", n)
		}
	}
	return nil
}

// compares lets one side of a filter be a literal as well as a selection.
func compares(list *jsonpath.ListNode, growing *int) error {
	if len(list.Nodes) == 1 {
		switch list.Nodes[0].(type) {
		case *jsonpath.TextNode, *jsonpath.IntNode, *jsonpath.FloatNode, *jsonpath.BoolNode:
			return nil
		}
	}
	return selects(list, growing)
}

// values are what the path finds in o: nothing where a key is missing, an index
// lies beyond its list, or a filter compares what cannot be compared.
func (p path) values(o map[string]any) []any {
	found, err := p.expression.FindResults(o)
	if err != nil {
		return nil
	}
	var out []any
	for _, list := range found {
		for _, v := range list {
			if v.IsValid() && v.CanInterface() {
				out = append(out, v.Interface())
			}
		}
	}
	return out
}

// leadingKeys are the keys an expression begins with.
func leadingKeys(list *jsonpath.ListNode) []string {
	var keys []string
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *jsonpath.ListNode:
			return leadingKeys(n)
		case *jsonpath.FieldNode:
			keys = append(keys, n.Value)
		default:
			return keys
		}
	}
	return keys
}

// namesBeside are the keys by which redaction knows what the values beside them are.
var namesBeside = []string{"kind", "type", "name", "key", "Name", "Key"}

// around is what of o the path can reach, with what tells a secret there: to
// redact a whole object for one field of each of thousands takes too long.
func (p path) around(o map[string]any) map[string]any {
	if len(p.keys) == 0 {
		return o
	}
	root := map[string]any{}
	at, from := root, o
	for i, key := range p.keys {
		for _, t := range namesBeside {
			if v, ok := from[t].(string); ok {
				at[t] = v
			}
		}
		v, given := from[key]
		if !given {
			break
		}
		inner, isObject := v.(map[string]any)
		if !isObject || i == len(p.keys)-1 {
			at[key] = v
			break
		}
		next := map[string]any{}
		at[key] = next
		at, from = next, inner
	}
	return root
}

// maxCellBytes is the longest value shown in a table; an object's own tools
// show the rest.
const maxCellBytes = 8 << 10

// text is what the path finds, in one cell.
func (p path) text(o map[string]any) string {
	var b strings.Builder
	for i, v := range p.values(o) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(cellText(v))
		if b.Len() > maxCellBytes {
			return "(more than 8 KiB; k8s_get_resource_yaml with fields shows it)"
		}
	}
	return b.String()
}

// cellText writes a string as it is and anything else as JSON.
func cellText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
