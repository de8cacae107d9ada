package mcpkit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// resumer is implemented by results whose rows can be continued from any one of
// them: ResumeAt returns the continue token that starts at row kept.
type resumer interface{ ResumeAt(kept int) string }

// tailKeeper is implemented by results whose named fields are in time order, so
// that cutting keeps their end.
type tailKeeper interface{ KeepTail() []string }

// budgeter holds one result to a number of bytes by cutting rows, lines and
// keys of free maps, never inside a value.
type budgeter struct {
	max     int
	root    *node
	schema  *jsonschema.Schema
	out     any
	narrow  string
	tail    []string
	cuts    []*cutting
	dropped int // values replaced by a note of their length
}

// cutting is one list, text or map that lost parts.
type cutting struct {
	at    *node
	name  string
	unit  string
	total int
	kept  int
}

// fit cuts root until text and structured result together take at most max
// bytes, says in root what was left out, and reports whether it had to cut. A
// result that cannot be cut far enough is an error of kind TooLarge.
func fit(root *node, out any, t *tool, max int) (bool, error) {
	b := &budgeter{max: max, root: root, schema: t.output, out: out, narrow: t.Narrow}
	size := b.size()
	if size <= max {
		return false, nil
	}
	if k, ok := out.(tailKeeper); ok {
		b.tail = k.KeepTail()
	}
	if t.output.Properties["truncated"] != nil {
		for excess := size - max; excess > 0; excess = b.size() - max {
			if !b.cut(excess) && !b.dropLongest() {
				break
			}
			b.say()
		}
		if b.size() <= max {
			return true, nil
		}
	}
	text := fmt.Sprintf("the answer takes %d bytes of the %d allowed and cannot be cut to fit", size, max)
	if t.Narrow != "" {
		text += "; " + t.Narrow
	}
	return false, Errorf(TooLarge, "%s", text)
}

// size is how many bytes the answer takes now.
func (b *budgeter) size() int { return answerSize(b.root) }

// answerSize is how many bytes an answer takes, as text and as structured
// result. Many JSON encoders write < > & as six bytes: a client that encodes
// the result again must not find it larger than promised.
func answerSize(root *node) int {
	structured := root.String()
	escaped := strings.Count(structured, "<") + strings.Count(structured, ">") + strings.Count(structured, "&")
	return len(render(root)) + len(structured) + 5*escaped
}

// saidCuts is how many cuts an answer names one by one.
const saidCuts = 5

// say writes into the result what was left out and how to ask for less.
func (b *budgeter) say() {
	var parts []string
	for i, c := range b.cuts {
		if i == saidCuts {
			parts = append(parts, fmt.Sprintf("%d more lists were cut", len(b.cuts)-saidCuts))
			break
		}
		parts = append(parts, fmt.Sprintf("%s: %d of %d %s shown", c.name, c.kept, c.total, c.unit))
	}
	if b.dropped > 0 {
		parts = append(parts, fmt.Sprintf("%d long values", b.dropped))
	}
	if b.narrow != "" {
		parts = append(parts, b.narrow)
	}
	b.root.set("truncated", &node{kind: literalNode, text: "true"})
	if b.schema.Properties["left_out"] != nil {
		b.root.set("left_out", &node{kind: stringNode, text: strings.Join(parts, "; ")})
	}
	b.resume()
}

// resume lets the next page begin at the first row that was cut.
func (b *budgeter) resume() {
	r, ok := b.out.(resumer)
	if !ok || b.schema.Properties["continue"] == nil {
		return
	}
	for _, c := range b.cuts {
		if c.at == b.root.get("rows") {
			b.root.set("continue", &node{kind: stringNode, text: r.ResumeAt(c.kept)})
		}
	}
}

// cut takes about excess bytes from the candidate that has most to give.
func (b *budgeter) cut(excess int) bool {
	c, _ := b.largest(b.root, b.schema, "")
	if c.at == nil {
		return false
	}
	share := 1 - float64(excess)/2/float64(c.size) // a byte less is one in the text and one in the structured result
	total := c.parts()
	keep := max(1, min(total-1, int(float64(total)*max(share, 0.1))))
	c.keep(keep, slices.Contains(b.tail, c.name))
	i := slices.IndexFunc(b.cuts, func(k *cutting) bool { return k.at == c.at })
	if i < 0 {
		i = len(b.cuts)
		b.cuts = append(b.cuts, &cutting{c.at, c.name, c.unit(), total, 0})
	}
	b.cuts[i].kept = keep
	return true
}

