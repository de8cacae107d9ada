package toolbox_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// statesGate has a foreign server say that a person decides about its writes.
func statesGate(s *mcp.Server) {
	s.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			result, err := next(ctx, method, req)
			if list, ok := result.(*mcp.ListToolsResult); ok {
				list.Meta = mcp.Meta{mcpkit.MetaGate: string(mcpkit.GateApproval)}
			}
			return result, err
		}
	})
}

func annotated(s *declared.Server) { s.GatesItself = true }

func TestAnAnnotationAloneSwitchesNoGateOff(t *testing.T) {
	t.Parallel()
	silent, stating := newForeign(), newForeign()
	for _, f := range []*mcp.Server{silent, stating} {
		add(f, "look", readOnly, "seen")
		add(f, "change", nil, "changed")
	}
	statesGate(stating)
	gated := mcpkit.Options{Gate: mcpkit.GateApproval, Approvals: &decisions{}}
	for name, c := range map[string]struct {
		server       declared.Server
		change       string
		itself, told bool
	}{
		"a foreign server that says nothing":        {serverAt(t, "s", foreign(t, silent, ""), annotated), "change", false, true},
		"one that says so":                          {serverAt(t, "s", foreign(t, stating, ""), annotated), "change", true, false},
		"one that says so and nobody else":          {serverAt(t, "s", foreign(t, stating, "")), "change", false, false},
		"ours":                                      {serverAt(t, "s", newShelf().serve(t, gated), annotated), "shelf_label_item", true, false},
		"ours, which asks":                          {serverAt(t, "s", newShelf().serve(t, mcpkit.Options{Gate: mcpkit.GateAsk}), annotated), "shelf_label_item", true, false},
		"ours, which lets writes through":           {serverAt(t, "s", newShelf().serve(t, mcpkit.Options{Gate: mcpkit.GateOff}), annotated), "shelf_label_item", false, true},
		"one of which no tool that is named writes": {serverAt(t, "s", foreign(t, silent, ""), annotated, func(s *declared.Server) { s.Tools = []string{"look"} }), "look", false, false},
	} {
		b := open(t, agentWith(c.server), toolbox.Options{})
		require.Equal(t, c.itself, named(t, b, c.change).GatesItself, name)
		_, problems := b.List(t.Context())
		if !c.told {
			require.Empty(t, problems, name)
			continue
		}
		require.Equal(t, []string{"tool server tools/s does not say that it has a person decide about its writes, as its annotation toolcrib.dev/access does; they are not left to it"}, problems, name)
	}
}

// A server that was replaced by one that lets writes through is not called on the
// word of the one before.
func TestAGateThatIsGone(t *testing.T) {
	t.Parallel()
	const args = `{"name":"saw","label":"red"}`
	s, at := newShelf(), &swap{}
	serves := func(gate mcpkit.GateMode) http.Handler {
		h, err := mcpkit.NewServer(s.toolset(), mcpkit.Options{Name: "shelf-mcp", Access: mcpkit.AccessAll, Gate: gate, Approvals: &decisions{mcpkit.Approval{State: mcpkit.ApprovalPending}}}).HTTP(mcpkit.HTTPOptions{})
		require.NoError(t, err)
		return h
	}
	at.set(serves(mcpkit.GateApproval))
	b := open(t, agentWith(serverAt(t, "shelf", serveHTTP(t, at)+"/mcp", annotated)), toolbox.Options{})
	listed := named(t, b, "shelf_label_item")
	require.True(t, listed.GatesItself)

	at.set(serves(mcpkit.GateOff))
	refused := func() string {
		o, err := b.Call(t.Context(), listed, toolbox.Call{ID: "c1", Arguments: []byte(args)})
		require.NoError(t, err)
		require.True(t, o.Error)
		require.False(t, o.Unsure)
		require.Equal(t, "blue", s.label("saw"))
		return o.Text
	}
	refused()
	require.Eventually(t, func() bool { return !named(t, b, "shelf_label_item").GatesItself }, limit, tick)
	require.Equal(t, "shelf_label_item was not called: its server does not say any more that it has a person decide about writes. Call it again if that is still what you want", refused())
	require.False(t, call(t, b, "shelf_label_item", args).Error)
	require.Equal(t, "red", s.label("saw"))
}
