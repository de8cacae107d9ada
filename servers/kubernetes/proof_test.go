package kubernetes

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/shop"
)

// readRequests bounds what one read tool may ask of the API server on the shop.
const readRequests = 80

// shopReads is one real question for every read tool. A tool without one fails
// TestEveryReadToolOnlyReads: whoever adds a tool adds its question.
var shopReads = map[string]map[string]any{
	"k8s_get_resources":               {"resource_type": "pods", "namespace": "shop", "fields": []string{"images", "reason"}},
	"k8s_get_resource_yaml":           {"resource_type": "deploy", "resource_name": "checkout", "namespace": "shop"},
	"k8s_describe_resource":           {"resource_type": "deploy", "resource_name": "checkout", "namespace": "shop"},
	"k8s_get_pod_logs":                {"pod_name": "deployment/checkout", "namespace": "shop"},
	"k8s_get_events":                  {"namespace": "shop"},
	"k8s_get_available_api_resources": {},
	"k8s_get_cluster_configuration":   {},
	"k8s_check_service_connectivity":  {"service_name": "payments", "namespace": "shop"},
	"k8s_generate_resource":           {"resource_type": "deployment", "resource_description": "a web server"},
	"k8s_explain_resource":            {"resource_type": "deployment", "path": "spec.strategy"},
	"k8s_validate_manifest":           {"manifest": "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: b}}"},
	"k8s_top":                         {"resource_type": "pods", "namespace": "shop"},
	"k8s_get_rollout":                 {"resource_type": "deployment", "resource_name": "frontend", "namespace": "shop"},
	"k8s_check_access":                {"verb": "delete", "resource_type": "pods", "namespace": "shop"},
	"k8s_diagnose":                    {"resource_type": "deployment", "resource_name": "checkout", "namespace": "shop"},
	"k8s_cluster_health":              {},
	"k8s_list_changes":                {"namespace": "shop", "since": "1h"},
}

// The API server's own log is the witness: asked one question each, under the
// role generated from them, the read tools read and do nothing else.
func TestEveryReadToolOnlyReads(t *testing.T) {
	openShop(t)
	ts := toolset(New(Config{}))
	b := granted(t, ts.Rules(mcpkit.AccessRead)...)
	s := serve(t, b, mcpkit.AccessRead, nil)
	list, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	for _, tool := range list.Tools {
		t.Run(tool.Name, func(t *testing.T) {
			args, asked := shopReads[tool.Name]
			require.True(t, asked, "add a question for %s to shopReads", tool.Name)
			events := witnessed(t, b, func() {
				a := s.Call(tool.Name, args)
				require.False(t, a.IsError, a.Text)
			})
			require.LessOrEqual(t, len(events), readRequests, "requests")
			for _, e := range events {
				require.False(t, writes(e), "%s %s", e.Verb, e.RequestURI)
				require.NotEqual(t, "secrets", e.Resource, "%s %s", e.Verb, e.RequestURI)
			}
			t.Logf("%d requests", len(events))
		})
	}
}

func TestReadRoleHoldsNoWriteNoSecretNoWildcard(t *testing.T) {
	ts := toolset(New(Config{}))
	for _, r := range ts.Rules(mcpkit.AccessRead) {
		require.Subset(t, []string{"get", "list", "watch"}, r.Verbs, "%v", r)
		require.NotContains(t, r.Resources, "secrets")
	}
	for _, access := range []mcpkit.Access{mcpkit.AccessRead, mcpkit.AccessWrite} {
		for _, r := range ts.Rules(access) {
			for _, word := range slices.Concat(r.Groups, r.Resources, r.Verbs, r.URLs) {
				require.NotContains(t, word, "*", "%v", r)
			}
			require.NotContains(t, r.Resources, "secrets", "%v", r)
		}
	}
}

// openShop deploys the shop once for all tests that ask about it.
func openShop(t *testing.T) {
	t.Helper()
	c := cluster()
	require.NoError(t, c.Apply(t.Context(), shop.Manifests))
	within(t, "checkout has crashed", func() bool {
		out, err := c.Kubectl(t.Context(), "get", "pods", "-n", shop.Namespace, "-l", "app=checkout", "-o", "jsonpath={.items[*].status.containerStatuses[*].lastState.terminated.exitCode}")
		return err == nil && strings.Contains(string(out), "1")
	})
	require.NoError(t, c.Apply(t.Context(), shop.Rollout))
}

// witnessed returns what the API server recorded of b's requests during f.
func witnessed(t testing.TB, b *Backend, f func()) []testbed.AuditEvent {
	t.Helper()
	return lockstest.Witnessed(t, cluster(), b.cfg.UserAgent, f)
}

// writes reports whether a request changed anything, or ran something: not a
// dry run, and not a review of the asker's own rights.
func writes(e testbed.AuditEvent) bool {
	switch {
	case e.Subresource == "exec" || e.Subresource == "attach":
		return true
	case strings.Contains(e.RequestURI, "dryRun=All"), strings.HasPrefix(e.Resource, "selfsubject"):
		return false
	}
	return !slices.Contains([]string{"get", "list", "watch"}, e.Verb)
}
