package run_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// late is a shelf whose tools are there after a while.
type late struct {
	shelf
	from time.Time
}

func (l *late) List(ctx context.Context) ([]toolbox.Tool, []string) {
	if time.Now().Before(l.from) {
		return nil, []string{"tools/kubernetes lists no tool that the Agent names"}
	}
	return l.shelf.List(ctx)
}

// An agent that was just started is asked before its tools are known.
func TestARunWaitsAMomentForServersThatOfferNothing(t *testing.T) {
	for name, c := range map[string]struct {
		after  time.Duration // that the tools are there
		waited time.Duration
		offer  int
	}{
		"there":          {0, 0, 1},
		"soon there":     {time.Second, time.Second, 1},
		"not soon there": {time.Minute, 5 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				tools := &late{shelf{tools: []toolbox.Tool{reads("k8s_get_pods")}}, began.Add(c.after)}
				offered := -1
				r := runner(hear(script(says("Done.")), func(r model.Request) { offered = len(r.Tools) }), tools)
				server := declared.Server{}
				server.Namespace, server.RemoteMCPServer.Name = "tools", "kubernetes"
				r.Agent.Servers = []declared.Server{server}
				s, _ := ask(t, r, "Why?")
				require.Equal(t, v1alpha1.RunCompleted, s.Phase)
				require.Equal(t, c.waited, time.Since(began))
				require.Equal(t, c.offer, offered)
			})
		})
	}
}
