package prometheus

import (
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/common/model"
)

// number writes a sample value with all its digits and no more, as PromQL reads
// it back: 0.1, 1e+21, NaN, +Inf.
func number[T ~float64](v T) string {
	f := float64(v)
	if a := math.Abs(f); a != 0 && !math.IsInf(f, 0) && (a < 1e-6 || a >= 1e21) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// rounded writes a value that was computed here to six significant digits: more
// of them would claim to know more.
func rounded(f float64) string {
	short, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 6, 64), 64)
	if err != nil {
		return number(f)
	}
	return number(short)
}

// distribution says of a native histogram what can be read at a glance: how
// many observations, their sum, and where most of them lie.
func distribution(h *model.SampleHistogram) string {
	if h == nil {
		return "no histogram"
	}
	return fmt.Sprintf("count=%s sum=%s p50=%s p90=%s p99=%s", number(h.Count), number(h.Sum),
		rounded(quantile(0.5, h)), rounded(quantile(0.9, h)), rounded(quantile(0.99, h)))
}

// quantile estimates a quantile of a native histogram as PromQL's
// histogram_quantile does: within its bucket exponentially, and linearly in
// the one around zero. It is NaN for a histogram without observations.
func quantile(q float64, h *model.SampleHistogram) float64 {
	total := 0.0
	for _, b := range h.Buckets {
		total += float64(b.Count)
	}
	if total == 0 || math.IsNaN(total) {
		return math.NaN()
	}
	rank := q * total
	for i, b := range h.Buckets {
		if count := float64(b.Count); rank > count && i < len(h.Buckets)-1 {
			rank -= count
			continue
		}
		return interpolate(float64(b.Lower), float64(b.Upper), rank/float64(b.Count))
	}
	return math.NaN()
}

// interpolate is the value a fraction of the way through one bucket.
func interpolate(lower, upper, fraction float64) float64 {
	fraction = min(max(fraction, 0), 1)
	switch {
	case math.IsInf(lower, -1):
		return upper
	case math.IsInf(upper, 1):
		return lower
	case lower > 0:
		return lower * math.Pow(upper/lower, fraction)
	case upper < 0:
		return upper * math.Pow(lower/upper, 1-fraction)
	}
	return lower + (upper-lower)*fraction
}

// cellOf is the value of a sample that is a float or a native histogram.
func cellOf(s *model.Sample) string {
	if s.Histogram != nil {
		return distribution(s.Histogram)
	}
	return number(s.Value)
}
