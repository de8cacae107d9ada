package prometheus

import (
	"context"
	"slices"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// queryTimeout is after how long Prometheus gives up on one evaluation.
const queryTimeout = 30 * time.Second

// evaluation is what Prometheus made of an expression.
type evaluation struct {
	value model.Value // of a list, at most limit series
	more  bool        // whether there are more series than limit
	total int         // series there are; 0 if more is set and nobody counted them
	said  []string    // its warnings and infos
}

// evaluate evaluates an expression at one instant.
func (b *Backend) evaluate(ctx context.Context, expr string, at time.Time, limit int) (evaluation, error) {
	c, err := b.prometheus()
	if err != nil {
		return evaluation{}, err
	}
	t := tally{keep: limit + 1}
	value, warnings, infos, err := c.Query(withTally(ctx, &t), expr, at, options(limit)...)
	if err != nil {
		return evaluation{}, translate(err, "evaluate the query")
	}
	return t.judge(value, limit, said(warnings, infos)), nil
}

// evaluateRange evaluates an expression at each step of a range.
func (b *Backend) evaluateRange(ctx context.Context, expr string, r promv1.Range, limit int) (evaluation, error) {
	c, err := b.prometheus()
	if err != nil {
		return evaluation{}, err
	}
	t := tally{keep: limit + 1}
	value, warnings, infos, err := c.QueryRange(withTally(ctx, &t), expr, r, options(limit)...)
	if err != nil {
		return evaluation{}, translate(err, "evaluate the query")
	}
	return t.judge(value, limit, said(warnings, infos)), nil
}

// options asks for one series more than wanted, to know whether there are more.
func options(limit int) []promv1.Option {
	return []promv1.Option{promv1.WithLimit(uint64(limit + 1)), promv1.WithTimeout(queryTimeout)}
}

// judge cuts a value to limit series and says how many there are. A backend
// that ignores the limit parameter has sent them all, so they are counted.
func (t *tally) judge(value model.Value, limit int, said []string) evaluation {
	e := evaluation{value: value, said: said}
	switch v := value.(type) {
	case model.Vector:
		e.total, e.more = len(v), len(v) > limit
		e.value = v[:min(limit, len(v))]
	case model.Matrix:
		e.total, e.more = len(v), len(v) > limit
		e.value = v[:min(limit, len(v))]
	}
	if e.more {
		e.total = 0
		if t.total > limit+1 {
			e.total = t.total
		}
	}
	return e
}

// said are the remarks of Prometheus, each once, but not that it kept to the
// limit it was given.
func said(warnings promv1.Warnings, infos promv1.Infos) []string {
	var out []string
	for _, s := range slices.Concat([]string(warnings), []string(infos)) {
		if !strings.Contains(s, "truncated due to limit") && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// figure evaluates an expression that has one value, such as count(up). There
// is none if it has no series.
func (b *Backend) figure(ctx context.Context, expr string, at time.Time) (value float64, ok bool, err error) {
	e, err := b.evaluate(ctx, expr, at, 1)
	if err != nil {
		return 0, false, err
	}
	switch v := e.value.(type) {
	case model.Vector:
		if len(v) > 0 {
			return float64(v[0].Value), true, nil
		}
	case *model.Scalar:
		return float64(v.Value), true, nil
	}
	return 0, false, nil
}
