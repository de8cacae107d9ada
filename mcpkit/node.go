package mcpkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// node is one JSON value with its object keys in the order the result's type
// declares them. Redaction, budget and rendering all work on it, so that none
// of them needs to know a tool's types.
type node struct {
	kind nodeKind
	keys []string // of an object, beside kids
	kids []*node  // of an object or an array
	text string   // of a string, decoded; of a literal, as JSON
}

type nodeKind byte

const (
	objectNode nodeKind = iota
	arrayNode
	stringNode
	literalNode // number, true, false, null
)

// toNode converts a result into its tree.
func toNode(v any) (*node, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	d := json.NewDecoder(&b)
	d.UseNumber()
	n, err := readNode(d)
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	return n, err
}

func readNode(d *json.Decoder) (*node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		n := &node{kind: arrayNode}
		if t == '{' {
			n.kind = objectNode
		}
		for d.More() {
			if n.kind == objectNode {
				key, err := d.Token()
				if err != nil {
					return nil, err
				}
				n.keys = append(n.keys, key.(string))
			}
			kid, err := readNode(d)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, kid)
		}
		_, err := d.Token()
		return n, err
	case string:
		return &node{kind: stringNode, text: t}, nil
	case nil:
		return &node{kind: literalNode, text: "null"}, nil
	default:
		return &node{kind: literalNode, text: fmt.Sprint(t)}, nil
	}
}

// conform replaces the null that Go writes for a nil list, map or pointer by
// what the schema calls for: an empty one, or nothing.
func (n *node) conform(schema *jsonschema.Schema) {
	if schema == nil || n.kind != objectNode && n.kind != arrayNode {
		return
	}
	for i := 0; i < len(n.kids); i++ {
		kid, want := n.kids[i], below(schema, n, i)
		if want != nil && kid.kind == literalNode && kid.text == "null" {
			switch {
			case want.Type == "array":
				kid.kind, kid.text = arrayNode, ""
			case want.Type == "object" && len(want.Properties) == 0:
				kid.kind, kid.text = objectNode, ""
			case want.Type != "" && n.kind == objectNode:
				n.keys, n.kids = slices.Delete(n.keys, i, i+1), slices.Delete(n.kids, i, i+1)
				i--
				continue
			}
		}
		kid.conform(want)
	}
}

// get returns the value under key, nil when there is none.
func (n *node) get(key string) *node {
	if n == nil || n.kind != objectNode {
		return nil
	}
	if i := slices.Index(n.keys, key); i >= 0 {
		return n.kids[i]
	}
	return nil
}

// set puts a value under key, at the end when the key is new.
func (n *node) set(key string, v *node) {
	if i := slices.Index(n.keys, key); i >= 0 {
		n.kids[i] = v
		return
	}
	n.keys, n.kids = append(n.keys, key), append(n.kids, v)
}

// MarshalJSON writes the tree back, keys in their order.
func (n *node) MarshalJSON() ([]byte, error) { return []byte(n.String()), nil }

// String is the tree as JSON.
func (n *node) String() string {
	var b bytes.Buffer
	n.write(&b)
	return b.String()
}

func (n *node) write(b *bytes.Buffer) {
	switch n.kind {
	case literalNode:
		b.WriteString(n.text)
	case stringNode:
		writeString(b, n.text)
	case arrayNode:
		b.WriteByte('[')
		for i, kid := range n.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			kid.write(b)
		}
		b.WriteByte(']')
	case objectNode:
		b.WriteByte('{')
		for i, kid := range n.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, n.keys[i])
			b.WriteByte(':')
			kid.write(b)
		}
		b.WriteByte('}')
	}
}

// writeString writes s as JSON without the HTML escapes that only cost tokens.
func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)         // a string always encodes
	b.Truncate(b.Len() - 1) // the encoder's newline
}

// size is the length of the value as JSON, in bytes.
func (n *node) size() int { return len(n.String()) }
