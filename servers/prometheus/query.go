package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var query = mcpkit.Tool{
	Name:  "prometheus_query",
	Title: "Query Prometheus",
	Description: "Evaluates PromQL at one instant. For values over time use prometheus_query_range. " +
		"An empty result says which selector or operator left nothing, too many series or samples what to ask instead.",
	Narrow: "aggregate with sum by (...) or topk, or lower limit",
}

type QueryIn struct {
	Query string      `json:"query" jsonschema:"PromQL, such as up == 0"`
	Time  mcpkit.When `json:"time,omitzero" jsonschema:"instant: RFC 3339, epoch seconds, or 15m ago as 15m; now if absent"`
	Limit int         `json:"limit,omitempty" jsonschema:"most series; 100 if absent"`
}

func (QueryIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(1000.0)
}

type QueryOut struct {
	At      string   `json:"at" jsonschema:"the instant"`
	Value   string   `json:"value,omitempty" jsonschema:"of a scalar or a string"`
	Total   int      `json:"total,omitempty" jsonschema:"series there are"`
	Notes   []string `json:"notes,omitempty" jsonschema:"why the result is empty or was not computed, and Prometheus's own remarks"`
	Instead []string `json:"instead,omitempty" jsonschema:"what to ask for less"`
	Same    string   `json:"same,omitempty" jsonschema:"labels that all series have"`
	mcpkit.Left
	Series mcpkit.Table `json:"series,omitzero" jsonschema:"one row per series"`
}

func (b *Backend) query(ctx context.Context, in QueryIn) (QueryOut, error) {
	expr, err := b.parse(in.Query)
	if err != nil {
		return QueryOut{}, err
	}
	at := b.moment(in.Time)
	out := QueryOut{At: instant(at)}
	if s, ok := expr.(*parser.StringLiteral); ok { // Prometheus's client does not decode strings
		out.Value = s.Val
		return out, nil
	}
	c, tooMuch, err := b.guard(ctx, expr, at, 1)
	if err != nil {
		return out, err
	}
	limit := cmp.Or(in.Limit, 100)
	var e evaluation
	if !tooMuch {
		if e, err = b.evaluate(ctx, in.Query, at, limit); err != nil && !gaveUp(err) {
			return out, err
		}
	}
	if tooMuch || err != nil {
		out.Notes, out.Instead, err = b.tooCostly(ctx, expr, c, at, err)
		return out, err
	}
	out.show(e)
	switch {
	case e.more:
		out.Total, out.Instead = b.narrower(ctx, expr, metricsOf(e.value), cmp.Or(e.total, c.seriesOf(expr)), at)
		out.Truncated, out.LeftOut = true, shown(limit, out.Total)
	case isEmpty(e.value):
		out.Notes = append(out.Notes, b.whyEmpty(ctx, expr, c, b.atInstant(at))...)
	}
	return out, nil
}

// moment is the instant an argument means, now if it is absent.
func (b *Backend) moment(w mcpkit.When) time.Time {
	now := b.now().Truncate(time.Millisecond)
	if w.IsZero() {
		return now
	}
	return w.Time(now)
}

// shown says how many series of a long result are there.
func shown(limit, total int) string {
	if total == 0 {
		return fmt.Sprintf("the first %d series shown, there are more; see instead", limit)
	}
	return fmt.Sprintf("the first %d of %d series shown; see instead", limit, total)
}

// show fills in the value.
func (o *QueryOut) show(e evaluation) {
	o.Notes, o.Total = append(o.Notes, e.said...), e.total
	switch v := e.value.(type) {
	case *model.Scalar:
		o.Value = number(v.Value)
	case model.Vector:
		if len(v) == 0 {
			return
		}
		cells := make([][]string, len(v))
		for i, s := range v {
			cells[i] = []string{cellOf(s)}
		}
		o.Same, o.Series = tabulate(metricsOf(v), []string{"value"}, cells)
	case model.Matrix:
		if len(v) == 0 {
			return
		}
		cells := make([][]string, len(v))
		for i, s := range v {
			cells[i] = []string{fmt.Sprint(len(s.Values) + len(s.Histograms)), newest(s)}
		}
		o.Same, o.Series = tabulate(metricsOf(v), []string{"samples", "newest"}, cells)
	}
}

// newestSamples is how many samples of a range selector are shown.
const newestSamples = 10

// newest are the last samples of a series with their times, oldest first.
func newest(s *model.SampleStream) string {
	var out []string
	for _, p := range s.Values[max(0, len(s.Values)-newestSamples):] {
		out = append(out, number(p.Value)+" @"+clock(p.Timestamp))
	}
	for _, p := range s.Histograms[max(0, len(s.Histograms)-newestSamples):] {
		out = append(out, distribution(p.Histogram)+" @"+clock(p.Timestamp))
	}
	return strings.Join(out, ", ")
}

func clock(t model.Time) string { return t.Time().UTC().Format("01-02 15:04:05.999") }

func metricsOf(v model.Value) []model.Metric {
	var out []model.Metric
	switch v := v.(type) {
	case model.Vector:
		for _, s := range v {
			out = append(out, s.Metric)
		}
	case model.Matrix:
		for _, s := range v {
			out = append(out, s.Metric)
		}
	}
	return out
}

func isEmpty(v model.Value) bool {
	switch v := v.(type) {
	case model.Vector:
		return len(v) == 0
	case model.Matrix:
		return len(v) == 0
	}
	return false
}

// vectorOf is an expression as an instant vector.
func vectorOf(expr parser.Expr) string {
	if expr.Type() == parser.ValueTypeMatrix {
		return fmt.Sprintf("last_over_time(%s)", expr)
	}
	return expr.String()
}
