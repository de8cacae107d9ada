package locks

import (
	"context"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// BenchmarkCall measures one call over HTTP with the caller's token and right
// known, next to one with nobody asked: p50 of both, taken in turn.
func BenchmarkCall(b *testing.B) {
	kubeconfig, err := bed().ServiceAccount(b.Context(), "tools", "bench", "system:auth-delegator", "cluster-admin")
	require.NoError(b, err)
	token, err := bed().Kubectl(b.Context(), "create", "token", "bench", "-n", "tools", "--audience", audience)
	require.NoError(b, err)
	l, err := Open(mcpkit.LocksConfig{Kubeconfig: kubeconfig, Namespace: "tools", Audience: audience, UserAgent: "bench"})
	require.NoError(b, err)
	locked := benchmarked(b, string(token), mcpkit.Options{Authenticator: l, Authorizer: l, CallerRate: 1e6})
	open := benchmarked(b, string(token), mcpkit.Options{})
	var with, without []time.Duration
	for b.Loop() {
		with, without = append(with, locked()), append(without, open())
	}
	slices.Sort(with)
	slices.Sort(without)
	b.ReportMetric(float64(with[len(with)/2].Microseconds()), "p50-locked-µs")
	b.ReportMetric(float64(without[len(without)/2].Microseconds()), "p50-open-µs")
}

// benchmarked returns a function that makes one call and says how long it took.
func benchmarked(b *testing.B, token string, o mcpkit.Options) func() time.Duration {
	b.Helper()
	handler, err := mcpkit.NewServer((&shelf{}).toolset(), o).HTTP(mcpkit.HTTPOptions{})
	require.NoError(b, err)
	server := httptest.NewServer(handler)
	b.Cleanup(server.Close)
	s, err := mcp.NewClient(&mcp.Implementation{Name: "bench", Version: "1"}, nil).
		Connect(b.Context(), &mcp.StreamableClientTransport{Endpoint: server.URL + "/mcp", HTTPClient: sending(token), MaxRetries: -1}, nil)
	require.NoError(b, err)
	b.Cleanup(func() { _ = s.Close() })
	return func() time.Duration {
		began := time.Now()
		a, err := s.CallTool(context.Background(), &mcp.CallToolParams{Name: "shelf_get_item", Arguments: map[string]any{"name": "saw"}})
		require.NoError(b, err)
		require.False(b, a.IsError)
		return time.Since(began)
	}
}
