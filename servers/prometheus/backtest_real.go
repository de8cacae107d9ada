package prometheus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func isTooLarge(err error) bool {
	var known *mcpkit.Error
	return errors.As(err, &known) && known.Kind == mcpkit.TooLarge
}

// readOnce reads an expression in pieces, each of as many points as Prometheus
// gives at once, and joins the series.
func (t *backtest) readOnce(ctx context.Context, expr string, from time.Time) ([]stream, error) {
	first, last := t.slots(from)
	index := map[model.Fingerprint]int{}
	var out []stream
	piece := evaluationsPerRequest * t.step
	for at := first; !at.After(last); at = at.Add(piece) {
		end := at.Add(piece - t.step)
		if end.After(last) {
			end = last
		}
		e, err := t.b.evaluateRange(ctx, expr, promv1.Range{Start: at, End: end, Step: t.step}, maxBacktestSeries)
		if err != nil {
			return nil, err
		}
		if e.more {
			t.find("more than %d series meet the expression; only so many are counted here, so it would have fired more often still", maxBacktestSeries)
		}
		mcpkit.Progress(ctx, float64(end.Sub(first)), float64(last.Sub(first)), "evaluated to "+utc(end))
		matrix, _ := e.value.(model.Matrix)
		for _, s := range matrix {
			key := s.Metric.Fingerprint()
			i, known := index[key]
			if !known {
				i = len(out)
				index[key], out = i, append(out, stream{metric: s.Metric})
			}
			out[i].add(s)
		}
	}
	return out, nil
}

// add appends the points of a piece. A histogram is there, but has no value
// that an alert could tell: Prometheus says 0.
func (s *stream) add(from *model.SampleStream) {
	for _, v := range from.Values {
		s.points = append(s.points, point{v.Timestamp, float64(v.Value)})
	}
	for _, v := range from.Histograms {
		s.points = append(s.points, point{v.Timestamp, 0})
	}
	if len(from.Histograms) > 0 {
		slices.SortFunc(s.points, func(a, b point) int { return int(a.at - b.at) })
	}
}

// find adds a finding, once.
func (t *backtest) find(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(t.findings, text) {
		t.findings = append(t.findings, text)
	}
}

// lowestPeaks reports whether the rule fires for low values, so that the worst
// is the lowest.
func lowestPeaks(expr parser.Expr) bool {
	c := conditions(expr)[0]
	return c.left != nil && (c.op == parser.LSS || c.op == parser.LTE)
}

// whyNever says of an expression without a result how near it came to one, or
// what is missing.
func (t *backtest) whyNever(ctx context.Context) []string {
	over := t.end.Sub(t.start)
	step := max(t.step, chooseStep(over, maxPoints))
	parts := conditions(t.p.query)
	if c := parts[0]; len(parts) == 1 && c.left != nil && c.op != parser.EQLC && c.op != parser.NEQ {
		function, word := "max", "highest"
		if t.p.lowest {
			function, word = "min", "lowest"
		}
		nearest := fmt.Sprintf("%s(%s_over_time((%s)[%s:%s]))", function, function, c.left, span(over), span(step))
		if value, some, err := t.b.figure(ctx, nearest, t.end); err == nil && some {
			return []string{fmt.Sprintf("never pending: the %s value of %s was %s", word, c.left, number(value))}
		}
	}
	cost := costOf(t.p.query, pointsOf(over, step))
	return t.b.whyEmpty(ctx, t.p.query, cost, t.b.overRange(promv1.Range{Start: t.start, End: t.end, Step: step}))
}

// remark says what the firings alone do not.
func (t *backtest) remark(interval time.Duration) {
	if t.step > interval {
		t.find("evaluated every %s instead of every %s, as the window is long or the expression costly: what comes and goes between two evaluations is missed, and pending is not interrupted by it", span(t.step), span(interval))
	}
	if t.result.failed > 0 {
		t.find("%d of %d evaluations would have failed: two series have the same labels once the rule's are added, or there are more alerts than the group's limit", t.result.failed, t.result.evaluations)
	}
	if n := t.result.nearest; len(t.result.fired) == 0 && !n.end.IsZero() {
		t.find("nearest to it came %s, pending from %s for %s of the %s it needs, peak %s", selector(model.Metric(n.labels)), utc(n.active), span(n.end.Sub(n.active)), span(t.p.hold), rounded(n.peak))
	}
	for _, name := range slices.Sorted(maps.Keys(t.p.labels)) {
		if value := string(t.p.labels[name]); strings.Contains(value, "{{") {
			t.find("label %s is a template, which is not expanded here; if it changes with the value, each change begins a new alert", name)
		}
	}
	t.remarkFlapping()
}

