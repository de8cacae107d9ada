package main

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// steady holds the series that only time moves. With n the tenths of a second
// since the exporter started:
//
//	testbed_ticks_total                     counter: seconds since the last full minute, so it resets with each
//	testbed_request_duration_seconds        histogram, n observations: half up to 0.1, nine tenths up to 0.5, all up to 1; sum n/5;
//	                                        exemplar trace_id="slow-1" with value 0.7
//	testbed_response_size_bytes             native histogram of schema 0, 10n observations: 6n in (0.5, 1], 3n in (1, 2], n in (2, 4]; sum 12n;
//	                                        exemplar trace_id="large-1" with value 3
//	testbed_special_value{kind}             gauge: NaN of nan, +Inf of positive_infinity, -Inf of negative_infinity
//	testbed_build_info{version, commit}     1, of version 1.2.3 and commit abc123
type steady struct {
	started                              time.Time
	ticks, duration, size, special, info *prometheus.Desc
}

func newSteady() *steady {
	desc := func(name, unit, help string, labels ...string) *prometheus.Desc {
		return prometheus.V2.NewDesc(name, help, prometheus.UnconstrainedLabels(labels), nil, prometheus.WithUnit(unit))
	}
	return &steady{
		started:  time.Now(),
		ticks:    desc("testbed_ticks_total", "", "Seconds since the last full minute. It resets with each."),
		duration: desc("testbed_request_duration_seconds", "seconds", "How long requests took."),
		size:     desc("testbed_response_size_bytes", "bytes", "How large answers were."),
		special:  desc("testbed_special_value", "", "Values that are no numbers.", "kind"),
		info:     desc("testbed_build_info", "", "What was built.", "version", "commit"),
	}
}

// Describe implements prometheus.Collector.
func (s *steady) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.ticks, s.duration, s.size, s.special, s.info} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *steady) Collect(to chan<- prometheus.Metric) {
	now := time.Now()
	n := uint64(now.Sub(s.started) / (100 * time.Millisecond))
	to <- prometheus.MustNewConstMetric(s.ticks, prometheus.CounterValue, float64(now.Unix()%60))
	duration := prometheus.MustNewConstHistogram(s.duration, n, float64(n)/5, map[float64]uint64{0.1: n / 2, 0.5: n * 9 / 10, 1: n})
	to <- prometheus.MustNewMetricWithExemplars(duration, exemplar(0.7, "slow-1", now))
	size, err := prometheus.NewConstNativeHistogram(s.size, 10*n, float64(12*n), nativeBuckets(6*n, 3*n, n), nil, 0, 0, 0, s.started)
	if err != nil {
		to <- prometheus.NewInvalidMetric(s.size, err)
	} else {
		to <- prometheus.MustNewMetricWithExemplars(size, exemplar(3, "large-1", now))
	}
	for kind, value := range map[string]float64{"nan": math.NaN(), "positive_infinity": math.Inf(1), "negative_infinity": math.Inf(-1)} {
		to <- prometheus.MustNewConstMetric(s.special, prometheus.GaugeValue, value, kind)
	}
	to <- prometheus.MustNewConstMetric(s.info, prometheus.GaugeValue, 1, "1.2.3", "abc123")
}

func exemplar(value float64, trace string, at time.Time) prometheus.Exemplar {
	return prometheus.Exemplar{Value: value, Labels: prometheus.Labels{"trace_id": trace}, Timestamp: at}
}

// nativeBuckets are the first of schema 0 from (0.5, 1] up.
func nativeBuckets(counts ...uint64) map[int]int64 {
	buckets := map[int]int64{}
	for i, count := range counts {
		buckets[i] = int64(count)
	}
	return buckets
}
