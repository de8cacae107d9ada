// Package mcpkit is what every Toolcrib server shares: typed tools, the one
// pipeline each call runs through, the transports and the command line.
//
// It refuses to know a backend. Nothing here names Kubernetes, Prometheus or
// any other system, and nothing reads an environment variable outside Main.
package mcpkit

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// Tool is what a model is told about a tool, and what an operator must grant
// for it.
type Tool struct {
	Name        string // <system>_<verb>_<noun>
	Title       string // for people, in title case
	Description string // for the model: what it answers, and when to use another tool
	Narrow      string // how to ask for less, said when an answer had to be cut
	Rules       []Rule // Kubernetes access the tool needs, none for other backends
	Idempotent  bool   // a write that changes nothing when repeated

	// Timeout is how long a call may take unless the operator says otherwise,
	// for a tool that waits for the backend; DefaultCallTimeout if zero.
	Timeout time.Duration
}

// Rule is one Kubernetes RBAC rule, as rbac.authorization.k8s.io/v1 PolicyRule.
type Rule struct {
	Groups    []string `json:"apiGroups,omitempty" yaml:"apiGroups,omitempty"`
	Resources []string `json:"resources,omitempty" yaml:"resources,omitempty"`
	Names     []string `json:"resourceNames,omitempty" yaml:"resourceNames,omitempty"`
	URLs      []string `json:"nonResourceURLs,omitempty" yaml:"nonResourceURLs,omitempty"`
	Verbs     []string `json:"verbs" yaml:"verbs"`
}

// Class says what calling a tool can do to the backend.
type Class string

// The classes of tools.
const (
	ClassRead    Class = "read"
	ClassWrite   Class = "write"
	ClassDestroy Class = "destroy" // a write that removes something or cannot be taken back
)

// Access says which classes of tools a server lists and serves.
type Access string

// The access modes of a server.
const (
	AccessRead  Access = "read"  // read tools alone; no write tool exists
	AccessWrite Access = "write" // write and destroy tools alone, so that the list is short
	AccessAll   Access = "all"   // everything, for a person's own use over stdio
)

// Allows reports whether a server with access a serves tools of class c.
func (a Access) Allows(c Class) bool {
	return a == AccessAll || (a == AccessRead) == (c == ClassRead)
}

// Toolset is the inventory of a server: every tool it can serve, whatever the
// access mode. What a server lists is a filter over it.
type Toolset struct {
	tools map[string]*tool
}

// NewToolset returns an empty inventory.
func NewToolset() *Toolset { return &Toolset{tools: map[string]*tool{}} }

// tool is a Tool bound to its schemas and its work.
type tool struct {
	Tool
	class  Class
	input  *inputSchema
	output *jsonschema.Schema

	read  func(ctx context.Context, args json.RawMessage) (any, error)
	plan  func(ctx context.Context, args json.RawMessage) (Plan, error)
	apply func(ctx context.Context, args json.RawMessage, p Plan) (any, error)
}

// Read adds a tool that cannot change the backend.
func Read[In, Out any](ts *Toolset, t Tool, work func(context.Context, In) (Out, error)) {
	entry := newTool[In, Out](t, ClassRead)
	entry.read = func(ctx context.Context, args json.RawMessage) (any, error) {
		in, err := decode[In](args)
		if err != nil {
			return nil, err
		}
		return work(ctx, in)
	}
	ts.add(entry)
}

// Write adds a tool that changes the backend in two steps: plan validates and
// says what would change, apply does exactly that once the gate has opened.
// See [Plan] for what binds the two.
func Write[In, Out any](ts *Toolset, t Tool, plan func(context.Context, In) (Plan, error), apply func(context.Context, In, Plan) (Out, error)) {
	ts.add(newWrite(t, ClassWrite, plan, apply))
}

// Destroy adds a tool like [Write] whose effect cannot be taken back.
func Destroy[In, Out any](ts *Toolset, t Tool, plan func(context.Context, In) (Plan, error), apply func(context.Context, In, Plan) (Out, error)) {
	ts.add(newWrite(t, ClassDestroy, plan, apply))
}

func newWrite[In, Out any](t Tool, c Class, plan func(context.Context, In) (Plan, error), apply func(context.Context, In, Plan) (Out, error)) *tool {
	entry := newTool[In, Out](t, c)
	entry.plan = func(ctx context.Context, args json.RawMessage) (Plan, error) {
		in, err := decode[In](args)
		if err != nil {
			return Plan{}, err
		}
		return plan(ctx, in)
	}
	entry.apply = func(ctx context.Context, args json.RawMessage, p Plan) (any, error) {
		in, err := decode[In](args)
		if err != nil {
			return nil, err
		}
		return apply(ctx, in, p)
	}
	return entry
}

func newTool[In, Out any](t Tool, c Class) *tool {
	return &tool{Tool: t, class: c, input: inferInput[In](t.Name), output: inferOutput[Out](t.Name)}
}

// add panics on a name taken twice: that is a programming error at start-up.
func (ts *Toolset) add(t *tool) {
	if _, taken := ts.tools[t.Name]; taken {
		panic(fmt.Sprintf("tool %s is registered twice", t.Name))
	}
	ts.tools[t.Name] = t
}

// mention is a tool's name in a text.
var mention = regexp.MustCompile(`\b[a-z][a-z0-9]*(_[a-z0-9]+)+\b`)

// Rename serves tools under other names, for clients that were written for
// those of another server: names maps ours to theirs. What descriptions say of
// other tools follows.
func (ts *Toolset) Rename(names map[string]string) {
	replace := func(text string) string {
		return mention.ReplaceAllStringFunc(text, func(word string) string { return cmp.Or(names[word], word) })
	}
	old := ts.tools
	ts.tools = map[string]*tool{}
	for _, t := range old {
		t.Name, t.Description, t.Narrow = replace(t.Name), replace(t.Description), replace(t.Narrow)
		ts.add(t)
	}
}

// Tools are those of one access mode, by name.
func (ts *Toolset) Tools(a Access) []Tool {
	var out []Tool
	for _, t := range ts.served(a) {
		out = append(out, t.Tool)
	}
	return out
}

// served lists the tools of one access mode, by name.
func (ts *Toolset) served(a Access) []*tool {
	var out []*tool
	for _, t := range ts.tools {
		if a.Allows(t.class) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(x, y *tool) int { return cmp.Compare(x.Name, y.Name) })
	return out
}
