package prometheus

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// benchmarked are an ordinary query and a wide one.
var benchmarked = map[string]string{
	"ordinary": "sum by (job) (rate(prometheus_http_requests_total[5m]))",
	"wide":     "topk(100, testbed_session_seconds)",
}

// median runs one call again and again and reports how long the middle one took.
func median(b *testing.B, call func()) {
	b.Helper()
	call()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		call()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
}

// BenchmarkQuery compares prometheus_query with the plain request to the same
// Prometheus that it stands for.
func BenchmarkQuery(b *testing.B) {
	for name, expr := range benchmarked {
		b.Run(name+"/raw", func(b *testing.B) {
			address := stack().Prometheus + "/api/v1/query?" + url.Values{"query": {expr}}.Encode()
			median(b, func() {
				resp, err := http.Get(address)
				require.NoError(b, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(b, err)
				require.NoError(b, resp.Body.Close())
			})
		})
		b.Run(name+"/handler", func(b *testing.B) {
			backend := whole()
			median(b, func() {
				_, err := backend.query(b.Context(), QueryIn{Query: expr})
				require.NoError(b, err)
			})
		})
		for way, s := range map[string]*mcptest.Session{
			"in process": reading(b),
			"over HTTP":  connect(b, start(b, "--prometheus-url", stack().Prometheus, "--record=/dev/null")),
		} {
			b.Run(name+"/"+way, func(b *testing.B) {
				median(b, func() {
					res, err := s.CallTool(b.Context(), &mcp.CallToolParams{Name: "prometheus_query", Arguments: map[string]any{"query": expr}})
					require.NoError(b, err)
					require.False(b, res.IsError)
				})
			})
		}
	}
}
