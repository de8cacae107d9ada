package prometheus

import (
	"context"
	"fmt"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// look asks whether expressions have series, in the time a query was about.
type look struct {
	b        *Backend
	from, to time.Time // the same for one instant
	step     time.Duration
	left     int // requests that may still be made
}

// maxLooks bounds the requests that explain one empty result.
const maxLooks = 20

func (b *Backend) atInstant(at time.Time) *look { return &look{b, at, at, 0, maxLooks} }

func (b *Backend) overRange(r promv1.Range) *look {
	return &look{b, r.Start, r.End, r.Step, maxLooks}
}

// first returns one series of an instant vector, nil if it has none.
func (l *look) first(ctx context.Context, vector string) (*model.Sample, error) {
	if l.left--; l.left < 0 {
		return nil, errTooManyLooks
	}
	if l.from.Equal(l.to) {
		e, err := l.b.evaluate(ctx, vector, l.to, 1)
		if v, _ := e.value.(model.Vector); len(v) > 0 {
			return v[0], err
		}
		return nil, err
	}
	e, err := l.b.evaluateRange(ctx, vector, promv1.Range{Start: l.from, End: l.to, Step: l.step}, 1)
	m, _ := e.value.(model.Matrix)
	if err != nil || len(m) == 0 {
		return nil, err
	}
	s := &model.Sample{Metric: m[0].Metric}
	if n := len(m[0].Values); n > 0 {
		s.Value = m[0].Values[n-1].Value
	}
	return s, nil
}

var errTooManyLooks = fmt.Errorf("more than %d requests would be needed", maxLooks)

// has reports whether an expression has series.
func (l *look) has(ctx context.Context, expr parser.Expr) (bool, error) {
	switch expr.Type() {
	case parser.ValueTypeMatrix:
		s, err := l.first(ctx, fmt.Sprintf("present_over_time(%s)", expr))
		return s != nil, err
	case parser.ValueTypeVector:
		s, err := l.first(ctx, expr.String())
		return s != nil, err
	}
	return true, nil
}

// maxPuzzled is the cost, in samples, above which an empty result is not
// explained: the looks cost as much as the query, and there are several.
const maxPuzzled = 5e6

// whyEmpty explains why an expression has no series: it goes down to the first
// part that is empty though the parts below it are not. What stops it is no
// error: the empty result stands.
func (b *Backend) whyEmpty(ctx context.Context, expr parser.Expr, c cost, l *look) []string {
	if c.samples() > maxPuzzled {
		return []string{"no series"}
	}
	why, err := l.explain(ctx, expr)
	if err != nil {
		return []string{"no series; the reason was not found: " + strings.TrimPrefix(err.Error(), "unavailable: ")}
	}
	return why
}

// explain finds why an expression that is empty is so.
func (l *look) explain(ctx context.Context, expr parser.Expr) ([]string, error) {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		return l.blame(ctx, e)
	case *parser.ParenExpr: // empty as what it holds
		return l.explain(ctx, e.Expr)
	}
	var why []string
	for _, part := range parts(expr) {
		some, err := l.has(ctx, part)
		if err != nil {
			return nil, err
		}
		if some {
			continue
		}
		below, err := l.explain(ctx, part)
		if err != nil {
			return nil, err
		}
		why = append(why, below...)
	}
	if len(why) > 0 {
		return why, nil
	}
	return l.accuse(ctx, expr)
}

// parts are the operands without whose series an expression has none.
func parts(expr parser.Expr) []parser.Expr {
	switch e := expr.(type) {
	case *parser.UnaryExpr:
		return []parser.Expr{e.Expr}
	case *parser.StepInvariantExpr:
		return []parser.Expr{e.Expr}
	case *parser.AggregateExpr:
		return []parser.Expr{e.Expr}
	case *parser.SubqueryExpr:
		return []parser.Expr{e.Expr}
	case *parser.MatrixSelector:
		return []parser.Expr{e.VectorSelector}
	case *parser.BinaryExpr:
		if e.Op == parser.LUNLESS {
			return []parser.Expr{e.LHS}
		}
		return []parser.Expr{e.LHS, e.RHS}
	case *parser.Call:
		if strings.HasPrefix(e.Func.Name, "absent") {
			return nil
		}
		return e.Args
	}
	return nil
}
