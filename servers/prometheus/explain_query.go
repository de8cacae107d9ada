package prometheus

import (
	"context"
	"fmt"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var explainQuery = mcpkit.Tool{
	Name:  "prometheus_explain_query",
	Title: "Explain a query",
	Description: "Checks PromQL without running it: formatted, what each selector selects and how many series, likely mistakes with what to write instead, and the cost. " +
		"Use it before a costly query or an alert rule.",
	Narrow: "explain a part of the expression",
}

type ExplainQueryIn struct {
	Query string      `json:"query" jsonschema:"PromQL"`
	Time  mcpkit.When `json:"time,omitzero" jsonschema:"when to count series; now if absent"`
}

type ExplainQueryOut struct {
	Formatted string   `json:"formatted"`
	Type      string   `json:"type" jsonschema:"of the result: scalar, vector, matrix or string"`
	Mistakes  []string `json:"mistakes" jsonschema:"what is likely wrong, and what to write instead"`
	Cost      string   `json:"cost" jsonschema:"samples read per evaluation"`
	Notes     []string `json:"notes,omitempty" jsonschema:"what is not known, and why"`
	mcpkit.Left
	Selectors mcpkit.Table `json:"selectors,omitzero" jsonschema:"one row per selector, with the series it has"`
}

func (b *Backend) explainQuery(ctx context.Context, in ExplainQueryIn) (ExplainQueryOut, error) {
	expr, err := b.parse(in.Query)
	if err != nil {
		return ExplainQueryOut{}, err
	}
	out := ExplainQueryOut{Formatted: parser.Prettify(expr), Type: string(expr.Type())}
	l := b.lint(ctx, expr, b.moment(in.Time))
	out.Mistakes, out.Notes = l.mistakes(ctx), l.notes
	if len(out.Mistakes) == 0 && l.blind() {
		out.Mistakes = []string{"none in the text alone; what its selectors select is not known, see notes"}
	}
	out.Cost = l.cost()
	if len(l.selections) > 0 {
		out.Selectors = l.table()
	}
	return out, nil
}

// linter is one expression on its way through the checks.
type linter struct {
	b          *Backend
	expr       parser.Expr
	selections []selection
	at         time.Time

	c        cost
	types    map[string]promv1.MetricType // by metric
	interval time.Duration                // between samples, 0 if not known
	notes    []string
	found    []string
}

// lint begins the checks of an expression at an instant.
func (b *Backend) lint(ctx context.Context, expr parser.Expr, at time.Time) *linter {
	l := &linter{b: b, expr: expr, selections: selections(expr), at: at, types: map[string]promv1.MetricType{}}
	l.look(ctx)
	return l
}

// maxLinted is how many selectors are counted.
const maxLinted = 12

// look asks Prometheus what the selectors select. What it does not say is noted:
// the checks of the expression itself need no backend.
func (l *linter) look(ctx context.Context) {
	l.c = costOf(l.expr, 1)
	if len(l.selections) > maxLinted {
		l.notes = append(l.notes, fmt.Sprintf("series not counted: %d selectors are more than %d", len(l.selections), maxLinted))
		return
	}
	if err := l.b.weigh(ctx, &l.c, l.at); err != nil {
		l.c.series = nil
		l.notes = append(l.notes, fmt.Sprintf("series not counted: %v", err))
		return
	}
	for _, s := range l.selections {
		if _, known := l.types[s.name]; known || s.name == "" {
			continue
		}
		l.types[s.name] = l.b.typeOf(ctx, s.name)
	}
	l.measure(ctx)
}

// measure finds how far apart samples are, from one series' last ones.
func (l *linter) measure(ctx context.Context) {
	for i, s := range l.selections {
		if s.name == "" || l.c.series[i] == 0 || s.window == 0 {
			continue
		}
		e, err := l.b.evaluate(ctx, s.String()+"[10m]", l.at.Add(-s.offset), 1)
		m, _ := e.value.(model.Matrix)
		if err != nil || len(m) == 0 {
			continue
		}
		if l.interval = shortestGap(timeline(m[0])); l.interval > 0 {
			l.c.interval = l.interval
			return
		}
	}
}

// shortestGap is the least time between the last samples, to the second: a lost
// scrape makes a gap longer, nothing makes it shorter.
func shortestGap(samples []sample) time.Duration {
	shortest := time.Duration(0)
	for i := max(1, len(samples)-3); i < len(samples); i++ {
		if gap := samples[i].at.Sub(samples[i-1].at).Round(time.Second); shortest == 0 || gap < shortest {
			shortest = max(gap, time.Second)
		}
	}
	return shortest
}

// blind reports whether Prometheus did not say what the selectors select.
func (l *linter) blind() bool { return l.c.series == nil && len(l.selections) > 0 }

func (l *linter) cost() string {
	if l.blind() {
		return "not known"
	}
	text := count(l.c.samples()) + " samples at most for one evaluation"
	if l.c.tooMuch() {
		text += fmt.Sprintf(", more than the %s at which it is not run", count(maxSamples))
	} else if n := l.c.samples(); n > 0 {
		if points := maxSamples / n; points < usualPoints {
			text += fmt.Sprintf("; over a range with more than %d points it is too costly", int(points))
		}
	}
	return text
}

func (l *linter) table() mcpkit.Table {
	t := mcpkit.Table{Columns: []string{"selector", "series", "type", "window"}, Rows: [][]string{}}
	for i, s := range l.selections {
		series, window := "", ""
		if l.c.series != nil {
			series = fmt.Sprint(l.c.series[i])
		}
		if s.window > 0 {
			window = span(s.window)
		}
		t.Rows = append(t.Rows, []string{s.String(), series, string(l.kindOf(s.name)), window})
	}
	return t
}
