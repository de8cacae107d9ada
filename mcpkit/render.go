package mcpkit

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Table is rows under columns: the compact form for anything listed, in the
// structured result and in the text alike. A cell is always a string.
type Table struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// Left says what an answer leaves out. Every result that holds rows embeds it;
// the budget fills it in when it has to cut.
type Left struct {
	Truncated bool   `json:"truncated" jsonschema:"whether anything was left out"`
	LeftOut   string `json:"left_out,omitempty" jsonschema:"what was left out and how to get it"`
	Continue  string `json:"continue,omitempty" jsonschema:"pass as continue for the next page"`
}

// render writes a result the way a model reads it cheaply: scalars as lines,
// tables tab-separated under one header, long texts as they are, the rest YAML.
func render(root *node) string {
	var b strings.Builder
	for i, key := range root.keys {
		v := root.kids[i]
		switch {
		case key == "columns" && root.get("rows") != nil:
			writeTable(&b, root)
		case key == "rows" && root.get("columns") != nil:
		case key == "truncated" && v.text == "false":
		default:
			writeField(&b, key, v)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

func writeField(b *strings.Builder, key string, v *node) {
	b.WriteString(key)
	switch {
	case isTable(v):
		b.WriteString(":\n")
		writeTable(b, v)
	case v.kind == literalNode || v.kind == stringNode && !strings.Contains(v.text, "\n"):
		b.WriteString(": " + v.text + "\n")
	case v.kind == stringNode:
		b.WriteString(":\n" + strings.TrimRight(v.text, "\n") + "\n")
	case len(v.kids) == 0:
		b.WriteString(": none\n")
	case scalars(v):
		writeScalars(b, v)
	default:
		b.WriteString(":\n")
		writeYAML(b, v)
	}
}

// writeScalars writes a list on one line when it is short, else an item a line.
func writeScalars(b *strings.Builder, v *node) {
	total, lines := 0, false
	for _, kid := range v.kids {
		total += len(kid.text) + 2
		lines = lines || strings.ContainsAny(kid.text, ",\n")
	}
	if total <= 100 && !lines {
		b.WriteString(": ")
		for i, kid := range v.kids {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(kid.text)
		}
		b.WriteByte('\n')
		return
	}
	b.WriteString(":\n")
	for _, kid := range v.kids {
		b.WriteString("- " + kid.text + "\n")
	}
}

func scalars(v *node) bool {
	if v.kind != arrayNode {
		return false
	}
	for _, kid := range v.kids {
		if kid.kind == objectNode || kid.kind == arrayNode {
			return false
		}
	}
	return true
}

func isTable(v *node) bool {
	return v.get("columns") != nil && v.get("rows") != nil && len(v.keys) == 2
}

var cell = strings.NewReplacer("\t", " ", "\n", " ")

func writeTable(b *strings.Builder, v *node) {
	rows := v.get("rows").kids
	if len(rows) == 0 {
		b.WriteString("(no rows)\n")
		return
	}
	writeRow(b, v.get("columns").kids)
	for _, row := range rows {
		writeRow(b, row.kids)
	}
}

func writeRow(b *strings.Builder, cells []*node) {
	for i, c := range cells {
		if i > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(cell.Replace(c.text))
	}
	b.WriteByte('\n')
}

// writeYAML indents as little as YAML allows: every space is paid for.
func writeYAML(b *strings.Builder, v *node) {
	e := yaml.NewEncoder(b)
	e.SetIndent(2)
	e.CompactSeqIndent()
	if err := e.Encode(yamlNode(v)); err != nil {
		b.WriteString(err.Error() + "\n")
	}
}

// yamlNode converts the tree for the YAML encoder, keeping the order of keys.
func yamlNode(v *node) *yaml.Node {
	switch v.kind {
	case objectNode:
		y := &yaml.Node{Kind: yaml.MappingNode}
		for i, kid := range v.kids {
			y.Content = append(y.Content, yamlString(v.keys[i]), yamlNode(kid))
		}
		return y
	case arrayNode:
		y := &yaml.Node{Kind: yaml.SequenceNode}
		for _, kid := range v.kids {
			y.Content = append(y.Content, yamlNode(kid))
		}
		return y
	case stringNode:
		return yamlString(v.text)
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.text}
	}
}

func yamlString(s string) *yaml.Node {
	y := &yaml.Node{}
	y.SetString(s)
	return y
}
