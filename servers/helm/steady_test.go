package helm

import (
	"path/filepath"
	"testing"

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
			ts := mcpkit.NewToolset()
			Register(ts, b)
			mcptest.RequireSteady(t, ts, tool, args)
		}
	}
	known := chartBackend(t, r, "shop", r.URL(charts.Plain))
	ts := mcpkit.NewToolset()
	Register(ts, known)
	mcptest.RequireSteady(t, ts, "helm_repo_update", nil)
}
