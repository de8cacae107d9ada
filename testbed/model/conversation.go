package model

import (
	"encoding/json"
	"strings"
)

// conversation is what a request holds, whatever wire it came on.
type conversation struct {
	model      string
	system     string
	stream     bool
	countUsage bool // in the stream: OpenAI's stream_options.include_usage
	maxTokens  int  // no bound if 0
	thinking   bool
	tools      []offer
	entries    []entry
	blocks     []block
}

// offer is a tool the model may call.
type offer struct{ name, description, schema string }

// kind says what an entry is.
type kind int

const (
	asked    kind = iota // text of the user
	answered             // text of the model
	called               // a call of the model
	returned             // what a tool returned
)

// entry is one thing said, in the order it was said.
type entry struct {
	kind   kind
	id     string // of a call, and of its result
	tool   string // of a call, and of its result
	text   string // arguments as JSON for a call
	failed bool   // the result is an error
}

// block is a piece of the prompt as the cache sees it.
type block struct {
	content []byte // without cache_control
	mark    bool   // a breakpoint for Anthropic's cache
	hour    bool   // the breakpoint's ttl is 1h
}

// add keeps a piece of the prompt for counting. It marshals what was decoded a
// moment ago, which cannot fail.
func (c *conversation) add(v any, mark, hour bool) {
	content, _ := json.Marshal(v)
	c.blocks = append(c.blocks, block{content, mark, hour})
}

// question is where the entries after the user's last text begin, that text
// included.
func (c *conversation) question() []entry {
	for i := len(c.entries) - 1; i >= 0; i-- {
		if c.entries[i].kind == asked {
			return c.entries[i:]
		}
	}
	return c.entries
}

// user is the user's last text.
func (c *conversation) user() string {
	if q := c.question(); len(q) > 0 && q[0].kind == asked {
		return q[0].text
	}
	return ""
}

// said are the entries of one kind since the user's last text.
func (c *conversation) said(k kind) []entry {
	var out []entry
	for _, e := range c.question() {
		if e.kind == k {
			out = append(out, e)
		}
	}
	return out
}

// read is all the model has read that its operator did not write: users' texts
// and tools' results, oldest first.
func (c *conversation) read() string {
	var b strings.Builder
	for _, e := range c.entries {
		if e.kind == asked || e.kind == returned {
			b.WriteString(e.text)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func (c *conversation) offers(tool string) bool {
	for _, t := range c.tools {
		if t.name == tool {
			return true
		}
	}
	return false
}

// toolOf is the tool that a call's id belongs to.
func (c *conversation) toolOf(id string) string {
	for i := len(c.entries) - 1; i >= 0; i-- {
		if e := c.entries[i]; e.kind == called && e.id == id {
			return e.tool
		}
	}
	return ""
}
