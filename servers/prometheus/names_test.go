package prometheus

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestKagentNames(t *testing.T) {
	b := whole()
	b.cfg.Names = NamesKagent
	s := serve(t, b, mcpkit.AccessRead, nil)
	list, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	served := map[string]bool{}
	for _, tool := range list.Tools {
		served[tool.Name] = true
		require.NotRegexp(t, `\bprometheus_(query|query_range|label_names|targets)\b`, tool.Name+" "+tool.Description)
	}
	for ours, theirs := range kagentNames {
		require.False(t, served[ours], ours)
		require.True(t, served[theirs], theirs)
	}
	require.True(t, served["prometheus_label_values"])
	var out QueryOut
	s.Call("prometheus_query_tool", map[string]any{"query": "count(up)"}).Into(t, &out)
	require.Equal(t, [][]string{{"{}", "7"}}, out.Series.Rows)

	var n Names
	require.NoError(t, n.Set("kagent"))
	require.EqualError(t, n.Set("other"), "write toolcrib or kagent")
	require.Equal(t, NamesKagent, n)
}
