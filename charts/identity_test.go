package charts

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chartutil"
)

// TestToActAsCallersTakesWhatTheServerSays compares the roles that a chart
// grants with those that the server prints for the same callers, as rbac
// --identity=caller does. What the callers' tokens say of them is the chart's
// alone.
func TestToActAsCallersTakesWhatTheServerSays(t *testing.T) {
	values, err := chartutil.ReadValuesFile(filepath.Join("testdata", "values", "kubernetes-caller.yaml"))
	require.NoError(t, err)
	delete(values["identity"].(object), "extras")
	r, err := render(t, chartAt(t, "kubernetes"), values)
	require.NoError(t, err)
	const name = "toolcrib:" + namespace + ":crib-kubernetes:callers"
	granted := map[string]any{}
	for _, o := range objects(t, r.manifest) {
		if isRole(o) && at[string](o, "metadata", "name") == name {
			granted[roleName(o, at[string](o, "kind"), name)] = o["rules"]
		}
	}
	callers := mcpkit.Callers{Users: []string{"bea", "ada"}, Groups: []string{"sre"}, ServiceAccounts: []string{"a/agent", "a/other"}}
	var printed bytes.Buffer
	require.NoError(t, callers.WriteRoles(&printed, name))
	roles := objects(t, printed.String())
	require.Len(t, roles, len(granted))
	for _, o := range roles {
		require.ElementsMatch(t, o["rules"], granted[roleName(o, at[string](o, "kind"), name)])
	}
}
