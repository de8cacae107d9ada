package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// contender is one way to answer a question; it returns the bytes of its answer.
type contender struct {
	name string
	run  func(context.Context) (int, error)
}

// result is what a contender took over all rounds.
type result struct {
	name  string
	p50   time.Duration
	p95   time.Duration
	bytes int
}

// sideBySide runs the contenders in turn, round by round, so that whatever
// else the machine does falls on all of them alike. The first round warms up.
func sideBySide(ctx context.Context, rounds int, contenders ...contender) ([]result, error) {
	took := make([][]time.Duration, len(contenders))
	out := make([]result, len(contenders))
	for round := range rounds + 1 {
		for i, c := range contenders {
			began := time.Now()
			n, err := c.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 {
				took[i] = append(took[i], time.Since(began))
			}
			out[i].name, out[i].bytes = c.name, n
		}
	}
	for i := range took {
		out[i].p50, out[i].p95 = quantile(took[i], 50), quantile(took[i], 95)
	}
	return out, nil
}

// quantile is the smallest value that percent of them do not exceed, and the
// zero value if there are none.
func quantile[T cmp.Ordered](values []T, percent int) (at T) {
	if len(values) == 0 {
		return at
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
