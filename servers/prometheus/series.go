package prometheus

import (
	"cmp"
	"context"
	"fmt"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var series = mcpkit.Tool{
	Name:        "prometheus_series",
	Title:       "List series",
	Description: "Label sets of selected series, without values: what exists, and how many.",
	Narrow:      "select more closely, or lower limit",
}

type SeriesIn struct {
	Scope
	Limit int `json:"limit,omitempty" jsonschema:"most series; 100 if absent"`
}

func (SeriesIn) Constrain(p mcpkit.Properties) {
	limits(p)
	p["match"].MinItems = new(1)
}

type SeriesOut struct {
	Total   int      `json:"total,omitempty" jsonschema:"series there are"`
	Notes   []string `json:"notes,omitempty" jsonschema:"why there are none, and Prometheus's own remarks"`
	Instead []string `json:"instead,omitempty" jsonschema:"queries that say which series there are"`
	Same    string   `json:"same,omitempty" jsonschema:"labels that all series have"`
	mcpkit.Left
	Series mcpkit.Table `json:"series,omitzero" jsonschema:"one row per series"`
}

func (b *Backend) series(ctx context.Context, in SeriesIn) (SeriesOut, error) {
	var out SeriesOut
	match, from, to, err := b.selectors(in.Scope)
	if err != nil {
		return out, err
	}
	if len(match) == 0 {
		return out, mcpkit.Errorf(mcpkit.Invalid, `match is required: selectors such as up{job="web"}`)
	}
	c, err := b.prometheus()
	if err != nil {
		return out, err
	}
	limit := cmp.Or(in.Limit, 100)
	t := tally{keep: limit + 1}
	found, warnings, infos, err := c.Series(withTally(ctx, &t), match, from, to, promv1.WithLimit(uint64(limit+1)))
	if err != nil {
		return out, translate(err, "list series")
	}
	out.Notes = append(said(warnings, infos), b.whyNoRows(ctx, len(found), match, to)...)
	var metrics []model.Metric
	for _, labels := range found[:min(limit, len(found))] {
		metrics = append(metrics, model.Metric(labels))
	}
	if out.Total = len(found); out.Total > limit {
		b.tooMany(ctx, &out, match, metrics, t.total, limit, in)
	}
	if len(metrics) > 0 {
		out.Same, out.Series = tabulate(metrics, nil, make([][]string, len(metrics)))
	}
	return out, nil
}

// tooMany says how many series there are when they are not all shown.
func (b *Backend) tooMany(ctx context.Context, out *SeriesOut, match []string, shownOf []model.Metric, counted, limit int, in SeriesIn) {
	out.Total = 0
	if counted > limit+1 {
		out.Total = counted
	}
	if expr, err := b.parse(match[0]); err == nil && len(match) == 1 {
		out.Total, out.Instead = b.narrower(ctx, expr, shownOf, out.Total, b.moment(in.End))
	}
	out.Truncated, out.LeftOut = true, shown(limit, out.Total)
	if len(out.Instead) == 0 {
		out.LeftOut = fmt.Sprintf("the first %d series shown, there are more; select more closely", limit)
	}
}
