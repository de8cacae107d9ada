// Package declared reads an agent's configuration: a directory of the YAML that
// people write and that the controller renders. It refuses what it does not
// know, and what nobody would serve.
package declared

import (
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Agent is an agent with everything that it refers to.
type Agent struct {
	kagent.Agent // normalised

	Model   kagent.ModelConfig  // normalised
	Folder  *kagent.ModelConfig // the model that writes summaries; Model if nil
	System  string              // the system message, its templates filled in
	Servers []Server            // in the order of the Agent's tools
	Agents  []SubAgent
	Limits  Limits
	Prices  Prices
	Secrets Secrets

	Revision string   // of the configuration, 10 hex digits
	Unserved []string // fields that are given and that nothing heeds, a line each
}

// Server is a tool server, and what the agent takes of it.
type Server struct {
	kagent.RemoteMCPServer          // normalised
	Tools                  []string // names, as the Agent lists them; all if empty
	RequireApproval        []string
	Headers                []kagent.ValueRef // the Agent's own, which win over the server's
	GatesItself            bool              // it may be left to it to ask a person before each write, if it says that it does; annotation toolcrib.dev/access: write
	Audience               string            // of the token that it wants; none if empty
}

// SubAgent is an agent that is used as a tool.
type SubAgent struct {
	kagent.Agent
	Headers []kagent.ValueRef
	Here    bool // it is declared in full in the same directory and runs in this process
}

// Limits are the tightest of what all policies say, and the program's defaults
// where none says anything. Zero means that there is no limit, but for Access,
// ApprovalTimeout, Turns and Duration, which always have one; [None], which is
// negative, lets nothing through.
type Limits struct {
	Access          v1alpha1.Access
	ApprovalTimeout time.Duration

	Turns     int
	ToolCalls int
	Duration  time.Duration // without waiting for people
	Tokens    int64
	Cost      float64 // US dollars

	RunsPerDay      int
	ToolCallsPerDay int
	TokensPerDay    int64
	CostPerDay      float64 // US dollars
}

// Prices are what a model's tokens cost.
type Prices struct {
	Known                                bool
	Input, Output, CacheRead, CacheWrite float64 // US dollars for a million tokens
}

// Cost is what usage costs, in US dollars; false if the model's price is not
// known.
func (p Prices) Cost(u v1alpha1.TokenUsage) (float64, bool) {
	return (float64(u.Input)*p.Input + float64(u.Output)*p.Output + float64(u.CacheRead)*p.CacheRead + float64(u.CacheWrite)*p.CacheWrite) / 1e6, p.Known
}

// Secrets hands out the values that Secrets hold, at each use anew.
type Secrets interface {
	// Secret is the value of one key of a Secret of the agent's namespace. The
	// error says where it was looked for and never holds a value.
	Secret(name, key string) (string, error)
	// Token is the bearer token for the tool server or agent of that namespace
	// and name; empty if there is none.
	Token(namespace, name string) (string, error)
}
