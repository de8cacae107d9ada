package mcpkit_test

import (
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

func TestAListSaysWhichGateStandsBeforeWrites(t *testing.T) {
	for _, version := range []string{"2026-07-28", "2025-11-25", "2025-06-18"} {
		for _, c := range []struct {
			access       mcpkit.Access
			gate, stated mcpkit.GateMode
		}{
			{mcpkit.AccessWrite, "", mcpkit.GateAsk},
			{mcpkit.AccessWrite, mcpkit.GateAsk, mcpkit.GateAsk},
			{mcpkit.AccessAll, mcpkit.GateApproval, mcpkit.GateApproval},
			{mcpkit.AccessAll, mcpkit.GateOff, ""},
			{mcpkit.AccessRead, mcpkit.GateApproval, ""},
		} {
			clientEnd, serverEnd := mcp.NewInMemoryTransports()
			_, err := mcpkit.NewServer(newShelf().toolset(), mcpkit.Options{Access: c.access, Gate: c.gate}).MCP().Connect(t.Context(), serverEnd, nil)
			require.NoError(t, err)
			list, err := mcptest.Attach(t, clientEnd, version, nil).ListTools(t.Context(), nil)
			require.NoError(t, err)
			require.NotEmpty(t, list.Tools)
			require.Equal(t, c.stated, mcpkit.StatedGate(list), "%s %+v", version, c)
		}
	}
	for _, stated := range []any{nil, "", "off", "maybe", true, map[string]any{"mode": "ask"}} {
		require.Empty(t, mcpkit.StatedGate(&mcp.ListToolsResult{Meta: mcp.Meta{mcpkit.MetaGate: stated}}))
	}
}

func TestAServerThatLetsWritesThroughRefusesWhoLeavesTheGateToIt(t *testing.T) {
	b, record := newShelf(), &lines{}
	s := gated(t, b, "2026-07-28", mcpkit.Options{Gate: mcpkit.GateOff, Record: record}, nil)
	change := func() *mcp.CallToolResult {
		r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "shelf_label_item", Arguments: relabel, Meta: mcp.Meta{mcpkit.MetaGate: mcpkit.GateRequired}})
		require.NoError(t, err)
		return r
	}
	refused := change()
	require.True(t, refused.IsError)
	require.Equal(t, "denied: the caller leaves it to this server to have a person decide about each write, and this server lets writes through without asking. Nothing was changed. The caller must list the tools anew, and have a person decide itself", refused.Content[0].(*mcp.TextContent).Text)
	require.Equal(t, "blue", b.label("saw"))
	require.Equal(t, "cannot ask", entriesOf(t, record)[0]["gate"])

	require.False(t, s.Call("shelf_label_item", relabel).IsError)
	require.Equal(t, "green", b.label("saw"))
	require.False(t, change().IsError, "there is nothing to decide about")
}
