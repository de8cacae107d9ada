package prometheus

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// whole is a backend over the shared stack.
func whole() *Backend {
	s := stack()
	return New(Config{
		Prometheus:   Endpoint{URL: s.Prometheus},
		Alertmanager: Endpoint{URL: s.Alertmanager},
		UserAgent:    "prometheus-mcp/test",
	})
}

// toolset are the tools of a server over b.
func toolset(b *Backend) *mcpkit.Toolset {
	ts := mcpkit.NewToolset()
	Register(ts, b)
	return ts
}

// serve returns a client session with a server over b.
func serve(t testing.TB, b *Backend, access mcpkit.Access, decide mcptest.Decide) *mcptest.Session {
	t.Helper()
	return mcptest.Connect(t, toolset(b), mcpkit.Options{Name: "prometheus-mcp", Access: access, CallTimeout: 10 * time.Minute}, decide) // a machine may be very busy
}

// reading is a session of the read server over the shared stack.
func reading(t testing.TB) *mcptest.Session {
	t.Helper()
	return serve(t, whole(), mcpkit.AccessRead, nil)
}

// within waits until a condition of the stack holds. The end is far, since no
// test is about how fast a machine is.
func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 5*time.Minute, 100*time.Millisecond, what)
}

// requireRefused calls a tool and requires an error that contains text.
func requireRefused(t testing.TB, s *mcptest.Session, tool string, args map[string]any, text string) {
	t.Helper()
	a := s.Call(tool, args)
	require.True(t, a.IsError, a.Text)
	require.Contains(t, a.Text, text)
}
