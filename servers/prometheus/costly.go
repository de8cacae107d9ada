package prometheus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// gaveUp reports whether Prometheus began a query and found it too much.
func gaveUp(err error) bool {
	var answered *promv1.Error
	if !errors.As(err, &answered) {
		return false
	}
	switch answered.Type {
	case promv1.ErrTimeout:
		return true
	case promv1.ErrExec, promv1.ErrBadData:
		for _, s := range []string{"too many samples", "timed out", "exceeded", "exceeds the limit", "err-mimir-max"} {
			if strings.Contains(answered.Msg, s) {
				return !strings.Contains(answered.Msg, "maximum resolution")
			}
		}
	}
	return false
}

// tooCostly explains a query that was not run, or that Prometheus gave up on
// with an error: what it would read, and what to ask instead.
func (b *Backend) tooCostly(ctx context.Context, expr parser.Expr, c cost, at time.Time, err error) (notes, instead []string, failed error) {
	if c.series == nil {
		if failed := b.weigh(ctx, &c, at); failed != nil {
			return nil, nil, err
		}
	}
	what := "not run: it would read up to " + count(c.samples()) + " samples, and more than " + count(maxSamples) + " are too much"
	if err != nil {
		what = fmt.Sprintf("Prometheus gave up on it (%v)", errors.Unwrap(err))
		if len(c.selections) > 0 {
			what += fmt.Sprintf("; it reads up to %s samples", count(c.samples()))
		}
	}
	notes = append([]string{what}, c.lines()...)
	if c.evaluations > 1 {
		instead = append(instead, "a shorter range or a longer step: the cost grows with their ratio")
	}
	if shorter, window := b.shorterWindows(expr, c); shorter != "" {
		instead = append(instead, fmt.Sprintf("%s: windows of %s at most", shorter, span(window)))
	}
	if len(c.selections) == 0 { // what costs are the steps of its subqueries
		return notes, instead, nil
	}
	worst := c.worst()
	if worst.name == "" {
		metrics := b.largestMetrics(ctx, worst, at)
		notes = append(notes, metrics...)
		instead = append(instead, fmt.Sprintf("topk(10, count by (__name__) (%s)), then one metric by name", worst))
		return notes, instead, nil
	}
	return notes, append(instead, b.fewerSeries(ctx, worst, at)...), nil
}

// worst is the selector that costs most, of at least one.
func (c cost) worst() selection {
	at, most := 0, -1.0
	for i, s := range c.selections {
		if n := float64(c.series[i]) * c.perSeries(s); n > most {
			at, most = i, n
		}
	}
	return c.selections[at]
}

// seriesOf is how many series an expression has that is nothing but a selector
// which has been counted; else 0.
func (c cost) seriesOf(expr parser.Expr) int {
	if _, bare := expr.(*parser.VectorSelector); bare && len(c.series) == 1 {
		return c.series[0]
	}
	return 0
}

// shorterWindows is the expression with its windows cut to the longest round
// length with which it costs little enough; empty if windows are not what costs.
func (b *Backend) shorterWindows(expr parser.Expr, c cost) (string, time.Duration) {
	for i := len(steps) - 1; i >= 0 && steps[i] >= time.Minute; i-- {
		again, err := b.parser.ParseExpr(expr.String())
		if err != nil {
			return "", 0
		}
		cut := false
		parser.Inspect(again, func(node parser.Node, _ []parser.Node) error {
			switch n := node.(type) {
			case *parser.MatrixSelector:
				cut = shorten(&n.Range, n.RangeExpr, steps[i]) || cut
			case *parser.SubqueryExpr:
				cut = shorten(&n.Range, n.RangeExpr, steps[i]) || cut
			}
			return nil
		})
		if cheap := costOf(again, c.evaluations); cut {
			if cheap.series = c.series; !cheap.tooMuch() {
				return again.String(), steps[i]
			}
		}
	}
	return "", 0
}

func shorten(window *time.Duration, computed *parser.DurationExpr, most time.Duration) bool {
	if computed != nil || *window <= most {
		return false
	}
	*window = most
	return true
}

// largestMetrics lists the metrics that have most of a selector's series.
func (b *Backend) largestMetrics(ctx context.Context, s selection, at time.Time) []string {
	e, err := b.evaluate(ctx, fmt.Sprintf("topk(5, count by (__name__) (%s))", s), at.Add(-s.offset), 5)
	if err != nil {
		return nil
	}
	var names []string
	v, _ := e.value.(model.Vector)
	for _, s := range v {
		names = append(names, fmt.Sprintf("%s (%s)", s.Metric[model.MetricNameLabel], number(s.Value)))
	}
	return []string{"most series: " + strings.Join(names, ", ")}
}

// fewerSeries proposes to select by the label with the fewest values.
func (b *Backend) fewerSeries(ctx context.Context, s selection, at time.Time) []string {
	at = at.Add(-s.offset)
	sample, err := b.evaluate(ctx, s.String(), at, 20)
	if err != nil {
		return nil
	}
	metrics := metricsOf(sample.value)
	_, values, err := b.spread(ctx, s.String(), labelsOf(metrics), at)
	l := fewest(values)
	if err != nil || l == "" || len(metrics) == 0 {
		return nil
	}
	one := append(s.matchers[:len(s.matchers):len(s.matchers)], labels.MustNewMatcher(labels.MatchEqual, l, string(metrics[0][model.LabelName(l)])))
	return []string{fmt.Sprintf("%s: one of %d values of %s", matcherText(one), values[l], l)}
}
