package prometheus

import (
	"context"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// mistakes runs every check, worst first.
func (l *linter) mistakes(ctx context.Context) []string {
	l.found = []string{}
	for i, s := range l.selections {
		if l.c.series != nil && l.c.series[i] == 0 {
			vs := s.node.(*parser.VectorSelector)
			if why, err := l.b.atInstant(l.at).blame(ctx, vs); err == nil {
				l.found = append(l.found, why...)
			}
		}
	}
	for _, s := range l.selections {
		l.lintKind(s)
		l.lintWindow(s)
		l.lintMatchers(s)
	}
	parser.Inspect(l.expr, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.Call:
			l.lintCall(n)
		case *parser.BinaryExpr:
			l.lintJoin(n)
			l.lintEquality(n)
		}
		return nil
	})
	return slices.Compact(l.found)
}

func (l *linter) say(format string, args ...any) {
	l.found = append(l.found, fmt.Sprintf(format, args...))
}

// counting are the functions made for counters, and what to use for gauges.
var counting = map[string]string{"rate": "deriv", "irate": "idelta", "increase": "delta"}

// kindOf is the type of a metric, by its name where metadata says nothing.
func (l *linter) kindOf(name string) promv1.MetricType {
	if t := l.types[name]; t != "" && t != promv1.MetricTypeUnknown {
		return t
	}
	for _, suffix := range []string{"_total", "_bucket", "_count", "_sum"} {
		if strings.HasSuffix(name, suffix) {
			return promv1.MetricTypeCounter
		}
	}
	return ""
}

// lintKind checks that counters go through rate and gauges do not.
func (l *linter) lintKind(s selection) {
	kind := l.kindOf(s.name)
	call := innermostCall(s.path)
	name := ""
	if call != nil {
		name = call.Func.Name
	}
	instead, forCounters := counting[name]
	switch {
	case kind == promv1.MetricTypeGauge && forCounters:
		l.say("%s is a gauge and %s is for counters: a gauge that falls looks like a reset; write %s(%s[%s])", s.name, name, instead, s, l.window(s))
	case kind == promv1.MetricTypeCounter && s.window == 0 && !fitsCounter(s.path):
		l.say("%s is a counter, whose value says little: it only grows, and restarts; write rate(%s[%s])", s.name, s, l.window(s))
	case kind == promv1.MetricTypeCounter && (name == "delta" || name == "deriv" || name == "idelta"):
		l.say("%s is a counter and %s does not know resets; write increase or rate", s.name, name)
	}
	l.lintOrder(s, call)
}

// lintOrder checks for rate over an aggregation, which hides resets.
func (l *linter) lintOrder(s selection, call *parser.Call) {
	if call == nil {
		return
	}
	if _, ok := counting[call.Func.Name]; !ok {
		return
	}
	for i := len(s.path) - 1; i >= 0 && s.path[i] != parser.Node(call); i-- {
		if a, ok := s.path[i].(*parser.AggregateExpr); ok {
			l.say("%s of %s: summing first hides that single counters restart; write %s by (...) (%s(%s[%s]))", call.Func.Name, a.Op, a.Op, call.Func.Name, s, l.window(s))
			return
		}
	}
}

// innermostCall is the call nearest above a selector.
func innermostCall(path []parser.Node) *parser.Call {
	for i := len(path) - 1; i >= 0; i-- {
		if c, ok := path[i].(*parser.Call); ok {
			return c
		}
	}
	return nil
}

// fitsCounter reports whether a counter's plain value makes sense where it is:
// when only its presence counts.
func fitsCounter(path []parser.Node) bool {
	for _, p := range path {
		switch p := p.(type) {
		case *parser.AggregateExpr:
			if p.Op == parser.COUNT || p.Op == parser.GROUP || p.Op == parser.COUNT_VALUES {
				return true
			}
		case *parser.Call:
			if strings.HasPrefix(p.Func.Name, "absent") || p.Func.Name == "timestamp" || p.Func.Name == "resets" || p.Func.Name == "changes" {
				return true
			}
		case *parser.SubqueryExpr:
			return true
		}
	}
	return false
}

// window is a fitting one for a rate.
func (l *linter) window(s selection) string {
	if s.window > 0 && s.window >= 4*l.interval {
		return span(s.window)
	}
	if l.interval > 0 {
		return span(max(4*l.interval, time.Minute))
	}
	return "5m"
}

// lintWindow checks that a window holds enough samples.
func (l *linter) lintWindow(s selection) {
	call := innermostCall(s.path)
	if s.window == 0 || l.interval == 0 || s.window >= 4*l.interval || call == nil {
		return
	}
	if _, needsTwo := counting[call.Func.Name]; !needsTwo && call.Func.Name != "deriv" && call.Func.Name != "delta" {
		return
	}
	verdict := "one lost scrape leaves a gap"
	if s.window < 2*l.interval {
		verdict = "it holds less than two samples, so the result is empty"
	}
	l.say("the window of %s[%s] is short for samples %s apart: %s; write at least [%s]", s, span(s.window), span(l.interval), verdict, span(4*l.interval))
}

