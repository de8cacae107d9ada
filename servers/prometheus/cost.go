package prometheus

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// The guard's limits, in samples that one query makes Prometheus read.
const (
	maxSamples     = 50e6   // Prometheus's own default limit of those it holds at once
	maxUnweighed   = 20_000 // of one series, above which its selector's series are counted first
	assumedScrapes = 15 * time.Second
)

// maxRequests is how many requests one call has at Prometheus at once.
const maxRequests = 4

// cost is what evaluating an expression makes Prometheus read.
type cost struct {
	selections  []selection
	evaluations int           // steps of a range query, 1 of an instant one
	interval    time.Duration // between samples
	series      []int         // that each selector has now; nil if nobody counted
}

func costOf(expr parser.Expr, evaluations int) cost {
	return cost{selections: selections(expr), evaluations: max(1, evaluations), interval: assumedScrapes}
}

// perSeries is how many samples are read of one series of a selector.
func (c cost) perSeries(s selection) float64 {
	return max(1, float64(s.window)/float64(c.interval)) * s.reads * float64(c.evaluations)
}

// doubtful reports whether expression and range alone leave open that the query
// is too costly: only then is it worth a request to count series.
func (c cost) doubtful() bool {
	for _, s := range c.selections {
		if s.name == "" || c.perSeries(s) > maxUnweighed {
			return true
		}
	}
	return false
}

// samples is how many samples are read in all, once the series are counted.
func (c cost) samples() float64 {
	n := 0.0
	for i, s := range c.selections {
		if i < len(c.series) {
			n += float64(c.series[i]) * c.perSeries(s)
		}
	}
	return n
}

func (c cost) tooMuch() bool { return c.samples() > maxSamples }

// lines tell what the cost is made of.
func (c cost) lines() []string {
	var out []string
	for i, s := range c.selections {
		if i < len(c.series) {
			out = append(out, fmt.Sprintf("%s: %d series, up to %s samples of each", s, c.series[i], count(c.perSeries(s))))
		}
	}
	return out
}

// count writes a large number as a person would: 1,250 or 3.2 million.
func count(n float64) string {
	switch {
	case n >= 1e9:
		return rounded3(n/1e9) + " billion"
	case n >= 1e6:
		return rounded3(n/1e6) + " million"
	case n >= 1000:
		return fmt.Sprintf("%d,%03d", int(n)/1000, int(n)%1000)
	}
	return fmt.Sprint(int(n))
}

func rounded3(n float64) string { return fmt.Sprintf("%.3g", n) }

// weigh counts the series that each selector of a cost has at an instant. The
// counts are cheap: one sample of each series is looked at.
func (b *Backend) weigh(ctx context.Context, c *cost, at time.Time) error {
	c.series = make([]int, len(c.selections))
	var counts []func(context.Context) error
	for i, s := range c.selections {
		counts = append(counts, func(ctx context.Context) error {
			n, _, err := b.figure(ctx, fmt.Sprintf("count(%s)", s), at.Add(-s.offset))
			c.series[i] = int(n)
			return err
		})
	}
	return mcpkit.Together(ctx, maxRequests, counts...)
}

// guard weighs an expression if it must be, and reports whether it is too costly.
func (b *Backend) guard(ctx context.Context, expr parser.Expr, at time.Time, evaluations int) (c cost, tooMuch bool, err error) {
	c = costOf(expr, evaluations)
	if !c.doubtful() {
		return c, false, nil
	}
	if err := b.weigh(ctx, &c, at); err != nil {
		return c, false, err
	}
	return c, c.tooMuch(), nil
}
