package prometheus

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// A path, a URL or a template in any string of any tool leads nowhere: what
// stands between the server and its backends sees the requests of its tools, and
// no write of which nobody was asked.
func TestTricksInEveryString(t *testing.T) {
	prometheus, alertmanager := newGateway(t, everything), gatewayTo(t, stack().Alertmanager, everything)
	prometheus.Start()
	alertmanager.Start()
	b := New(Config{Prometheus: Endpoint{URL: prometheus.URL}, Alertmanager: Endpoint{URL: alertmanager.URL}})
	base := maps.Clone(stackReads)
	base["alertmanager_create_silence"] = map[string]any{"matchers": "alertname=none", "end": "1h", "author": "ada", "comment": "none"}
	for _, access := range []mcpkit.Access{mcpkit.AccessRead, mcpkit.AccessWrite} {
		s := serve(t, b, access, nil)
		s.Hostile(mcptest.Canary(t), base, func(tool, argument, text string, _ mcptest.Answer) {
			for _, r := range slices.Concat(prometheus.requests(), alertmanager.requests()) {
				require.True(t, reads(r) || r.path == "/api/v1/status/config" || r.method == "GET" && tool == "alertmanager_expire_silence", "%s %s=%q: %s %s", tool, argument, text, r.method, r.path)
				require.NotContains(t, r.path, "..")
				require.LessOrEqual(t, strings.Count(r.path, "/"), 5, r.path)
			}
		})
	}
}
