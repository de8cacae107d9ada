package kubernetes

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
)

// maxBusyRSS bounds the server's memory after it has listed a large cluster.
const maxBusyRSS = 80 << 20

// At scale, each tool is asked the widest question it takes.
var widest = []struct {
	tool string
	args map[string]any
}{
	{"k8s_get_resources", map[string]any{"resource_type": "pods", "all_namespaces": true, "limit": 1000}},
	{"k8s_get_resources", map[string]any{"resource_type": "pods", "all_namespaces": true, "limit": 1000, "output": "wide", "sort_by": "-name", "fields": []string{"images", "labels", "owner", "node"}}},
	{"k8s_get_resources", map[string]any{"resource_type": "nodes", "limit": 1000, "output": "wide"}},
	{"k8s_get_resource_yaml", map[string]any{"resource_type": "node", "resource_name": "simulated-0001"}},
	{"k8s_get_rollout", map[string]any{"resource_type": "deployment", "resource_name": "app-1", "namespace": "scale-1"}},
	{"k8s_describe_resource", map[string]any{"resource_type": "node", "resource_name": "simulated-0001"}},
	{"k8s_get_events", map[string]any{}},
	{"k8s_get_available_api_resources", map[string]any{}},
	{"k8s_get_cluster_configuration", map[string]any{}},
	{"k8s_diagnose", map[string]any{"resource_type": "deployment", "resource_name": "app-1", "namespace": "scale-1"}},
	{"k8s_diagnose", map[string]any{"resource_type": "node", "resource_name": "simulated-0001"}},
	{"k8s_cluster_health", map[string]any{}},
	{"k8s_list_changes", map[string]any{"since": "30d"}},
	{"k8s_check_access", map[string]any{"verb": "get", "resource_type": "pods"}},
}

func TestTenThousandPods(t *testing.T) {
	t.Parallel()
	c, err := testbed.Start(t.Context(), testbed.Options{Tier: testbed.Scale, Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	b := over(c.Kubeconfig, "kubernetes-mcp/test")
	s := serve(t, b, mcpkit.AccessRead, nil)

	t.Run("every answer keeps to its budget", func(t *testing.T) {
		for _, q := range widest {
			a := s.Call(q.tool, q.args)
			require.False(t, a.IsError, "%s %v: %s", q.tool, q.args, a.Text)
			require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes, "%s %v", q.tool, q.args)
		}
	})
	t.Run("which images run where is one call", func(t *testing.T) {
		var out GetResourcesOut
		s.Call("k8s_get_resources", map[string]any{"resource_type": "pods", "all_namespaces": true, "count_by": "images"}).Into(t, &out)
		require.EqualValues(t, 10_000, out.Total)
		require.Equal(t, []string{testbed.BusyboxImage, "10000"}, out.Rows[0][:2])
	})
	t.Run("listing every page costs flat memory", func(t *testing.T) {
		p := start(t, "--kubeconfig", c.Kubeconfig, "--call-timeout", patience.String())
		require.Equal(t, 10_000, countPages(t, p.session(t)))
		within(t, "what the pages took is given back", func() bool { return p.rss(t) < maxBusyRSS }) // later if the machine is busy
	})
}

// countPages follows a list of all pods to its end and returns how many
// different ones it saw.
func countPages(t *testing.T, s *mcp.ClientSession) int {
	t.Helper()
	seen := map[string]bool{}
	for token := ""; ; {
		res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "k8s_get_resources",
			Arguments: map[string]any{"resource_type": "pods", "all_namespaces": true, "limit": 1000, "output": "names", "continue": token}})
		require.NoError(t, err)
		require.False(t, res.IsError, "%v", res.Content)
		raw, err := json.Marshal(res.StructuredContent)
		require.NoError(t, err)
		var out GetResourcesOut
		require.NoError(t, json.Unmarshal(raw, &out))
		for _, row := range out.Rows {
			seen[row[0]+"/"+row[1]] = true
		}
		if token = out.Continue; token == "" {
			return len(seen)
		}
	}
}
