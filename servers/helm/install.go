package helm

import (
	"context"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
)

var installRelease = mcpkit.Tool{
	Name:        "helm_install",
	Title:       "Install a chart",
	Description: "Installs a chart as a new release and waits until it is ready. For a release that exists use helm_upgrade.",
	Narrow:      "helm_get_release shows what is there",
	Rules:       writeRules,
	Timeout:     callLimit,
}

type InstallIn struct {
	Release
	ChartRef
	Values          Values `json:"values,omitempty" jsonschema:"over the chart's own: an object, or YAML text"`
	CreateNamespace bool   `json:"create_namespace,omitempty" jsonschema:"if it is not there"`
	SkipCRDs        bool   `json:"skip_crds,omitempty" jsonschema:"leave out those of crds/"`
	Waiting
}

func (InstallIn) Constrain(p mcpkit.Properties) { constrainValues(p) }

func (b *Backend) planInstall(ctx context.Context, in InstallIn) (mcpkit.Plan, error) {
	if err := checkName(in.Release); err != nil {
		return mcpkit.Plan{}, err
	}
	w, err := b.openWrite(ctx, in.Release, installing)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if len(w.history) > 0 && w.history[0].Info.Status != release.StatusUninstalled {
		last := w.history[0]
		return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.Conflict, "%s exists: revision %d of chart %s is %s. Use helm_upgrade to change it, or another name", in.Release, last.Version, chartOf(last), last.Info.Status)
	}
	return b.planNew(ctx, w, in)
}

// planNew plans the first revision of a release, or the first after it was
// uninstalled.
func (b *Backend) planNew(ctx context.Context, w *write, in InstallIn) (mcpkit.Plan, error) {
	w.op, w.limit, w.takeBack = installing, limitOf(in.Waiting), in.RollbackOnFailure
	if err := b.checkNamespace(ctx, w, in.CreateNamespace); err != nil {
		return mcpkit.Plan{}, err
	}
	if err := b.load(ctx, w, in.ChartRef); err != nil {
		return mcpkit.Plan{}, err
	}
	values := chartValues(mcpkit.Object(in.Values))
	if err := w.check(values); err != nil {
		return mcpkit.Plan{}, err
	}
	if err := w.crds(ctx, b, in.SkipCRDs, true); err != nil {
		return mcpkit.Plan{}, err
	}
	w.act = func(cfg *action.Configuration, dry bool) (*release.Release, error) {
		c, err := fresh(w.chart.Chart)
		if err != nil {
			return nil, err
		}
		a := action.NewInstall(cfg)
		a.ReleaseName, a.Namespace, a.CreateNamespace = w.Name, w.Namespace, w.newSpace
		a.Replace = len(w.history) > 0
		a.SkipCRDs, a.SkipSchemaValidation = in.SkipCRDs, true // checked above, without fetching anything
		a.Wait, a.WaitForJobs = in.waits(), in.WaitForJobs
		a.TakeOwnership = dry // a plan names every object in the way, not the first alone
		if dry {
			a.DryRun, a.DryRunOption = true, "server"
		}
		return a.RunWithContext(context.Background(), c, chartValues(values)) // see run
	}
	return b.planChart(ctx, w)
}
