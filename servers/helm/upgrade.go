package helm

import (
	"cmp"
	"context"
	"fmt"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/release"
)

var upgrade = mcpkit.Tool{
	Name:        "helm_upgrade",
	Title:       "Upgrade a release",
	Description: "Brings a release to a chart version and values and waits until it is ready; installs it if absent. Values not named stay as they were set. To go back use helm_rollback.",
	Narrow:      "helm_get_release shows what is there",
	Rules:       writeRules,
	Timeout:     callLimit,
	Idempotent:  true,
}

type UpgradeIn struct {
	Release
	ChartRef
	Values          Values `json:"values,omitempty" jsonschema:"to change: an object, or YAML text; null takes one away"`
	ValuesMode      string `json:"values_mode,omitempty" jsonschema:"reset_then_reuse (default): over those set before, over the chart's own; reset: over the chart's own alone; reuse: like the first, but with the defaults of the chart before"`
	Install         *bool  `json:"install,omitempty" jsonschema:"if absent; true unless said"`
	CreateNamespace bool   `json:"create_namespace,omitempty" jsonschema:"when it installs"`
	RecoverPending  bool   `json:"recover_pending,omitempty" jsonschema:"mark a revision that has been pending for over 5m failed first"`
	Waiting
}

func (UpgradeIn) Constrain(p mcpkit.Properties) {
	constrainValues(p)
	p["values_mode"].Enum = []any{"reset_then_reuse", "reset", "reuse"}
}

func (b *Backend) planUpgrade(ctx context.Context, in UpgradeIn) (mcpkit.Plan, error) {
	if err := checkName(in.Release); err != nil {
		return mcpkit.Plan{}, err
	}
	w, err := b.openWrite(ctx, in.Release, upgrading)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if len(w.history) == 0 || w.history[0].Info.Status == release.StatusUninstalled {
		if in.Install != nil && !*in.Install {
			return mcpkit.Plan{}, b.noRelease(ctx, in.Release)
		}
		return b.planNew(ctx, w, InstallIn{Release: in.Release, ChartRef: in.ChartRef, Values: in.Values, CreateNamespace: in.CreateNamespace, Waiting: in.Waiting})
	}
	if err := w.unpend(b, in.RecoverPending); err != nil {
		return mcpkit.Plan{}, err
	}
	w.limit, w.takeBack, w.before = limitOf(in.Waiting), in.RollbackOnFailure, w.deployed()
	if err := b.load(ctx, w, in.ChartRef); err != nil {
		return mcpkit.Plan{}, err
	}
	return b.planNext(ctx, w, in)
}

// planNext plans a further revision.
func (b *Backend) planNext(ctx context.Context, w *write, in UpgradeIn) (mcpkit.Plan, error) {
	values := newValues(in, w.before.Config)
	if err := w.check(values); err != nil {
		return mcpkit.Plan{}, err
	}
	if err := w.crds(ctx, b, true, false); err != nil {
		return mcpkit.Plan{}, err
	}
	w.act = func(cfg *action.Configuration, dry bool) (*release.Release, error) {
		c, err := w.base(in.ValuesMode)
		if err != nil {
			return nil, err
		}
		a := action.NewUpgrade(cfg)
		a.Namespace, a.MaxHistory = w.Namespace, maxHistory
		a.ResetValues, a.SkipSchemaValidation = true, true // both were seen to above
		a.Wait, a.WaitForJobs = in.waits(), in.WaitForJobs
		a.TakeOwnership = dry // a plan names every object in the way, not the first alone
		if dry {
			a.DryRun, a.DryRunOption = true, "server"
		}
		return a.RunWithContext(context.Background(), w.Name, c, chartValues(values)) // see run
	}
	return b.planChart(ctx, w)
}

// newValues are those given, over those set before unless they are reset.
func newValues(in UpgradeIn, before map[string]any) map[string]any {
	given := chartValues(mcpkit.Object(in.Values))
	if cmp.Or(in.ValuesMode, "reset_then_reuse") == "reset" {
		return given
	}
	return chartutil.CoalesceTables(given, chartValues(before))
}

// base is the chart for one rendering, with the defaults that the mode asks for.
func (w *write) base(mode string) (*chart.Chart, error) {
	c, err := fresh(w.chart.Chart)
	if err != nil || mode != "reuse" {
		return c, err
	}
	old, err := chartutil.CoalesceValues(w.before.Chart, chartValues(w.before.Config))
	if err != nil {
		return nil, fmt.Errorf("values of revision %d: %w", w.before.Version, err)
	}
	c.Values = old
	return c, nil
}
