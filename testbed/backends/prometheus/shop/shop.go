// Package shop computes the metrics of a shop at any time, so that what seed
// writes of the past and what exporter tells of the present is one story:
//
//	shop_requests_total{route}    counter: 10 a second on /cart, 2 on /pay, 5 on /search; back to 0 at each restart
//	shop_latency_seconds{route}   gauge: 0.1 on /cart, 0.3 on /search; on /pay 0.2, and 0.8 since the release
//	shop_queue_length{queue}      gauge: 0 of orders, but 50 for an hour from epoch-48h and for ten minutes from epoch-24h
//	shop_visitors                 gauge: 100 + 10 * hour of the day in UTC
//	shop_build_info{version}      1; version is 1.4.0, and 1.5.0 since the release
//	shop_response_seconds         native histogram, from epoch-48h: 10 a second, of which 6 in (0.5, 1], 3 in (1, 2], 1 in (2, 4]; 12 seconds a second
//
// The shop opened at epoch-95d and restarted at epoch-60d, -30d and -12h. The
// release was at epoch-6h. The epoch is a full hour that exporter and seed are
// told.
package shop

import "time"

const day = 24 * time.Hour

// Past is how long before the epoch the shop opened.
const Past = 95 * day

// restarts are when the counters began again, as ages at the epoch, oldest first.
var restarts = []time.Duration{Past, 60 * day, 30 * day, 12 * time.Hour}

const (
	release      = 6 * time.Hour
	responsePast = 48 * time.Hour
)

// Sample is one series' value.
type Sample struct {
	Name, Help   string
	Label, Value string // may be empty
	Number       float64
	Counter      bool
}

// Histogram is shop_response_seconds. Bucket i of schema 0 ends at 2^i.
type Histogram struct {
	Count   uint64
	Sum     float64
	Buckets [3]uint64 // 0, 1 and 2
}

// At returns the samples of one moment.
func At(epoch, t time.Time) []Sample {
	age := epoch.Sub(t)
	var up time.Duration
	for _, restart := range restarts {
		if age <= restart {
			up = restart - age
		}
	}
	pay, version := 0.2, "1.4.0"
	if age <= release {
		pay, version = 0.8, "1.5.0"
	}
	queue := 0.0
	if age <= 48*time.Hour && age > 47*time.Hour || age <= 24*time.Hour && age > 24*time.Hour-10*time.Minute {
		queue = 50
	}
	requests := func(route string, rate float64) Sample {
		return Sample{"shop_requests_total", "Requests answered.", "route", route, rate * up.Seconds(), true}
	}
	latency := func(route string, seconds float64) Sample {
		return Sample{"shop_latency_seconds", "How long a request takes now.", "route", route, seconds, false}
	}
	return []Sample{
		requests("/cart", 10), requests("/pay", 2), requests("/search", 5),
		latency("/cart", 0.1), latency("/pay", pay), latency("/search", 0.3),
		{"shop_queue_length", "Entries that wait.", "queue", "orders", queue, false},
		{"shop_visitors", "People in the shop.", "", "", 100 + 10*float64(t.UTC().Hour()), false},
		{"shop_build_info", "What runs.", "version", version, 1, false},
	}
}

// ResponsesAt returns the native histogram of one moment, if it was there.
func ResponsesAt(epoch, t time.Time) (h Histogram, ok bool) {
	age := epoch.Sub(t)
	if age > responsePast {
		return h, false
	}
	n := uint64((responsePast - age) / time.Second)
	return Histogram{Count: 10 * n, Sum: float64(12 * n), Buckets: [3]uint64{6 * n, 3 * n, n}}, true
}
