package toolbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var _ run.Tools = (*toolbox.Box)(nil)

func TestToolsOfOurs(t *testing.T) {
	t.Parallel()
	s := newShelf()
	b := open(t, agentWith(serverAt(t, "shelf", s.serve(t, mcpkit.Options{Gate: mcpkit.GateOff}))), toolbox.Options{})
	tools, problems := b.List(t.Context())
	require.Empty(t, problems)
	require.Len(t, tools, 3)
	require.Equal(t, toolbox.Tool{
		Name: "shelf_get_item", Server: "tools/shelf", Remote: "shelf_get_item", Description: "Returns one item.", Class: toolbox.Read,
		Schema: []byte(`{"additionalProperties":false,"properties":{"name":{"description":"name of the item","type":"string"}},"required":["name"],"type":"object"}`),
	}, tools[0])
	require.Equal(t, []toolbox.Class{toolbox.Write, toolbox.Destroy}, []toolbox.Class{tools[1].Class, tools[2].Class})

	require.Equal(t, toolbox.Outcome{Text: "name: saw\nlabel: blue"}, call(t, b, "shelf_get_item", `{"name":"saw"}`))
	require.Equal(t, []string{"agents/sre", "run-1"}, []string{s.seen[0].Agent, s.seen[0].Run})
	require.Equal(t, toolbox.Outcome{Text: `not_found: no item "axe"`, Error: true}, call(t, b, "shelf_get_item", `{"name":"axe"}`))
	require.False(t, call(t, b, "shelf_label_item", `{"name":"saw","label":"red"}`).Error)
	require.Equal(t, "red", s.label("saw"))
}

func TestToolsOfOthers(t *testing.T) {
	t.Parallel()
	for _, protocol := range []kagent.RemoteMCPServerProtocol{kagent.ProtocolStreamableHTTP, kagent.ProtocolSSE} {
		f := newForeign()
		add(f, "look", readOnly, "seen")
		add(f, "change", nil, "changed")
		server := serverAt(t, "foreign", foreign(t, f, protocol), func(s *declared.Server) { s.Spec.Protocol = protocol })
		b := open(t, agentWith(server), toolbox.Options{})
		require.Equal(t, []string{"change", "look"}, names(t, b), protocol)
		require.Equal(t, toolbox.Outcome{Text: "seen"}, call(t, b, "look", `{}`))
		require.Equal(t, toolbox.Write, named(t, b, "change").Class, "a tool that says nothing writes")
		require.Equal(t, toolbox.Outcome{Text: "changed"}, call(t, b, "change", `{}`))
	}
}
