package kubernetes

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// queryKeys are what the server's own requests may say after the question mark.
var queryKeys = []string{
	"limit", "continue", "labelSelector", "fieldSelector", "timeout", "dryRun", "fieldManager", "fieldValidation", "force", "resourceVersion",
	"container", "tailLines", "sinceTime", "sinceSeconds", "timestamps", "limitBytes", "previous", "follow", "includeObject", "hash",
}

// A path, a URL, a header or a template in any string of any tool leads nowhere:
// the server asks only what it would ask, of the API server alone, and what is in
// a Secret stays there. It has the rights to read it, so that nothing but its own
// care stands before that.
func TestRedTeamTricksInEveryString(t *testing.T) {
	t.Parallel()
	for _, access := range []mcpkit.Access{mcpkit.AccessRead, mcpkit.AccessWrite} {
		t.Run(string(access), func(t *testing.T) {
			t.Parallel()
			c := newCrib(t, access, nil, "--caller-rate=1000000")
			lockstest.Bind(t, cluster(), c.namespace, "cluster-admin", "")
			apply(t, c.namespace, disguised)
			before := c.version()
			transport := &mcp.StreamableClientTransport{Endpoint: c.URL, HTTPClient: &http.Client{Transport: bearer(c.agent)}}
			session := mcptest.Attach(t, transport, "", nil)
			session.Hostile(mcptest.Canary(t), c.harmless(), func(tool, argument, text string, a mcptest.Answer) {
				require.NotContains(t, a.Text+string(a.JSON), plantedPassword, "%s %s=%q", tool, argument, text)
			})
			require.Equal(t, before, c.version())
			for _, e := range c.requests() {
				u, err := url.ParseRequestURI(e.RequestURI)
				require.NoError(t, err, e.RequestURI)
				require.NotContains(t, u.Path, "..")
				require.NotContains(t, u.Path, "//")
				for _, disguised := range []string{"%2f", "%2e", "%25"} {
					require.NotContains(t, strings.ToLower(u.EscapedPath()), disguised, e.RequestURI)
				}
				for key := range u.Query() {
					require.Contains(t, queryKeys, key, e.RequestURI)
				}
				asks := slices.Contains([]string{"tokenreviews", "subjectaccessreviews", "approvals"}, e.Resource)
				require.False(t, writes(e) && !asks, "%s %s", e.Verb, e.RequestURI)
				require.NotEqual(t, "secrets", e.Resource, e.RequestURI)
				require.Empty(t, e.Impersonated)
			}
		})
	}
}

// harmless are arguments of every tool that it answers.
func (c *crib) harmless() map[string]map[string]any {
	out := map[string]map[string]any{}
	for tool, args := range shopReads {
		out[tool] = map[string]any{}
		for name, value := range args {
			out[tool][name] = value
		}
		if _, named := args["namespace"]; named || tool == "k8s_get_events" || tool == "k8s_cluster_health" {
			out[tool]["namespace"] = c.namespace
		}
	}
	shelf := map[string]any{"resource_type": "configmap", "resource_name": "shelf", "namespace": c.namespace}
	with := func(name string, value any) map[string]any {
		args := map[string]any{name: value}
		for k, v := range shelf {
			args[k] = v
		}
		return args
	}
	for tool, args := range map[string]map[string]any{
		"k8s_patch_resource":    with("patch", "{}"),
		"k8s_patch_status":      with("patch", "{}"),
		"k8s_label_resource":    with("labels", "a=b"),
		"k8s_annotate_resource": with("annotations", "a=b"),
		"k8s_remove_label":      with("label_key", "a"),
		"k8s_remove_annotation": with("annotation_key", "a"),
		"k8s_delete_resource":   shelf,
		"k8s_rollout":           {"action": "restart", "resource_type": "deployment", "resource_name": "web", "namespace": c.namespace},
		"k8s_scale":             {"name": "web", "namespace": c.namespace, "replicas": 1},
		"k8s_apply_manifest":    {"manifest": "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}", "namespace": c.namespace},
		"k8s_create_resource":   {"yaml_content": "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}", "namespace": c.namespace},
		"k8s_execute_command":   {"pod_name": "leaky", "namespace": c.namespace, "command": []string{"true"}},
		"k8s_cordon_node":       {"name": "none"},
		"k8s_uncordon_node":     {"name": "none"},
		"k8s_drain_node":        {"name": "none"},
	} {
		out[tool] = args
	}
	return out
}
