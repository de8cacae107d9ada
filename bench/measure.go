// Package bench measures a server beside what it replaces: a raw HTTP request
// and a kubectl process, on the same cluster in the same run, so that what it
// reports are ratios and not the speed of a machine.
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
		slices.SortFunc(took[i], func(a, b time.Duration) int { return cmp.Compare(a, b) })
		out[i].p50 = took[i][len(took[i])/2]
		out[i].p95 = took[i][len(took[i])*95/100]
	}
	return out, nil
}
