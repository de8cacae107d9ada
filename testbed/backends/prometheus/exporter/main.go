// Command exporter is what the testbed's Prometheus scrapes: series whose
// values can be told beforehand, and gauges that a test sets. It also takes
// Alertmanager's notifications and keeps them, so that a test sees who was
// told what.
//
// At the metrics address are
//
//	/metrics    the series of [steady], and the gauges
//	/shop       the shop of today; see package shop
//	/sessions   20,000 series; see package shop
//	/broken     an error
//
// and at the control address
//
//	/gauges           PUT and DELETE [gauge] as JSON
//	/notify/RECEIVER  takes a notification
//	/notifications    those taken so far, as JSON
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/toolcrib/toolcrib/testbed/backends/prometheus/shop"
)

func main() {
	metrics := flag.String("metrics", "", "`address` of the metrics")
	control := flag.String("control", "", "`address` of the control")
	epoch := flag.Int64("epoch", 0, "the full hour that the shop's times are told from, in Unix `seconds`")
	flag.Parse()
	g := newGauges()
	failed := make(chan error)
	go func() { failed <- http.ListenAndServe(*metrics, metricsHandler(g, time.Unix(*epoch, 0))) }()
	go func() { failed <- http.ListenAndServe(*control, controlHandler(g, &inbox{})) }()
	slog.Error("exporter", "error", <-failed)
	os.Exit(1)
}

func metricsHandler(g *gauges, epoch time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", handler(newSteady(), g))
	mux.Handle("/shop", handler(shopCollector{epoch}))
	sessions := sessionsText()
	mux.HandleFunc("/sessions", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write(sessions) // a scraper that is gone needs none
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "broken on purpose", http.StatusInternalServerError)
	})
	return mux
}

func handler(collectors ...prometheus.Collector) http.Handler {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(collectors...)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// sessionsText is made once: it never changes.
func sessionsText() []byte {
	var b strings.Builder
	b.WriteString("# HELP testbed_session_seconds One series per user, far too many.\n# TYPE testbed_session_seconds gauge\n")
	for i := range shop.Sessions {
		user, shard := shop.Session(i)
		fmt.Fprintf(&b, "testbed_session_seconds{shard=%q,user=%q} %d\n", shard, user, i)
	}
	return []byte(b.String())
}
