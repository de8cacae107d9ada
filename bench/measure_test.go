package bench

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantile(t *testing.T) {
	require.Zero(t, quantile([]int(nil), 50))
	require.Equal(t, 7, quantile([]int{7}, 95))
	require.Equal(t, 2, quantile([]int{3, 1, 2}, 50))
	require.Equal(t, 2, quantile([]int{4, 3, 2, 1}, 50))
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	require.Equal(t, 50, quantile(hundred, 50))
	require.Equal(t, 95, quantile(hundred, 95))
	require.Equal(t, 100, hundred[0], "the values keep their order")
}

func TestSideBySideTakesTurnsAndWarmsUp(t *testing.T) {
	var order []string
	name := func(s string) contender {
		return contender{s, func(context.Context) (int, error) {
			order = append(order, s)
			return len(order), nil
		}}
	}
	results, err := sideBySide(t.Context(), 2, name("a"), name("b"))
	require.NoError(t, err)
	require.Equal(t, "a b a b a b", strings.Join(order, " "))
	require.Equal(t, "b", results[1].name)
	require.Equal(t, 6, results[1].bytes)
	require.Positive(t, results[0].p50)
	require.GreaterOrEqual(t, results[0].p95, results[0].p50)

	_, err = sideBySide(t.Context(), 2, contender{"c", func(context.Context) (int, error) { return 0, errors.New("no answer") }})
	require.EqualError(t, err, "c: no answer")
}

func TestTotalsAreHeldAgainstTheBars(t *testing.T) {
	took := func(ours, raw time.Duration) []result {
		return []result{{name: "ours over HTTP", p50: ours}, {name: "ours over stdio", p50: ours}, {name: "raw HTTP", p50: raw}}
	}
	all := []comparison{
		{question{text: "one?", tool: "first"}, 100, 250, 400, took(2*time.Millisecond, time.Millisecond)},
		{question{text: "two?", tool: "second"}, 300, 700, 400, took(4*time.Millisecond, 4*time.Millisecond)},
		{question{text: "three?", tool: "third"}, 50, 90, 1000, took(time.Millisecond, time.Millisecond)},
	}
	var page strings.Builder
	write(&page, all, bars{bytes: 0.5, time: 1.3})
	require.Contains(t, page.String(), "| one? | `first` | 100 | 250 | 400 | 0.25 | 2.0 ms | 2.0 ms | 1.0 ms | 2.00 |\n")
	require.Contains(t, page.String(), "| bytes of an answer, median | 100 | 400 | 0.25 | 0.50 reached |\n")
	require.Contains(t, page.String(), "| bytes of all answers | 450 | 1800 | 0.25 | 0.50 reached |\n")
	require.Contains(t, page.String(), "| p50 of a call, median | 2.0 ms | 1.0 ms | 2.00 | 1.30 **missed** |\n")
	require.Contains(t, page.String(), "| p50 of all calls, added up | 7.0 ms | 6.0 ms | 1.17 | 1.30 reached |\n")
	require.Contains(t, page.String(), "The median of the ratios is 0.25 for bytes and 1.00 for time; 2 and 2 questions of 3 reach the bar by themselves.")
}
