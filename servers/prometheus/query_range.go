package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var queryRange = mcpkit.Tool{
	Name:  "prometheus_query_range",
	Title: "Query Prometheus over time",
	Description: "Evaluates PromQL over a range: min, max, average, last and trend of each series, and the points where they fit. " +
		"For two windows compared use prometheus_compare.",
	Narrow: "aggregate with sum by (...) or topk, lower limit, or take a longer step",
}

type QueryRangeIn struct {
	Query string          `json:"query" jsonschema:"PromQL, such as rate(http_requests_total[5m])"`
	Start mcpkit.When     `json:"start,omitzero" jsonschema:"1h before end if absent"`
	End   mcpkit.When     `json:"end,omitzero" jsonschema:"now if absent"`
	Step  mcpkit.Duration `json:"step,omitzero" jsonschema:"between points, such as 1m; chosen if absent"`
	Limit int             `json:"limit,omitempty" jsonschema:"most series; 20 if absent"`
}

func (QueryRangeIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(100.0)
}

type QueryRangeOut struct {
	Range   string   `json:"range" jsonschema:"start, end, step and points per series"`
	Total   int      `json:"total,omitempty" jsonschema:"series there are"`
	Notes   []string `json:"notes,omitempty" jsonschema:"why the result is empty or was not computed, and Prometheus's own remarks"`
	Instead []string `json:"instead,omitempty" jsonschema:"what to ask for less"`
	Same    string   `json:"same,omitempty" jsonschema:"labels that all series have"`
	mcpkit.Left
	Series mcpkit.Table `json:"series,omitzero" jsonschema:"one row per series; trend is from the first quarter's average to the last one's"`
	Points mcpkit.Table `json:"points,omitzero" jsonschema:"where they fit: a row for each time a value changes, which holds until the next, - where there is none, and a column for each row of series"`
}

// The budget of points.
const (
	usualPoints = 100   // per series, when the step is chosen here
	maxPoints   = 1_000 // per series, when the step is given
	fewPoints   = 12    // per series, below which a longer step says too little
)

func (b *Backend) queryRange(ctx context.Context, in QueryRangeIn) (QueryRangeOut, error) {
	var out QueryRangeOut
	expr, err := b.parse(in.Query)
	if err != nil {
		return out, err
	}
	r, err := b.rangeOf(in, &out)
	if err != nil {
		return out, err
	}
	c, tooMuch, err := b.guardRange(ctx, expr, &r, &out)
	if err != nil {
		return out, err
	}
	out.Range = fmt.Sprintf("%s to %s every %s, %d points", instant(r.Start), instant(r.End), span(r.Step), pointsOf(r.End.Sub(r.Start), r.Step))
	limit := cmp.Or(in.Limit, 20)
	var e evaluation
	if !tooMuch {
		if e, err = b.evaluateRange(ctx, in.Query, r, limit); err != nil && !gaveUp(err) {
			return out, err
		}
	}
	if tooMuch || err != nil {
		notes, instead, err := b.tooCostly(ctx, expr, c, r.End, err)
		out.Notes, out.Instead = append(out.Notes, notes...), instead
		return out, err
	}
	m, _ := e.value.(model.Matrix)
	out.show(m, e, r)
	switch {
	case e.more:
		out.Total, out.Instead = b.narrower(ctx, expr, metricsOf(m), cmp.Or(e.total, c.seriesOf(expr)), r.End)
		out.Truncated, out.LeftOut = true, shown(limit, out.Total)
	case len(m) == 0:
		out.Notes = append(out.Notes, b.whyEmpty(ctx, expr, c, b.overRange(r))...)
	}
	return out, nil
}

// rangeOf reads the range of a query and chooses its step.
func (b *Backend) rangeOf(in QueryRangeIn, out *QueryRangeOut) (promv1.Range, error) {
	r := promv1.Range{End: b.moment(in.End), Step: time.Duration(in.Step)}
	r.Start = r.End.Add(-time.Hour)
	if !in.Start.IsZero() {
		r.Start = b.moment(in.Start)
	}
	over := r.End.Sub(r.Start)
	if over < 0 {
		return r, mcpkit.Errorf(mcpkit.Invalid, "start %s is after end %s; a duration such as 6h counts back from now", instant(r.Start), instant(r.End))
	}
	switch {
	case in.Step == 0:
		r.Step = chooseStep(over, usualPoints)
	case pointsOf(over, r.Step) > maxPoints+1:
		r.Step = chooseStep(over, maxPoints)
		out.Notes = append(out.Notes, fmt.Sprintf("a step of %s gives %d points a series; the step is %s instead, for %d at most", span(time.Duration(in.Step)), pointsOf(over, time.Duration(in.Step)), span(r.Step), maxPoints))
	}
	return r, nil
}

// guardRange is guard for a range, whose step it makes longer where that makes
// the query cheap enough.
func (b *Backend) guardRange(ctx context.Context, expr parser.Expr, r *promv1.Range, out *QueryRangeOut) (c cost, tooMuch bool, err error) {
	over := r.End.Sub(r.Start)
	points := pointsOf(over, r.Step)
	c, tooMuch, err = b.guard(ctx, expr, r.End, points)
	if !tooMuch {
		return c, false, err
	}
	fewer := int(float64(points) * maxSamples / c.samples())
	if fewer < fewPoints {
		return c, true, nil
	}
	before := count(c.samples())
	r.Step = chooseStep(over, fewer-1)
	c.evaluations = pointsOf(over, r.Step)
	out.Notes = append(out.Notes, fmt.Sprintf("the step is %s: %d points a series would read %s samples, these %s", span(r.Step), points, before, count(c.samples())))
	return c, c.tooMuch(), nil
}
