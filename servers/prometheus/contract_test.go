package prometheus

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed"
)

func TestContract(t *testing.T) {
	mcptest.Contract(t, func(ts *mcpkit.Toolset) { Register(ts, New(Config{})) })
}

// Kubectl auth can-i, the list of tools and the server agree on every tool.
func TestTheClusterSaysWhoMayCall(t *testing.T) {
	t.Parallel()
	c, err := testbed.Start(t.Context(), testbed.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	ts := toolset(New(Config{}))
	lockstest.Agree(t, c, ts)
}
