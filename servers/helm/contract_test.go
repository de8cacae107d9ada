package helm

import (
	"testing"

	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// Helm keeps releases in Secrets: nobody can look at one without reading them.
func TestContract(t *testing.T) {
	mcptest.Contract(t, func(ts *mcpkit.Toolset) { Register(ts, New(Config{})) }, "secrets")
}

// Kubectl auth can-i, the list of tools and the server agree on every tool.
func TestTheClusterSaysWhoMayCall(t *testing.T) {
	t.Parallel()
	ts := toolset(New(Config{}))
	lockstest.Agree(t, cluster(), ts)
}
