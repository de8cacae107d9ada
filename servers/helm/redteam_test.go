package helm

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// A path, a URL or a template in any string of any tool leads nowhere: no chart
// comes from where an argument says, no file of the server's machine comes out,
// and the API server is asked for what the tools ask and nothing else.
func TestTricksInEveryString(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "web", "web", "1.0.0")
	base := releaseReads(ns)
	base["helm_install"] = map[string]any{"name": "other", "namespace": ns, "chart": "shop/web"}
	base["helm_upgrade"] = map[string]any{"name": "web", "namespace": ns, "chart": "shop/web"}
	base["helm_rollback"] = map[string]any{"name": "web", "namespace": ns}
	base["helm_uninstall"] = map[string]any{"name": "web", "namespace": ns}
	b := over(t, cluster().Kubeconfig, "helm-mcp/"+ns)
	for _, access := range []mcpkit.Access{mcpkit.AccessRead, mcpkit.AccessWrite} {
		s := session(t, b, access, nil)
		events := witnessed(t, b, func() {
			s.Hostile(mcptest.Canary(t), base, func(string, string, string, mcptest.Answer) {})
		})
		for _, e := range events {
			require.False(t, writes(e) && !strings.Contains(e.RequestURI, "dryRun=All"), "%s %s", e.Verb, e.RequestURI)
			u, err := url.ParseRequestURI(e.RequestURI)
			require.NoError(t, err)
			for _, disguised := range []string{"/../", "//", "%2f", "%2e"} { // what is escaped stays one name
				require.NotContains(t, strings.ToLower(u.EscapedPath()), disguised, e.RequestURI)
			}
		}
	}
}
