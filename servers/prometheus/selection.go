package prometheus

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// selection is one selector of an expression, and what evaluating the
// expression once reads through it.
type selection struct {
	matchers []*labels.Matcher
	name     string        // of the metric, empty if it is not one
	window   time.Duration // of a range selector, 0 of an instant one
	reads    float64       // windows or samples read, per series and evaluation
	offset   time.Duration
	node     parser.Node
	path     []parser.Node // from the root down to it
}

// String is the selector as PromQL, without range and offset.
func (s selection) String() string { return matcherText(s.matchers) }

// matcherText writes matchers as a selector: the name in front if it is a plain one.
func matcherText(ms []*labels.Matcher) string {
	name, names := fixedName(ms), 0
	for _, m := range ms {
		if m.Name == model.MetricNameLabel {
			names++
		}
	}
	if names > 1 || !model.LegacyValidation.IsValidMetricName(name) {
		name = ""
	}
	return (&parser.VectorSelector{Name: name, LabelMatchers: ms}).String()
}

// fixedName is the metric name that matchers ask for, empty if it is not one.
func fixedName(ms []*labels.Matcher) string {
	for _, m := range ms {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// defaultSubqueryStep is Prometheus's default evaluation interval.
const defaultSubqueryStep = time.Minute

// selections lists the selectors of an expression from left to right.
func selections(expr parser.Expr) []selection {
	var out []selection
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		vs, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		s := selection{matchers: vs.LabelMatchers, name: fixedName(vs.LabelMatchers), offset: vs.OriginalOffset, reads: 1, node: vs, path: slices.Clone(path)}
		for _, p := range path {
			switch p := p.(type) {
			case *parser.MatrixSelector:
				s.window = p.Range
			case *parser.SubqueryExpr:
				step := p.Step
				if step <= 0 {
					step = defaultSubqueryStep
				}
				s.reads *= max(1, float64(p.Range)/float64(step))
				s.offset += p.OriginalOffset
			}
		}
		out = append(out, s)
		return nil
	})
	return out
}
