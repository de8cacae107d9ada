package main

import (
	"context"
	"sync"

	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// gate asks people by Approvals, once the cluster has said who the agent is in
// it: whoever asks cannot approve.
type gate struct {
	cluster *runs.Cluster

	mu sync.Mutex
	run.Cluster
}

// Decide implements [run.Gate].
func (g *gate) Decide(ctx context.Context, r run.GateRequest) (run.GateAnswer, error) {
	g.mu.Lock()
	if g.Caller == "" {
		name, err := g.cluster.Self(ctx)
		if err != nil {
			g.mu.Unlock()
			return run.GateAnswer{}, mcpkit.Wrap(mcpkit.Unavailable, err, "the cluster does not say who this agent is in it; approvals cannot be asked for")
		}
		g.Caller = name
	}
	asks := g.Cluster
	g.mu.Unlock()
	return asks.Decide(ctx, r)
}