// lintMatchers checks selectors that name no metric, and regular expressions
// that are none or match everything.
func (l *linter) lintMatchers(s selection) {
	if s.name == "" && !slices.ContainsFunc(s.matchers, func(m *labels.Matcher) bool {
		return m.Name == model.MetricNameLabel && m.Value != ".+" && m.Value != ".*"
	}) {
		l.say("%s selects series of every metric, which rarely mean the same; name one", s)
	}
	for _, m := range s.matchers {
		if m.Type != labels.MatchRegexp && m.Type != labels.MatchNotRegexp {
			continue
		}
		plain := labels.MatchEqual
		if m.Type == labels.MatchNotRegexp {
			plain = labels.MatchNotEqual
		}
		switch {
		case m.Value == ".*" && m.Type == labels.MatchRegexp:
			l.say("%s matches everything, also series without the label; leave it out", m)
		case literal(m.Value):
			l.say("%s is no pattern; write %s%s%q", m, labelName(m.Name), plain, m.Value)
		}
	}
}

// literal reports whether a regular expression matches one text only.
func literal(pattern string) bool {
	re, err := syntax.Parse(pattern, syntax.Perl)
	return err == nil && re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0 && string(re.Rune) == pattern
}

// lintCall checks the arguments of functions that have an opinion on them.
func (l *linter) lintCall(c *parser.Call) {
	if c.Func.Name != "histogram_quantile" || len(c.Args) < 2 {
		return
	}
	if q, ok := c.Args[0].(*parser.NumberLiteral); ok && (q.Val < 0 || q.Val > 1) {
		l.say("the quantile %s is not between 0 and 1; write %s for the %sth percentile", number(q.Val), number(q.Val/100), number(q.Val))
	}
	classic := slices.ContainsFunc(selections(c.Args[1]), func(s selection) bool { return strings.HasSuffix(s.name, "_bucket") })
	if !classic {
		return
	}
	parser.Inspect(c.Args[1], func(node parser.Node, _ []parser.Node) error {
		a, ok := node.(*parser.AggregateExpr)
		if ok && slices.Contains(a.Grouping, model.BucketLabel) == a.Without {
			l.say("histogram_quantile needs the label le of classic histograms, and %s drops it; write %s", heading(a), heading(keepLabels(a, model.BucketLabel)))
		}
		return nil
	})
	if !slices.ContainsFunc(selections(c.Args[1]), func(s selection) bool { return innermostCall(s.path) != nil }) {
		l.say("histogram_quantile over buckets as they are looks at all time since the start; write rate(...[5m]) around them")
	}
}

// heading is an aggregation without what it aggregates: sum by (job) (...).
func heading(a *parser.AggregateExpr) string {
	if len(a.Grouping) == 0 && !a.Without {
		return a.Op.String() + " (...)"
	}
	how := "by"
	if a.Without {
		how = "without"
	}
	return fmt.Sprintf("%s %s (%s) (...)", a.Op, how, strings.Join(a.Grouping, ", "))
}

// keepLabels is an aggregation that keeps labels it dropped.
func keepLabels(a *parser.AggregateExpr, names ...string) *parser.AggregateExpr {
	out := *a
	out.Grouping = slices.Clone(a.Grouping)
	for _, n := range names {
		if a.Without {
			out.Grouping = slices.DeleteFunc(out.Grouping, func(g string) bool { return g == n })
		} else {
			out.Grouping = append(out.Grouping, n)
		}
	}
	return &out
}

// lintEquality checks comparisons that computed values hardly ever pass.
func (l *linter) lintEquality(e *parser.BinaryExpr) {
	if e.Op != parser.EQLC && e.Op != parser.NEQ {
		return
	}
	n, ok := e.RHS.(*parser.NumberLiteral)
	if !ok {
		return
	}
	switch whole := n.Val == float64(int64(n.Val)); {
	case n.Val != n.Val:
		l.say("nothing equals NaN, not even NaN; to find NaN write x != x")
	case !whole || computed(e.LHS):
		l.say("%s compares floats for equality, which rounding decides; compare with > or <, or a distance such as abs(x - %s) < 0.001", e, number(n.Val))
	}
}

// computed reports whether values come from a division, a rate or an average.
func computed(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.BinaryExpr:
			found = found || n.Op == parser.DIV
		case *parser.Call:
			found = found || n.Func.Name == "rate" || n.Func.Name == "irate" || n.Func.Name == "deriv" || strings.HasPrefix(n.Func.Name, "avg_") || strings.HasPrefix(n.Func.Name, "histogram_")
		case *parser.AggregateExpr:
			found = found || n.Op == parser.AVG || n.Op == parser.STDDEV
		}
		return nil
	})
	return found
}
