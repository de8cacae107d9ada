package prometheus

import (
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// accuse explains an expression that is empty though its operands are not.
func (l *look) accuse(ctx context.Context, expr parser.Expr) ([]string, error) {
	switch e := expr.(type) {
	case *parser.BinaryExpr:
		return l.accuseOperator(ctx, e)
	case *parser.Call:
		return l.accuseCall(ctx, e)
	case *parser.MatrixSelector:
		return []string{fmt.Sprintf("%s has no sample in its window, though %s has series: use a longer window", e, e.VectorSelector)}, nil
	}
	return []string{fmt.Sprintf("%s has no series, though what it works on has", expr)}, nil
}

func (l *look) accuseOperator(ctx context.Context, e *parser.BinaryExpr) ([]string, error) {
	left, right := e.LHS.Type() == parser.ValueTypeVector, e.RHS.Type() == parser.ValueTypeVector
	switch {
	case left && right && e.Op == parser.LUNLESS:
		return []string{fmt.Sprintf("unless leaves nothing: every series of %s has its like in %s", e.LHS, e.RHS)}, nil
	case left && right:
		return l.accuseMatching(ctx, e)
	case left && e.Op.IsComparisonOperator():
		return l.accuseComparison(ctx, e, e.LHS)
	case right && e.Op.IsComparisonOperator():
		return l.accuseComparison(ctx, e, e.RHS)
	}
	return []string{fmt.Sprintf("%s has no series, though its operands have", e)}, nil
}

// accuseComparison tells how far the values are from passing.
func (l *look) accuseComparison(ctx context.Context, e *parser.BinaryExpr, vector parser.Expr) ([]string, error) {
	most, err := l.first(ctx, fmt.Sprintf("max(%s)", vector))
	if err != nil {
		return nil, err
	}
	least, err := l.first(ctx, fmt.Sprintf("min(%s)", vector))
	if err != nil || most == nil || least == nil {
		return nil, err
	}
	when := ""
	if !l.from.Equal(l.to) {
		when = " at the end of the range"
	}
	return []string{fmt.Sprintf("no value passes %s: those of %s are from %s to %s%s", e, vector, number(least.Value), number(most.Value), when)}, nil
}

// accuseMatching tells which labels the two sides have.
func (l *look) accuseMatching(ctx context.Context, e *parser.BinaryExpr) ([]string, error) {
	left, err := l.first(ctx, e.LHS.String())
	if err != nil {
		return nil, err
	}
	right, err := l.first(ctx, e.RHS.String())
	if err != nil || left == nil || right == nil {
		return nil, err
	}
	how := "on all labels"
	if m := e.VectorMatching; m.On {
		how = fmt.Sprintf("on (%s)", strings.Join(m.MatchingLabels, ", "))
	} else if len(m.MatchingLabels) > 0 {
		how = fmt.Sprintf("ignoring (%s)", strings.Join(m.MatchingLabels, ", "))
	}
	compared := ""
	if e.Op.IsComparisonOperator() {
		compared = ", or no pair passes the comparison"
	}
	return []string{fmt.Sprintf("both sides of %s have series, but none match %s%s: the left has %s, the right %s", e.Op, how, compared, selector(left.Metric), selector(right.Metric))}, nil
}

func (l *look) accuseCall(ctx context.Context, e *parser.Call) ([]string, error) {
	for _, arg := range e.Args {
		if arg.Type() != parser.ValueTypeMatrix {
			continue
		}
		most, err := l.first(ctx, fmt.Sprintf("max(count_over_time(%s))", arg))
		if err != nil {
			return nil, err
		}
		if most != nil && most.Value < 2 {
			return []string{fmt.Sprintf("%s needs two samples in its window and %s has one at most: use a window of at least four scrape intervals", e.Func.Name, arg)}, nil
		}
	}
	switch {
	case strings.HasPrefix(e.Func.Name, "absent"):
		return []string{fmt.Sprintf("%s is empty because the series are there", e)}, nil
	case e.Func.Name == "histogram_quantile":
		one, err := l.first(ctx, e.Args[1].String())
		if err != nil || one == nil {
			return nil, err
		}
		if _, ok := one.Metric[model.BucketLabel]; !ok {
			return []string{fmt.Sprintf("histogram_quantile needs native histograms or the label le, and %s has neither: keep le, as in sum by (le) (...)", e.Args[1])}, nil
		}
	}
	return []string{fmt.Sprintf("%s has no series, though its arguments have", e)}, nil
}
