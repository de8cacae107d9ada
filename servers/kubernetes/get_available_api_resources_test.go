package kubernetes

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

func apiResources(t testing.TB, s *mcptest.Session, args map[string]any) GetAvailableAPIResourcesOut {
	t.Helper()
	var out GetAvailableAPIResourcesOut
	s.Call("k8s_get_available_api_resources", args).Into(t, &out)
	require.Len(t, out.Rows, out.Total)
	require.Equal(t, []string{"name", "short_names", "kind", "api_version", "namespaced", "verbs"}, out.Columns)
	return out
}

func TestGetAvailableAPIResources(t *testing.T) {
	t.Parallel()
	s := reading(t)
	for _, c := range []struct {
		args map[string]any
		want [][]string
	}{
		{map[string]any{"name": "deployment"}, [][]string{{"deployments", "deploy", "Deployment", "apps/v1", "true", "usual"}}},
		{map[string]any{"name": "HorizontalPod"}, [][]string{{"horizontalpodautoscalers", "hpa", "HorizontalPodAutoscaler", "autoscaling/v2, v1", "true", "usual"}}},
		{map[string]any{"name": "ns", "group": "core", "namespaced": false}, [][]string{{"namespaces", "ns", "Namespace", "v1", "false", "usual"}}},
		{map[string]any{"group": "authentication", "verb": "create", "name": "token"}, [][]string{{"tokenreviews", "", "TokenReview", "authentication.k8s.io/v1", "false", "create"}}},
	} {
		out := apiResources(t, s, c.args)
		for _, row := range c.want {
			require.Contains(t, out.Rows, row, c.args)
		}
	}
	for _, row := range apiResources(t, s, map[string]any{"namespaced": true}).Rows {
		require.Equal(t, "true", row[4])
	}
	requireRefused(t, s, "k8s_get_available_api_resources", map[string]any{"name": "ingrss"},
		`not_found: the cluster has no resource type "ingrss"; the nearest are ingresses.networking.k8s.io`)
	require.Empty(t, apiResources(t, s, map[string]any{"group": "no.such.group"}).Rows)
	requireRefused(t, s, "k8s_get_available_api_resources", map[string]any{"continue": "-1"}, "invalid: continue is not a token")
	requireRefused(t, s, "k8s_get_available_api_resources", map[string]any{"continue": "x"}, "invalid: continue is not a token")
}

func TestGetAvailableAPIResourcesListsAddOnsFirst(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	group := oddType(t, s, ns)
	all := apiResources(t, s, nil)
	at := func(version string) int {
		return slices.IndexFunc(all.Rows, func(row []string) bool { return row[3] == version })
	}
	require.Equal(t, []string{"odd-things-2", "po," + ns, "Odd2", group + "/v9, v1alpha1", "true", "usual"}, all.Rows[at(group+"/v9, v1alpha1")])
	require.Less(t, at(group+"/v9, v1alpha1"), at("v1"))
}

func TestGetAvailableAPIResourcesNamesGroupsThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	group := ns + ".broken.example.com"
	brokenAPI(t, ns, group)
	reason := func(s *mcptest.Session) string {
		for _, line := range apiResources(t, s, map[string]any{"group": "core"}).NotAnswering {
			if strings.HasPrefix(line, group+"/v1") {
				return line
			}
		}
		return ""
	}
	within(t, "the group is known to be broken", func() bool {
		return reason(s) == group+`/v1: service/nothing in "`+ns+`" is not present`
	})
	own := serve(t, granted(t, getAvailableAPIResources.Rules...), mcpkit.AccessRead, nil)
	require.Contains(t, reason(own), "is not present")
	nothing := serve(t, granted(t), mcpkit.AccessRead, nil)
	require.Equal(t, group+"/v1", reason(nothing), "the reason is not for this caller to know")
}

func TestGetAvailableAPIResourcesContinuesWhereItWasCut(t *testing.T) {
	t.Parallel()
	ts := toolset(admin(t))
	s := mcptest.Connect(t, ts, mcpkit.Options{Name: "kubernetes-mcp", MaxResultBytes: 4 << 10}, nil)
	var names []string
	args := map[string]any{"group": "k8s.io"}
	total := 0
	for {
		a := s.Call("k8s_get_available_api_resources", args)
		var out GetAvailableAPIResourcesOut
		a.Into(t, &out)
		require.LessOrEqual(t, a.Bytes, 4<<10)
		for _, row := range out.Rows {
			names = append(names, row[0]+"."+row[3])
		}
		total = out.Total
		if args["continue"] = out.Continue; out.Continue == "" {
			require.False(t, out.Truncated)
			break
		}
		require.Contains(t, out.LeftOut, "rows shown; select with group, name, verb or namespaced, or pass continue")
	}
	require.Len(t, names, total)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(names))), total)
}
