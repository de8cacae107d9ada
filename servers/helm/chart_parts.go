package helm

import (
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"go.yaml.in/yaml/v3"
	"helm.sh/helm/v3/pkg/chart"
)

// valuesFile is a chart's values.yaml with its comments.
type valuesFile struct {
	text string
	root *yaml.Node // a mapping; nil if there is none
}

func readValuesFile(c *chart.Chart) (valuesFile, error) {
	i := slices.IndexFunc(c.Raw, func(f *chart.File) bool { return f.Name == "values.yaml" })
	if i < 0 {
		return valuesFile{}, nil
	}
	var doc yaml.Node
	text := string(c.Raw[i].Data)
	if err := yaml.Unmarshal(c.Raw[i].Data, &doc); err != nil {
		return valuesFile{}, mcpkit.Errorf(mcpkit.Invalid, "values.yaml of chart %s is no YAML: %w", c.Name(), err)
	}
	out := valuesFile{text: text}
	if len(doc.Content) > 0 && doc.Content[0].Kind == yaml.MappingNode {
		out.root = doc.Content[0]
	}
	return out, nil
}

// keys are those at the top, in their order.
func (v valuesFile) keys() []string {
	var out []string
	eachKey(v.root, func(key, _ *yaml.Node) { out = append(out, key.Value) })
	return out
}

// at is the YAML at a path, with the comments that belong to it, and the keys
// that lead there.
func (v valuesFile) at(path []string) (string, bool) {
	node := v.root
	var under *yaml.Node // the key
	for _, part := range path {
		var next *yaml.Node
		eachKey(node, func(key, value *yaml.Node) {
			if key.Value == part {
				under, next = key, value
			}
		})
		if next == nil {
			return "", false
		}
		node = next
	}
	top := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{under, node}}
	for i := len(path) - 2; i >= 0; i-- {
		top = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: path[i]}, top}}
	}
	var b strings.Builder
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(top); err != nil {
		return "", false
	}
	return b.String(), true
}

// maxPaths bounds how many paths a wrong one is compared with.
const maxPaths = 2000

// paths are all paths there are.
func (v valuesFile) paths() []string {
	var out []string
	var walk func(n *yaml.Node, prefix string)
	walk = func(n *yaml.Node, prefix string) {
		eachKey(n, func(key, value *yaml.Node) {
			if len(out) < maxPaths {
				out = append(out, prefix+key.Value)
				walk(value, prefix+key.Value+".")
			}
		})
	}
	walk(v.root, "")
	return out
}

func eachKey(n *yaml.Node, do func(key, value *yaml.Node)) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		do(n.Content[i], n.Content[i+1])
	}
}

// section is the part of a readme under one heading, its subsections included.
type section struct {
	heading    string
	level      int
	start, end int // lines
}

// sections takes Markdown apart by its headings, leaving code alone.
func sections(text string) []section {
	var out []section
	lines, fenced := strings.Split(text, "\n"), false
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		heading := strings.TrimLeft(line, "#")
		level := len(line) - len(heading)
		if fenced || level == 0 || level > 6 || !strings.HasPrefix(heading, " ") {
			continue
		}
		for j := range out {
			if out[j].end == len(lines) && out[j].level >= level {
				out[j].end = i
			}
		}
		out = append(out, section{strings.Trim(heading, " #\r"), level, i, len(lines)})
	}
	return out
}
