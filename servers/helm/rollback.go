package helm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
)

var rollback = mcpkit.Tool{
	Name:        "helm_rollback",
	Title:       "Roll back a release",
	Description: "Brings a release back to an earlier revision, chart and values alike, as a new revision, and waits until it is ready. helm_get_history lists the revisions.",
	Narrow:      "helm_get_release shows what is there",
	Rules:       writeRules,
	Timeout:     callLimit,
}

type RollbackIn struct {
	Release
	Revision int             `json:"revision,omitempty" jsonschema:"to go back to; the one deployed before if absent"`
	Wait     *bool           `json:"wait,omitempty" jsonschema:"until all objects are ready; true if absent"`
	Timeout  mcpkit.Duration `json:"timeout,omitempty" jsonschema:"for everything, hooks included; 5m if absent, never more than a call may take"`
}

func (RollbackIn) Constrain(p mcpkit.Properties) { p["revision"].Minimum = new(1.0) }

func (b *Backend) planRollback(ctx context.Context, in RollbackIn) (mcpkit.Plan, error) {
	w, err := b.openExisting(ctx, in.Release, rollingBack)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if err := w.unpend(b, true); err != nil {
		return mcpkit.Plan{}, err
	}
	target, err := w.target(in.Revision)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	w.limit, w.before, w.after = time.Duration(in.Timeout), w.history[0], target
	w.lines = append(w.lines, "~ back to what revision "+strconv.Itoa(target.Version)+" was: chart "+chartOf(w.before)+" -> "+chartOf(target))
	w.notes = append(w.notes, hookNotes(target, release.HookPreRollback, release.HookPostRollback)...)
	w.act = func(cfg *action.Configuration, _ bool) (*release.Release, error) {
		a := action.NewRollback(cfg)
		a.Version, a.MaxHistory, a.Wait = target.Version, maxHistory, in.Wait == nil || *in.Wait
		if err := a.Run(w.Name); err != nil {
			return nil, err
		}
		return cfg.Releases.Last(w.Name)
	}
	if err := b.try(ctx, w); err != nil {
		return mcpkit.Plan{}, err
	}
	w.describe()
	return w.plan(ctx), nil
}

// openExisting begins a write of a release that must be there.
func (b *Backend) openExisting(ctx context.Context, of Release, op operation) (*write, error) {
	if err := checkName(of); err != nil {
		return nil, err
	}
	w, err := b.openWrite(ctx, of, op)
	if err != nil {
		return nil, err
	}
	if len(w.history) == 0 {
		return nil, b.noRelease(ctx, of)
	}
	return w, nil
}

// target is the revision to go back to.
func (w *write) target(wanted int) (*release.Release, error) {
	var there []string
	for _, r := range w.history[1:] {
		worked := slices.Contains([]release.Status{release.StatusSuperseded, release.StatusDeployed}, r.Info.Status)
		if r.Version == wanted || wanted == 0 && worked {
			return r, nil
		}
		there = append(there, fmt.Sprintf("%d (%s)", r.Version, r.Info.Status))
	}
	if wanted == w.history[0].Version {
		return w.history[0], nil
	}
	text := "it has no earlier one"
	if len(there) > 0 {
		text = "earlier ones are " + strings.Join(firstLines(there, linesShown), ", ")
	}
	if wanted == 0 {
		return nil, mcpkit.Errorf(mcpkit.NotFound, "%s has no revision before %d that ever was deployed; %s", w.Release, w.history[0].Version, text)
	}
	return nil, mcpkit.Errorf(mcpkit.NotFound, "%s has no revision %d; %s", w.Release, wanted, text)
}
