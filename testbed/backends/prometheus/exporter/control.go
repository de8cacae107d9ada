package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gauge is one series that a test sets. Value is text, for NaN and infinity.
type gauge struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
}

func (g gauge) key() string { return g.Name + fmt.Sprint(g.Labels) } // maps print in order

// gauges are those there are now: at first testbed_queue_length of the queues
// billing, mail and orders, each 0.
type gauges struct {
	mu  sync.Mutex
	set map[string]prometheus.Metric
}

func newGauges() *gauges {
	g := &gauges{set: map[string]prometheus.Metric{}}
	for _, queue := range []string{"billing", "mail", "orders"} {
		_ = g.put(gauge{"testbed_queue_length", map[string]string{"queue": queue}, "0"}) // it is well formed
	}
	return g
}

// Describe implements prometheus.Collector; what there is changes.
func (g *gauges) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(g.set)) {
		to <- g.set[key]
	}
}

func (g *gauges) put(s gauge) error {
	value, err := strconv.ParseFloat(s.Value, 64)
	if err != nil {
		return err
	}
	m, err := prometheus.NewConstMetric(prometheus.NewDesc(s.Name, "Set by a test.", nil, s.Labels), prometheus.GaugeValue, value)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.set[s.key()] = m
	return nil
}

func (g *gauges) remove(s gauge) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.set[s.key()]; !ok {
		return fmt.Errorf("no gauge %s", s.key())
	}
	delete(g.set, s.key())
	return nil
}

// notification is what Alertmanager sent to a receiver.
type notification struct {
	Receiver      string          `json:"receiver"`
	Time          time.Time       `json:"time"`
	Authorization string          `json:"authorization"` // header, as sent
	Message       json.RawMessage `json:"message"`
}

// inbox keeps all notifications.
type inbox struct {
	mu   sync.Mutex
	kept []notification
}

func (i *inbox) add(n notification) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kept = append(i.kept, n)
}

func (i *inbox) all() []notification {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]notification{}, i.kept...)
}

func controlHandler(g *gauges, in *inbox) http.Handler {
	mux := http.NewServeMux()
	change := func(do func(gauge) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var s gauge
			err := json.NewDecoder(r.Body).Decode(&s)
			if err == nil {
				err = do(s)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		}
	}
	mux.HandleFunc("PUT /gauges", change(g.put))
	mux.HandleFunc("DELETE /gauges", change(g.remove))
	mux.HandleFunc("POST /notify/{receiver}", func(w http.ResponseWriter, r *http.Request) {
		n := notification{Receiver: r.PathValue("receiver"), Time: time.Now(), Authorization: r.Header.Get("Authorization")}
		if err := json.NewDecoder(r.Body).Decode(&n.Message); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in.add(n)
	})
	mux.HandleFunc("GET /notifications", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(in.all()) // a reader that is gone needs none
	})
	return mux
}
