package mcpkit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Plan is what a write would do, found out without doing it. Apply is called
// with a plan made a moment before, whose hash is the approved one; it must
// still use State's versions as preconditions, so that nothing slips between.
type Plan struct {
	Target string   // what would change, such as "deployments/web in namespace shop"
	Diff   string   // how it would change, short; empty when nothing would, and then nobody is asked
	Notes  []string // what the person deciding should know besides
	Now    []string // how things stand, for that person; what moves by itself belongs here, since it does not make the plan stale
	Seen   []string // versions of everything the plan rests on; a change to one makes the plan stale
	State  any      // for Apply alone; never leaves the process
}

// targetBytes bounds a target, which stands in lists.
const targetBytes = 1 << 10

// shown is the plan as people and models may see it: without secrets, all of it
// in sight, and with nothing in it that looks like more than one target or one
// note.
func (p Plan) shown(r *Redactor) Plan {
	r = r.InSight()
	p.Target = oneLine(r.Text(p.Target), targetBytes)
	p.Diff = r.Text(p.Diff)
	for _, lines := range []*[]string{&p.Notes, &p.Now} {
		*lines = slices.Clone(*lines)
		for i, line := range *lines {
			(*lines)[i] = oneLine(r.Text(line), maxApprovedPlan)
		}
	}
	return p
}

// String is the plan as a person or a model reads it.
func (p Plan) String() string { return p.text(p.Diff) }

func (p Plan) text(diff string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", p.Target, strings.TrimRight(diff, "\n"))
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "\nNote: %s", n)
	}
	for _, n := range p.Now {
		fmt.Fprintf(&b, "\nNow: %s", n)
	}
	return strings.TrimRight(b.String(), "\n")
}

// approvable is the plan as it is kept to be approved: without what moves by
// itself, so that it reads the same when it is made again, and with its diff
// set off, so that no line of it passes for a note.
func (p Plan) approvable() string {
	p.Now = nil
	return p.text("  " + strings.ReplaceAll(strings.TrimRight(p.Diff, "\n"), "\n", "\n  "))
}

// hash binds an approval to what is given. It is keyed, since what is redacted
// elsewhere could be guessed and tried on a plain one.
func (g *gate) hash(v ...any) string {
	m := hmac.New(sha256.New, g.key)
	m.Write([]byte("approval\x00"))
	m.Write(mustJSON(v))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// hashes bind an approval to the call and to its plan, as they are before
// anything is redacted.
func (g *gate) hashes(c *Call, p Plan) (arguments, plan string) {
	call := []any{g.server, c.tool.Name, c.Caller.Name, c.Caller.UID, c.args}
	return g.hash("call", call), g.hash("plan", call, p.Target, p.Diff, p.Notes, p.Seen)
}

// unseenArguments says which arguments hold characters that whoever reads them
// would not see.
func unseenArguments(args json.RawMessage) []string {
	all, err := toNode(args)
	if err != nil { // checked arguments always decode
		return nil
	}
	var notes []string
	for i, name := range all.keys {
		if found := unseen(all.kids[i]); len(found) > 0 {
			notes = append(notes, fmt.Sprintf("argument %s holds characters that would not be seen: %s", name, strings.Join(found[:min(8, len(found))], ", ")))
		}
	}
	return notes
}

// unseen lists the characters below n that Clean would take out, each once.
// Line ends do not count.
func unseen(n *node) []string {
	var found []string
	for _, text := range append([]string{n.text}, n.keys...) {
		for _, r := range strings.ReplaceAll(text, "\r\n", "\n") {
			if invisible(r) {
				found = append(found, fmt.Sprintf("U+%04X", r))
			}
		}
	}
	for _, kid := range n.kids {
		found = append(found, unseen(kid)...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}
