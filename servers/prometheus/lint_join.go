package prometheus

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// lintJoin checks that aggregations keep the labels their operator matches on.
func (l *linter) lintJoin(e *parser.BinaryExpr) {
	m := e.VectorMatching
	if m == nil || e.LHS.Type() != parser.ValueTypeVector || e.RHS.Type() != parser.ValueTypeVector {
		return
	}
	left, right := grouping(e.LHS), grouping(e.RHS)
	if m.On {
		for _, side := range []*parser.AggregateExpr{left, right} {
			if lost := dropped(side, m.MatchingLabels); len(lost) > 0 {
				l.say("%s on (%s) needs labels that %s drops; write %s", e.Op, strings.Join(m.MatchingLabels, ", "), heading(side), heading(keepLabels(side, lost...)))
			}
		}
		return
	}
	if left != nil && right != nil && !left.Without && !right.Without && !e.Op.IsSetOperator() {
		a, b := sorted(left.Grouping, m.MatchingLabels), sorted(right.Grouping, m.MatchingLabels)
		if !slices.Equal(a, b) {
			instead := "group both alike"
			if shared := both(a, b); len(shared) > 0 {
				instead += fmt.Sprintf(", or match on (%s)", strings.Join(shared, ", "))
			}
			l.say("the sides of %s have different labels, (%s) and (%s), so nothing matches; %s", e.Op, strings.Join(a, ", "), strings.Join(b, ", "), instead)
		}
		return
	}
	if (left == nil) != (right == nil) && len(m.MatchingLabels) == 0 && !e.Op.IsSetOperator() {
		side := left
		if side == nil {
			side = right
		}
		if !side.Without {
			l.say("one side of %s is %s and the other keeps all its labels, so they match only if those are the same; write on (%s) with group_left or group_right, or aggregate both", e.Op, heading(side), strings.Join(side.Grouping, ", "))
		}
	}
}

// grouping is the aggregation that decides which labels an expression has; nil
// if none does.
func grouping(expr parser.Expr) *parser.AggregateExpr {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return grouping(e.Expr)
	case *parser.AggregateExpr:
		if e.Op == parser.TOPK || e.Op == parser.BOTTOMK || e.Op == parser.LIMITK || e.Op == parser.LIMIT_RATIO {
			return grouping(e.Expr)
		}
		return e
	case *parser.BinaryExpr:
		if e.RHS.Type() == parser.ValueTypeScalar {
			return grouping(e.LHS)
		}
		if e.LHS.Type() == parser.ValueTypeScalar {
			return grouping(e.RHS)
		}
	}
	return nil
}

// dropped are the labels that an aggregation does not keep.
func dropped(a *parser.AggregateExpr, names []string) []string {
	if a == nil {
		return nil
	}
	var out []string
	for _, n := range names {
		if slices.Contains(a.Grouping, n) == a.Without {
			out = append(out, n)
		}
	}
	return out
}

// sorted are labels without the ignored ones.
func sorted(names, ignored []string) []string {
	out := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(ignored, n) })
	slices.Sort(out)
	return out
}

func both(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(n string) bool { return !slices.Contains(b, n) })
}
