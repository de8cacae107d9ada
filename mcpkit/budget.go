package mcpkit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// resumer is implemented by results whose rows can be continued from any one of
// them: ResumeAt returns the continue token that starts at row kept.
type resumer interface{ ResumeAt(kept int) string }

// tailKeeper is implemented by results whose named fields are in time order, so
// that cutting keeps their end.
type tailKeeper interface{ KeepTail() []string }

// budgeter holds one result to a number of bytes by cutting rows and lines,
// never inside a value.
type budgeter struct {
	max  int
	root *node
	tail []string
	was  map[*node]*cutting
	done []*cutting
}

// cutting is one list or text that lost rows.
type cutting struct {
	name  string
	unit  string
	total int
	kept  int
}

// fit cuts root until text and structured result together take at most max
// bytes, says in root what was left out, and reports whether it had to cut.
func fit(root *node, out any, narrow string, max int) bool {
	b := &budgeter{max: max, root: root, was: map[*node]*cutting{}}
	if t, ok := out.(tailKeeper); ok {
		b.tail = t.KeepTail()
	}
	if b.excess() <= 0 {
		return false
	}
	for range 64 {
		b.say(out, narrow)
		excess := b.excess()
		if excess <= 0 || !b.cut(excess) {
			break
		}
	}
	b.say(out, narrow)
	return true
}

// excess is how many bytes the answer is over its budget.
func (b *budgeter) excess() int { return len(render(b.root)) + b.root.size() - b.max }

// say writes into the result what was left out and how to ask for less.
func (b *budgeter) say(out any, narrow string) {
	var parts []string
	for _, c := range b.done {
		parts = append(parts, fmt.Sprintf("%s: %d of %d %s shown", c.name, c.kept, c.total, c.unit))
		if r, ok := out.(resumer); ok && c.name == "rows" {
			b.root.set("continue", &node{kind: stringNode, text: r.ResumeAt(c.kept)})
		}
	}
	if narrow != "" {
		parts = append(parts, narrow)
	}
	b.root.set("truncated", &node{kind: literalNode, text: "true"})
	b.root.set("left_out", &node{kind: stringNode, text: strings.Join(parts, "; ")})
}

// candidate is something that can lose a part.
type candidate struct {
	name string
	at   *node
	size int
}

// cut takes about excess bytes from the largest list or text.
func (b *budgeter) cut(excess int) bool {
	c := b.largest(b.root, "", candidate{})
	if c.at == nil {
		return b.dropLargestValue()
	}
	target := float64(c.size-excess/2) / float64(c.size) * 0.97
	target = max(min(target, 0.97), 0.1)
	fromFront := slices.Contains(b.tail, c.name)
	if c.at.kind == arrayNode {
		total := len(c.at.kids)
		keep := max(1, int(float64(total)*target))
		b.note(c, "rows", total, keep)
		if fromFront {
			c.at.kids = c.at.kids[total-keep:]
		} else {
			c.at.kids = c.at.kids[:keep]
		}
		return true
	}
	lines := strings.Split(c.at.text, "\n")
	keep := max(1, int(float64(len(lines))*target))
	b.note(c, "lines", len(lines), keep)
	if fromFront {
		lines = lines[len(lines)-keep:]
	} else {
		lines = lines[:keep]
	}
	c.at.text = strings.Join(lines, "\n")
	return true
}

// note remembers a cut under its first total, however often it is cut again.
func (b *budgeter) note(c candidate, unit string, total, keep int) {
	known := b.was[c.at]
	if known == nil {
		known = &cutting{name: c.name, unit: unit, total: total}
		b.was[c.at] = known
		b.done = append(b.done, known)
	}
	known.kept = keep
}

// largest finds the biggest list or text below n, preferring a part that makes
// up most of the list around it.
func (b *budgeter) largest(n *node, name string, best candidate) candidate {
	if n.kind == arrayNode && len(n.kids) > 1 && name != "columns" || n.kind == stringNode && strings.Contains(n.text, "\n") {
		if size := n.size(); size > best.size {
			best = candidate{name, n, size}
		}
	}
	around := best
	for i, kid := range n.kids {
		kidName := name
		if n.kind == objectNode {
			kidName = n.keys[i]
		}
		inner := b.largest(kid, kidName, candidate{})
		if inner.size > best.size || best.at == n && inner.size*10 > around.size*7 {
			best = inner
		}
	}
	return best
}

// dropLargestValue replaces the longest string by a note of its length: the
// last resort when there is no row or line left to cut.
func (b *budgeter) dropLargestValue() bool {
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
	if longest == nil || len(longest.text) < 64 {
		return false
	}
	longest.text = fmt.Sprintf("(%d bytes left out)", len(longest.text))
	return true
}

// cutText holds a plain text to max bytes at a line end.
func cutText(s string, max int) (string, bool) {
	if len(s) <= max {
		return s, false
	}
	head := s[:max]
	if i := strings.LastIndexByte(head, '\n'); i > max/2 {
		head = head[:i]
	}
	return string(bytes.ToValidUTF8([]byte(head), nil)) + fmt.Sprintf("\n(%d of %d bytes shown)", len(head), len(s)), true
}
