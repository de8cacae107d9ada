package helm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var repoUpdate = mcpkit.Tool{
	Name:        "helm_repo_update",
	Title:       "Refresh chart repositories",
	Description: "Fetches the indexes of one or all chart repositories anew and says what is new in each. Indexes older than five minutes are asked for anyway; this is for what was published just now.",
	Idempotent:  true,
}

type RepoUpdateIn struct {
	Repository string `json:"repository,omitempty" jsonschema:"all if absent"`
}

type RepoUpdateOut struct {
	Failed []string `json:"failed,omitempty" jsonschema:"repositories that did not answer, and why"`
	Kept   string   `json:"kept" jsonschema:"who sees the new indexes"`
	mcpkit.Left
	Repositories *mcpkit.Table `json:"repositories"`
}

func (b *Backend) planRepoUpdate(ctx context.Context, in RepoUpdateIn) (mcpkit.Plan, error) {
	all, err := b.repositories()
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if in.Repository != "" {
		one, err := b.repository(in.Repository)
		if err != nil {
			return mcpkit.Plan{}, err
		}
		all = []*repository{one}
	}
	refreshed := slices.DeleteFunc(slices.Clone(all), (*repository).isRegistry)
	if len(refreshed) == 0 && len(all) > 0 {
		return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.Invalid, "registries have no index to refresh: their tags are always read anew")
	}
	if len(refreshed) == 0 {
		return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.NotFound, "there is nothing to refresh. %s", configured(all, ""))
	}
	p := mcpkit.Plan{Target: "the indexes of " + plural(len(refreshed), "chart repository"), State: refreshed}
	var lines []string
	for _, r := range refreshed {
		lines = append(lines, "~ index of "+r.String())
	}
	p.Diff = strings.Join(lines, "\n")
	return p, nil
}

func (b *Backend) repoUpdate(ctx context.Context, _ RepoUpdateIn, plan mcpkit.Plan) (RepoUpdateOut, error) {
	all, ok := plan.State.([]*repository)
	if !ok {
		return RepoUpdateOut{}, fmt.Errorf("the plan's state is a %T", plan.State)
	}
	rows, failed := make([][]string, len(all)), make([]string, len(all))
	var done atomic.Int64
	var steps []func(context.Context) error
	for i, r := range all {
		steps = append(steps, func(ctx context.Context) error {
			row, err := b.updateOne(ctx, r)
			if known, ok := errors.AsType[*mcpkit.Error](err); ok {
				row, failed[i], err = []string{r.Name, string(known.Kind), "", "", "", "", ""}, r.Name+": "+known.Text, nil
			}
			rows[i] = row
			if err == nil {
				mcpkit.Progress(ctx, float64(done.Add(1)), float64(len(all)), r.Name+": "+row[1])
			}
			return err
		})
	}
	if err := mcpkit.Together(ctx, searchAtOnce, steps...); err != nil {
		return RepoUpdateOut{}, err
	}
	out := RepoUpdateOut{Failed: slices.DeleteFunc(failed, func(s string) bool { return s == "" })}
	out.Kept = "in this server's memory; others ask for themselves once their index is five minutes old"
	if b.cfg.CacheDir != "" {
		out.Kept = "in the cache folder, for all servers that share it"
	}
	out.Repositories = dense(mcpkit.Table{Columns: []string{"repository", "state", "charts", "versions", "new", "gone", "newest"}, Rows: rows})
	return out, nil
}

// shownNew is how many new versions of one repository are named.
const shownNew = 8

// updateOne fetches one index anew and says how it differs.
func (b *Backend) updateOne(ctx context.Context, r *repository) ([]string, error) {
	var old, fresh *index
	err := b.inTurn(ctx, r, func(place *cached) error {
		if old = place.index; old != nil {
			anew := *old
			anew.known = nil // the cache folder wants the index itself
			place.index = &anew
		}
		raw, err := b.refresh(ctx, r, place)
		if err != nil {
			return err
		}
		fresh = place.index
		return b.writeCached(r, raw)
	})
	if err != nil {
		return nil, err
	}
	row := []string{r.Name, "unchanged", strconv.Itoa(len(fresh.charts)), strconv.Itoa(fresh.versions), "", "", ""}
	if old == nil {
		row[1] = "first read"
		return row, nil
	}
	added, gone := newIn(fresh, old), newIn(old, fresh)
	if len(added)+len(gone) > 0 {
		row[1], row[4], row[5] = "changed", strconv.Itoa(len(added)), strconv.Itoa(len(gone))
		row[6] = strings.Join(added[:min(shownNew, len(added))], ", ")
	}
	return row, nil
}

// newIn are the charts' versions that are in fresh and not in old, by chart.
func newIn(fresh, old *index) []string {
	var out []string
	for name, e := range fresh.charts {
		had := map[string]bool{}
		if o := old.charts[name]; o != nil {
			for _, v := range o.versions {
				had[v.version] = true
			}
		}
		for _, v := range e.versions {
			if !had[v.version] {
				out = append(out, name+" "+v.version)
			}
		}
	}
	slices.Sort(out)
	return out
}