// remarkFlapping says which series fired again and again, and what would calm
// them.
func (t *backtest) remarkFlapping() {
	const often = 3
	bySeries := map[string][]episode{}
	for _, e := range t.result.fired {
		key := selector(model.Metric(e.labels))
		bySeries[key] = append(bySeries[key], e)
	}
	for _, key := range slices.Sorted(maps.Keys(bySeries)) {
		all := bySeries[key]
		if len(all) < often {
			continue
		}
		slices.SortFunc(all, func(a, b episode) int { return a.start.Compare(b.start) })
		longest := time.Duration(0)
		for i := 1; i < len(all); i++ {
			longest = max(longest, all[i].start.Sub(all[i-1].end))
		}
		t.find("flapping: %s fired %d times, at most %s apart; keep_firing_for above that would make it one", key, len(all), span(longest))
	}
}

// maxDifferences is how many differences an answer tells.
const maxDifferences = 5

// compareReal holds the simulation against the series that Prometheus wrote of
// the rule while it was evaluated.
func (t *backtest) compareReal(ctx context.Context) error {
	r := t.p.existing
	if r == nil {
		return nil
	}
	matchers := []string{fmt.Sprintf("alertname=%q", r.Name), `alertstate="firing"`}
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		if value := string(r.Labels[name]); !strings.Contains(value, "{{") {
			matchers = append(matchers, fmt.Sprintf("%s=%q", labelName(string(name)), value))
		}
	}
	streams, err := t.readOnce(ctx, "ALERTS{"+strings.Join(matchers, ", ")+"}", t.start)
	if err != nil {
		t.really = append(t.really, "what really fired cannot be told: "+err.Error())
		return ctx.Err()
	}
	first, last := t.slots(t.start)
	written := simulation{}.simulate(streams, first, last, t.step)
	written.clip(t.start, t.end)
	fired := written.fired
	if len(fired) == 0 {
		t.really = append(t.really, "ALERTS has no firing of it in this window: it did not fire, or this Prometheus did not have the rule then")
		return nil
	}
	t.really = append(t.really, fmt.Sprintf("it really fired %s (ALERTS)", timesText(len(fired))))
	if t.p.changed {
		return nil
	}
	different := t.differences(fired)
	if len(different) == 0 {
		different = []string{"the backtest agrees with it"}
	}
	t.really = append(t.really, different...)
	return nil
}

// differences between what is computed and what was written. Samples that came
// in late show in the past, yet not to the evaluation then, so that ends differ
// by an evaluation or two.
func (t *backtest) differences(fired []episode) []string {
	tolerance := 3 * t.step
	key := func(e episode) string {
		labels := e.labels.Clone()
		for name := range t.p.labels {
			delete(labels, name)
		}
		delete(labels, model.AlertNameLabel)
		delete(labels, "alertstate")
		return selector(model.Metric(labels))
	}
	same := func(a, b episode) bool {
		return key(a) == key(b) && a.start.Sub(b.start).Abs() <= tolerance && a.end.Sub(b.end).Abs() <= tolerance
	}
	var out []string
	tell := func(from, in []episode, format string) {
		for _, e := range from {
			if !slices.ContainsFunc(in, func(o episode) bool { return same(e, o) }) {
				out = append(out, fmt.Sprintf(format, key(e), utc(e.start), utc(e.end)))
			}
		}
	}
	tell(fired, t.result.fired, "but %s really fired from %s to %s, which the backtest does not show so: the rule was another then, samples came late, or Prometheus was down")
	tell(t.result.fired, fired, "but %s did not really fire from %s to %s as the backtest shows: the rule was not there or another, or its evaluation failed")
	if over := len(out) - maxDifferences; over > 0 {
		out = append(out[:maxDifferences], fmt.Sprintf("and %d more differences", over))
	}
	return out
}
