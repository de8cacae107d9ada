package prometheus

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// person decides about writes in tests.
type person = mcptest.Person

// writing is a session of the write server whose writes p decides about.
func writing(t testing.TB, b *Backend, p *person) *mcptest.Session {
	t.Helper()
	return serve(t, b, mcpkit.AccessWrite, p.Decide)
}

// gatedWrite is one call of a write tool and how to see what came of it.
type gatedWrite = mcptest.GatedWrite

// requireGated holds a write tool to what every one promises.
func requireGated(t *testing.T, w gatedWrite) mcptest.Answer {
	t.Helper()
	return mcptest.RequireGated(t, toolset(whole()), w)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}
