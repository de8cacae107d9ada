// Package toolbox is an agent's connections to its tools: MCP servers, and
// other agents over A2A. It offers what the Agent names and nothing else, and
// refuses to call what it does not offer.
package toolbox

import (
	"context"
	"encoding/json"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Class is what a tool does to what it reaches.
type Class string

// The classes. A tool that does not say that it only reads writes.
const (
	Read    Class = "read"
	Write   Class = "write"
	Destroy Class = "destroy"
)

// Tool is a tool as the agent can call it.
type Tool struct {
	Name        string // as the model knows it; unique
	Server      string // NAMESPACE/NAME of the server or agent
	Remote      string // its name there
	Description string
	Schema      json.RawMessage // of its arguments
	Class       Class

	RequireApproval bool // the Agent says that a person decides about each call
	GatesItself     bool // its server has a person decide about each write
	Agent           bool // it is an agent
}

// Call is one call of a tool.
type Call struct {
	ID        string          // within the run
	Run       string          // name of the run
	Arguments json.RawMessage // a JSON object
	Path      []string        // the agents above this one, outermost first, as NAMESPACE/NAME
	Fresh     bool            // nothing is known to have come of an earlier try
	Awaits    string          // the approval that an earlier try was told to wait for; the call uses up no other
	Access    v1alpha1.Access // the most that an agent may do that is called; what its own policy says if empty
	Left      Left            // the most that an agent may take that is called
}

// Left is what a run may still take, of which an agent that it asks takes its
// part. Zero is no limit.
type Left struct {
	Tokens  int64
	Dollars float64
}

// Outcome is what a tool answered.
type Outcome struct {
	Text     string
	Error    bool      // the tool says that it failed
	Unsure   bool      // it is not known whether the call took effect
	Approval *Approval // why nothing was done, if a person must decide

	Asked *v1alpha1.AskedUsage // what an agent took; nil if none was asked
}

// Approval is a decision that a call waits for, as its server keeps it.
type Approval struct {
	Name    string    `json:"name"`  // NAMESPACE/NAME
	State   string    `json:"state"` // pending, denied, taken or consumed
	Expires time.Time `json:"expires"`
	Command string    `json:"command"` // by which a person approves
}

// Ask puts a question to the person at the terminal.
type Ask func(ctx context.Context, question string) (yes bool, err error)
