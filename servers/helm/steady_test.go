package helm

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

// An approval is good for a plan that reads the same later, whatever a chart
// makes of the clock and of chance.
func TestPlansAreSteady(t *testing.T) {
	t.Parallel()
	ns, r := namespace(t), chartRepository(t, charts.Options{})
	lab := func(release, version string, values map[string]any) map[string]any {
		return map[string]any{"name": release, "namespace": ns, "chart": "lab-" + version + ".tgz", "values": values}
	}
	done(t, "helm_install", lab("there", "1.0.0", map[string]any{"random": true, "clock": true}))
	done(t, "helm_upgrade", lab("there", "2.0.0", map[string]any{"random": true, "clock": true, "note": "second"}))
	b := stocked(admin(t))
	b.cfg.Repositories, b.cfg.CacheDir, b.cfg.AllowedHosts = filepath.Join(t.TempDir(), "repositories.yaml"), t.TempDir(), []string{r.Home}
	for tool, calls := range map[string][]map[string]any{
		"helm_install":   {lab("new", "1.0.0", map[string]any{"maps": 3}), lab("new", "1.0.0", map[string]any{"random": true, "clock": true})},
		"helm_upgrade":   {lab("there", "2.0.0", map[string]any{"random": true, "clock": true, "note": "third"})},
		"helm_rollback":  {{"name": "there", "namespace": ns}},
		"helm_uninstall": {{"name": "there", "namespace": ns}},
		"helm_repo_add":  {{"name": "shop", "url": r.URL(charts.Plain)}},
	} {
		for _, args := range calls {
			ts := toolset(b)
			mcptest.RequireSteady(t, ts, tool, args)
		}
	}
	known := chartBackend(t, r, "shop", r.URL(charts.Plain))
	ts := toolset(known)
	mcptest.RequireSteady(t, ts, "helm_repo_update", nil)
}

// The install that was planned for the person is, once they approve it in the
// cluster, the one that is made.
func TestInstallWithAnApproval(t *testing.T) {
	t.Parallel()
	require.NoError(t, cluster().Install(t.Context(), "../../charts/locks/manifests"))
	ns := namespace(t)
	keeper, err := locks.Open(mcpkit.LocksConfig{Kubeconfig: cluster().Kubeconfig, Namespace: ns})
	require.NoError(t, err)
	ts := toolset(stocked(admin(t)))
	s := mcptest.Connect(t, ts, mcpkit.Options{Name: "helm-mcp", Access: mcpkit.AccessWrite, Gate: mcpkit.GateApproval, Approvals: keeper}, nil)
	args := map[string]any{"name": "lab", "namespace": ns, "chart": "lab-1.0.0.tgz", "values": map[string]any{"random": true, "clock": true}}
	require.Contains(t, s.Call("helm_install", args).Text, "denied: a person must approve this write first. Nothing was changed.")
	require.Empty(t, revisions(t, ns, "lab"))

	asked := kubectl(t, "get", "approvals", "-n", ns, "-o", "name")
	me := kubectl(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
	kubectl(t, "patch", "-n", ns, asked, "--subresource=status", "--type=merge", "-p", `{"status":{"decision":"Approved","decidedBy":"`+me+`"}}`)
	require.Contains(t, s.Call("helm_install", args).Text, "is deployed as revision 1")
	require.Equal(t, []string{"1 deployed"}, revisions(t, ns, "lab"))
}
