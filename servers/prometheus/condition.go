package prometheus

import (
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// condition is a part of an alert's expression that can be looked at by itself.
type condition struct {
	role   string      // how it belongs to what stands before: empty, and, or, unless, inside
	expr   parser.Expr // as it stands in the rule
	left   parser.Expr // what is compared; nil if nothing is
	right  parser.Expr
	op     parser.ItemType
	asBool bool // whether the comparison yields 0 or 1 instead of dropping series
	match  *parser.VectorMatching
	call   string // absent or absent_over_time; empty otherwise
}

// Roles that do not by themselves decide whether the alert fires: a comparison
// inside an aggregation or a function decides what is counted, and what stands
// after unless takes series away.
const (
	inside = "inside"
	unless = "unless"
)

// conditions takes an expression apart: and, or and unless into their sides,
// the rest into comparisons, with those nested in them.
func conditions(expr parser.Expr) []condition { return takeApart(expr, "") }

func takeApart(expr parser.Expr, role string) []condition {
	expr = unwrap(expr)
	b, ok := expr.(*parser.BinaryExpr)
	switch {
	case ok && b.Op.IsSetOperator():
		second := b.Op.String()
		if role == unless || role == inside {
			second = role
		}
		return append(takeApart(b.LHS, role), takeApart(b.RHS, second)...)
	case ok && b.Op.IsComparisonOperator() && !constant(b.LHS, b.RHS):
		c := condition{role: role, expr: expr, left: unwrap(b.LHS), right: unwrap(b.RHS), op: b.Op, asBool: b.ReturnBool, match: b.VectorMatching}
		if c.left.Type() == parser.ValueTypeScalar {
			c.left, c.right, c.op = c.right, c.left, turned(c.op)
		}
		return slices.Concat([]condition{c}, nested(b.LHS), nested(b.RHS))
	}
	c := condition{role: role, expr: expr}
	if f, ok := expr.(*parser.Call); ok && strings.HasPrefix(f.Func.Name, "absent") {
		c.call = f.Func.Name
		return []condition{c}
	}
	return append([]condition{c}, nestedBelow(expr)...)
}

// unwrap takes off parentheses.
func unwrap(expr parser.Expr) parser.Expr {
	for {
		p, ok := expr.(*parser.ParenExpr)
		if !ok {
			return expr
		}
		expr = p.Expr
	}
}

// constant reports whether no side has series, as in 1 > bool 0.
func constant(sides ...parser.Expr) bool {
	return !slices.ContainsFunc(sides, func(e parser.Expr) bool { return e.Type() != parser.ValueTypeScalar })
}

// turned is the operator that holds with its sides exchanged.
func turned(op parser.ItemType) parser.ItemType {
	switch op {
	case parser.GTR:
		return parser.LSS
	case parser.LSS:
		return parser.GTR
	case parser.GTE:
		return parser.LTE
	case parser.LTE:
		return parser.GTE
	}
	return op
}

// nested are the comparisons in an expression, itself included.
func nested(expr parser.Expr) []condition {
	expr = unwrap(expr)
	if b, ok := expr.(*parser.BinaryExpr); ok && (b.Op.IsComparisonOperator() && !constant(b.LHS, b.RHS) || b.Op.IsSetOperator()) {
		out := takeApart(expr, inside)
		return slices.DeleteFunc(out, func(c condition) bool { return c.left == nil })
	}
	return nestedBelow(expr)
}

func nestedBelow(expr parser.Expr) []condition {
	var out []condition
	for child := range parser.ChildrenIter(expr) {
		if e, ok := child.(parser.Expr); ok {
			out = append(out, nested(e)...)
		}
	}
	return out
}

// holds reports whether the comparison keeps a series.
func (c condition) holds(value, threshold float64) bool {
	switch c.op {
	case parser.GTR:
		return value > threshold
	case parser.GTE:
		return value >= threshold
	case parser.LSS:
		return value < threshold
	case parser.LTE:
		return value <= threshold
	case parser.EQLC:
		return value == threshold
	}
	return value != threshold
}

// pair is one series of a comparison with what it is compared to.
type pair struct {
	series           model.Metric
	value, threshold float64
	meets            bool
}

// away is how far a series is from meeting its comparison; 0 if it does.
func (p pair) away() float64 {
	if p.meets {
		return 0
	}
	return math.Abs(p.value - p.threshold)
}

// pairs brings the series of both sides together as Prometheus matches them.
// Values that are histograms compare with nothing.
func (c condition) pairs(left, right model.Vector) []pair {
	many, one := left, right
	swapped := c.match != nil && c.match.Card == parser.CardOneToMany
	if swapped {
		many, one = right, left
	}
	partners := map[model.Fingerprint]*model.Sample{}
	for _, s := range one {
		if s.Histogram == nil {
			partners[c.signature(s.Metric)] = s
		}
	}
	var out []pair
	for _, s := range many {
		partner := partners[c.signature(s.Metric)]
		if partner == nil || s.Histogram != nil {
			continue
		}
		l, r := s, partner
		if swapped {
			l, r = partner, s
		}
		out = append(out, c.pair(s.Metric, float64(l.Value), float64(r.Value)))
	}
	return out
}

func (c condition) pair(series model.Metric, value, threshold float64) pair {
	return pair{series, value, threshold, c.holds(value, threshold)}
}

// signature is what two series must share to be matched.
func (c condition) signature(m model.Metric) model.Fingerprint {
	out := model.Metric{}
	for name, value := range m {
		named := c.match != nil && slices.Contains(c.match.MatchingLabels, string(name))
		if c.match != nil && c.match.On == named && (named || name != model.MetricNameLabel) {
			out[name] = value
		}
	}
	return out.Fingerprint()
}

// surelyEmpty reports whether an expression has no series as long as the
// selectors have none for which empty is true.
func surelyEmpty(expr parser.Expr, empty func(*parser.VectorSelector) bool) bool {
	if expr.Type() == parser.ValueTypeScalar {
		return false
	}
	below := func(e parser.Expr) bool { return surelyEmpty(e, empty) }
	switch e := expr.(type) {
	case *parser.VectorSelector:
		return empty(e)
	case *parser.MatrixSelector:
		return below(e.VectorSelector)
	case *parser.SubqueryExpr:
		return below(e.Expr)
	case *parser.ParenExpr:
		return below(e.Expr)
	case *parser.UnaryExpr:
		return below(e.Expr)
	case *parser.AggregateExpr:
		return below(e.Expr)
	case *parser.BinaryExpr:
		return pairEmpty(e, below)
	case *parser.Call:
		return !strings.HasPrefix(e.Func.Name, "absent") && slices.ContainsFunc(e.Args, func(a parser.Expr) bool {
			return a.Type() != parser.ValueTypeString && below(a)
		})
	}
	return false
}

func pairEmpty(e *parser.BinaryExpr, below func(parser.Expr) bool) bool {
	left, right := below(e.LHS), below(e.RHS)
	if m := e.VectorMatching; m != nil {
		left = left && m.FillValues.LHS == nil
		right = right && m.FillValues.RHS == nil
	}
	switch e.Op {
	case parser.LOR:
		return left && right
	case parser.LUNLESS:
		return left
	}
	return left || right
}
