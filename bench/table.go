package bench

import (
	"fmt"
	"io"
)

// bars are the ratios a server must not exceed over its questions.
type bars struct {
	bytes float64 // of our text to the peer's answer
	time  float64 // of our p50 over HTTP to that of the last contender
}

// write prints one row per question and what they come to together. Ratios
// below one are in our favour.
func write(w io.Writer, all []comparison, b bars) {
	results := all[0].results
	fmt.Fprint(w, "\n| question | our call | our bytes | with structured | peer's bytes | ratio of bytes |")
	for _, r := range results {
		fmt.Fprintf(w, " %s, p50 |", r.name)
	}
	fmt.Fprint(w, " ratio of time |\n|---|---|---|---|---|---|---|")
	for range results {
		fmt.Fprint(w, "---|")
	}
	for _, c := range all {
		fmt.Fprintf(w, "\n| %s | `%s` | %d | %d | %d | %.2f |", c.question.text, c.tool, c.text, c.whole, c.peer, c.bytes())
		for _, r := range c.results {
			fmt.Fprintf(w, " %.1f ms |", ms(r.p50))
		}
		fmt.Fprintf(w, " %.2f |", c.time())
	}
	last := len(results) - 1
	fmt.Fprintf(w, "\n\n| over the %d questions | ours | %s | ratio | bar |\n|---|---|---|---|---|\n", len(all), results[last].name)
	text, peer := each(all, func(c comparison) float64 { return float64(c.text) }), each(all, func(c comparison) float64 { return float64(c.peer) })
	ours, theirs := each(all, func(c comparison) float64 { return ms(c.results[0].p50) }), each(all, func(c comparison) float64 { return ms(c.results[last].p50) })
	line(w, "bytes of an answer, median", "%.0f", quantile(text, 50), quantile(peer, 50), b.bytes)
	line(w, "bytes of all answers", "%.0f", sum(text), sum(peer), b.bytes)
	line(w, "p50 of a call, median", "%.1f ms", quantile(ours, 50), quantile(theirs, 50), b.time)
	line(w, "p50 of all calls, added up", "%.1f ms", sum(ours), sum(theirs), b.time)
	fmt.Fprintf(w, "\nBytes are held against the peer's, times against the last column of times. The median of the ratios is %.2f for bytes and %.2f for time; %d and %d questions of %d reach the bar by themselves.\n",
		quantile(each(all, comparison.bytes), 50), quantile(each(all, comparison.time), 50),
		count(each(all, comparison.bytes), b.bytes), count(each(all, comparison.time), b.time), len(all))
}

// line prints one total beside its bar.
func line(w io.Writer, what, format string, ours, theirs, bar float64) {
	verdict := "reached"
	if ours > theirs*bar {
		verdict = "**missed**"
	}
	fmt.Fprintf(w, "| %s | "+format+" | "+format+" | %.2f | %.2f %s |\n", what, ours, theirs, ours/theirs, bar, verdict)
}

func each(all []comparison, of func(comparison) float64) []float64 {
	out := make([]float64, 0, len(all))
	for _, c := range all {
		out = append(out, of(c))
	}
	return out
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

// count is how many values are at or below bar.
func count(values []float64, bar float64) (n int) {
	for _, v := range values {
		if v <= bar {
			n++
		}
	}
	return n
}