// candidate is a list, a text of several lines or a free map, under the name of
// the field that holds it.
type candidate struct {
	name string
	at   *node
	size int
}

func (c candidate) unit() string {
	switch c.at.kind {
	case arrayNode:
		return "rows"
	case stringNode:
		return "lines"
	}
	return "keys"
}

func (c candidate) parts() int {
	if c.at.kind == stringNode {
		return strings.Count(c.at.text, "\n") + 1
	}
	return len(c.at.kids)
}

// keep leaves the first n parts, or the last n.
func (c candidate) keep(n int, tail bool) {
	from, to := 0, n
	if tail {
		from, to = c.parts()-n, c.parts()
	}
	if c.at.kind == stringNode {
		c.at.text = strings.Join(strings.Split(c.at.text, "\n")[from:to], "\n")
		return
	}
	c.at.kids = c.at.kids[from:to]
	if c.at.kind == objectNode {
		c.at.keys = c.at.keys[from:to]
	}
}

// largest finds what to cut in n: the biggest candidate, but a part of it when
// that part makes up most of it. It also returns n's approximate size. What a
// cut would bring out of step with the schema is no candidate: the columns of a
// table, the cells of its rows, the fields of a struct.
func (b *budgeter) largest(n *node, schema *jsonschema.Schema, name string) (best candidate, size int) {
	size = len(n.text) + 2
	table := n.get("columns") != nil && n.get("rows") != nil
	for i, kid := range n.kids {
		kidName := name
		if n.kind == objectNode {
			kidName = n.keys[i]
			size += len(kidName) + 4
		}
		inner, kidSize := b.largest(kid, below(schema, n, i), kidName)
		size += kidSize
		if table && kidName == "columns" {
			inner = candidate{}
		}
		if table && kidName == "rows" {
			inner = candidate{}
			if len(kid.kids) > 1 {
				inner = candidate{kidName, kid, kidSize}
			}
		}
		if inner.size > best.size {
			best = inner
		}
	}
	if n.cuttable(schema) && best.size*10 < size*7 {
		best = candidate{name, n, size}
	}
	return best, size
}

// cuttable reports whether n can lose parts and still fit its schema.
func (n *node) cuttable(schema *jsonschema.Schema) bool {
	switch n.kind {
	case arrayNode:
		return len(n.kids) > 1
	case stringNode:
		return strings.Contains(n.text, "\n")
	case objectNode:
		return len(n.kids) > 1 && (schema == nil || len(schema.Properties) == 0)
	}
	return false
}

// below is the schema of n's i-th part, nil when anything goes there.
func below(schema *jsonschema.Schema, n *node, i int) *jsonschema.Schema {
	switch {
	case schema == nil:
		return nil
	case n.kind == arrayNode:
		return schema.Items
	case schema.Properties[n.keys[i]] != nil:
		return schema.Properties[n.keys[i]]
	}
	return schema.AdditionalProperties
}

// dropLongest replaces the longest string by a note of its length: the last
// resort when there is no row, line or key left to cut.
func (b *budgeter) dropLongest() bool {
	const worthIt = 64
	var longest *node
	var walk func(n *node)
	walk = func(n *node) {
		if n.kind == stringNode && (longest == nil || len(n.text) > len(longest.text)) {
			longest = n
		}
		for _, kid := range n.kids {
			walk(kid)
		}
	}
	for i, kid := range b.root.kids {
		if key := b.root.keys[i]; key != "left_out" && key != "continue" {
			walk(kid)
		}
	}
	if longest == nil || len(longest.text) < worthIt {
		return false
	}
	longest.text = fmt.Sprintf("(%d bytes left out)", len(longest.text))
	b.dropped++
	return true
}

// cutText holds a plain text to max bytes, at a line end where one is near.
func cutText(s string, max int) (string, bool) {
	const note = "\n(%d of %d bytes shown)"
	if len(s) <= max {
		return s, false
	}
	room := max - len(fmt.Sprintf(note, len(s), len(s)))
	if room <= 0 {
		return strings.ToValidUTF8(s[:max], ""), true
	}
	head := s[:room]
	if i := strings.LastIndexByte(head, '\n'); i > room/2 {
		head = head[:i]
	}
	return strings.ToValidUTF8(head, "") + fmt.Sprintf(note, len(head), len(s)), true
}
