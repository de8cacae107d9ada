package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestGetResourcesListsAnyTypeByAnyName(t *testing.T) {
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: "1", b: "2"}}`)
	for _, name := range []string{"configmaps", "configmap", "cm", "ConfigMap", "configmaps.v1"} {
		var out GetResourcesOut
		s.Call("k8s_get_resources", map[string]any{"resource_type": name, "namespace": ns, "resource_name": "one"}).Into(t, &out)
		require.Equal(t, []string{"name", "data", "age"}, out.Columns, name)
		require.Equal(t, []string{"one", "2"}, out.Rows[0][:2], name)
	}
}

func TestGetResourcesNotFoundNamesTheNearest(t *testing.T) {
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}`)
	a := s.Call("k8s_get_resources", map[string]any{"resource_type": "cm", "namespace": ns, "resource_name": "setings"})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, `not_found: no configmaps "setings"`)
	require.Contains(t, a.Text, "settings")
}

func TestGetResourcesDeniedIsSaid(t *testing.T) {
	s := serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil)
	a := s.Call("k8s_get_resources", map[string]any{"resource_type": "secrets"})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: ")
	require.Contains(t, a.Text, "secrets is forbidden")
}

func TestGetResourcesContinuesWhereItWasCut(t *testing.T) {
	s := reading(t)
	var names []string
	token := ""
	for range 100 {
		var out GetResourcesOut
		s.Call("k8s_get_resources", map[string]any{"resource_type": "clusterroles", "limit": 7, "continue": token}).Into(t, &out)
		for _, row := range out.Rows {
			names = append(names, row[0])
		}
		require.Equal(t, out.Continue != "", out.Truncated)
		if token = out.Continue; token == "" {
			break
		}
	}
	require.Contains(t, names, "view")
	require.Contains(t, names, "system:kube-scheduler")
	seen := map[string]bool{}
	for _, n := range names {
		require.False(t, seen[n], "%s came twice", n)
		seen[n] = true
	}
}
