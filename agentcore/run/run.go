// Package run is the loop of an agent: generate, gate, call, append. Everything
// it knows of a run is in the run's record, so that it can go on from there.
package run

import (
	"context"

	"github.com/toolcrib/toolcrib/agentcore/toolbox"
)

// Tools is what the loop calls tools through.
type Tools interface {
	// List are the tools on offer now, in an order that stays, and what is
	// wrong with the others, a line each.
	List(ctx context.Context) (tools []toolbox.Tool, problems []string)
	// Call calls one of them. The error is the context's; what else went wrong
	// is in the outcome.
	Call(ctx context.Context, t toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error)
}
