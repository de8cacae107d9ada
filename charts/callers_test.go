package charts

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/strvals"
)

// renderedWith renders the kubernetes chart with values as --set-json takes them.
func renderedWith(t *testing.T, set string) []object {
	t.Helper()
	values := map[string]any{}
	require.NoError(t, strvals.ParseJSON(set, values))
	r, err := render(t, chartAt(t, "kubernetes"), values)
	require.NoError(t, err)
	return objects(t, r.manifest)
}

// TestACallerListedTwiceMayCallBoth: what is granted adds up, as it does
// everywhere in RBAC, and no object is rendered twice.
func TestACallerListedTwiceMayCallBoth(t *testing.T) {
	const ada = `{"kind": "User", "name": "ada", "tools": [%q]}`
	seen, granted := map[string]bool{}, []any(nil)
	for _, o := range renderedWith(t, fmt.Sprintf(`callers=[`+ada+`, `+ada+`]`, "k8s_top", "k8s_diagnose")) {
		name := fmt.Sprint(o["kind"], " ", at[string](o, "metadata", "namespace"), "/", at[string](o, "metadata", "name"))
		require.False(t, seen[name], name)
		seen[name] = true
		if o["kind"] == "Role" && at[string](o, "metadata", "name") != "crib-kubernetes-callers" {
			granted = append(granted, o["rules"].([]any)[0].(object)["resourceNames"].([]any)...)
		}
	}
	require.ElementsMatch(t, []any{"k8s_top", "k8s_diagnose"}, granted)
}

// TestNobodyIsLetInWhereNobodyIsNamed: a rule without peers would let in
// everybody.
func TestNobodyIsLetInWhereNobodyIsNamed(t *testing.T) {
	for set, ports := range map[string][]string{
		`networkPolicy={}`:                             {"http", "metrics"},
		`networkPolicy.callers=[]`:                     {"metrics"},
		`networkPolicy.monitoring=[]`:                  {"http"},
		`networkPolicy.monitoring=null`:                {"http"},
		`networkPolicy={"callers":[],"monitoring":[]}`: nil,
	} {
		var policies, open []string
		for _, o := range renderedWith(t, set) {
			if o["kind"] != "NetworkPolicy" {
				continue
			}
			policies = append(policies, at[string](o, "metadata", "name"))
			require.Contains(t, at[[]any](o, "spec", "policyTypes"), "Ingress")
			for _, rule := range at[[]any](o, "spec", "ingress") {
				require.NotEmpty(t, rule.(object)["from"], set)
				open = append(open, rule.(object)["ports"].([]any)[0].(object)["port"].(string))
			}
		}
		require.Equal(t, []string{"crib-kubernetes"}, policies)
		require.Equal(t, ports, open, set)
	}
}
