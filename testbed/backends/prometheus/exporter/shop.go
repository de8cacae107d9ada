package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/toolcrib/toolcrib/testbed/backends/prometheus/shop"
)

// shopCollector tells of the shop as it is now.
type shopCollector struct{ epoch time.Time }

// Describe implements prometheus.Collector; what there is changes.
func (shopCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c shopCollector) Collect(to chan<- prometheus.Metric) {
	now := time.Now()
	for _, s := range shop.At(c.epoch, now) {
		kind := prometheus.GaugeValue
		if s.Counter {
			kind = prometheus.CounterValue
		}
		var labels prometheus.Labels
		if s.Label != "" {
			labels = prometheus.Labels{s.Label: s.Value}
		}
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc(s.Name, s.Help, nil, labels), kind, s.Number)
	}
	r, ok := shop.ResponsesAt(c.epoch, now)
	if !ok {
		return
	}
	desc := prometheus.NewDesc("shop_response_seconds", "How long the shop took to answer.", nil, nil)
	buckets := nativeBuckets(r.Buckets[0], r.Buckets[1], r.Buckets[2])
	m, err := prometheus.NewConstNativeHistogram(desc, r.Count, r.Sum, buckets, nil, 0, 0, 0, c.epoch)
	if err != nil {
		m = prometheus.NewInvalidMetric(desc, err)
	}
	to <- m
}
