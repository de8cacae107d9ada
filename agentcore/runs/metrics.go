package runs

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Metrics count what an agent does. Nil counts nothing.
type Metrics struct {
	runs    *prometheus.CounterVec
	pending prometheus.Gauge
	turns   *prometheus.CounterVec
	tokens  *prometheus.CounterVec
	cost    prometheus.Counter
	seconds prometheus.Histogram
	first   prometheus.Histogram
	calls   *prometheus.CounterVec
	took    prometheus.Histogram
}

// NewMetrics registers metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	long := []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320}
	m := &Metrics{
		runs:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "agent_runs_total", Help: "Runs that are over, by the phase they ended in."}, []string{"phase"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{Name: "agent_runs_elsewhere", Help: "Runs that are not over and that this process does not work on."}),
		turns:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "agent_model_requests_total", Help: "Answers asked of the model, by verdict: ok, or the kind of error."}, []string{"verdict"}),
		tokens:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "agent_model_tokens_total", Help: "Tokens that the model read and wrote."}, []string{"kind"}),
		cost:    prometheus.NewCounter(prometheus.CounterOpts{Name: "agent_model_cost_usd_total", Help: "What the model cost in US dollars, if its price is known."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "agent_model_duration_seconds", Help: "How long the model took for an answer, retries included.", Buckets: long}),
		first:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "agent_model_first_words_seconds", Help: "How long it took until the model's first words.", Buckets: long}),
		calls:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "agent_tool_calls_total", Help: "Tool calls by verdict: ok, error or unsure."}, []string{"tool", "verdict"}),
		took:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "agent_tool_call_duration_seconds", Help: "How long tool calls took.", Buckets: prometheus.DefBuckets}),
	}
	r.MustRegister(m.runs, m.pending, m.turns, m.tokens, m.cost, m.seconds, m.first, m.calls, m.took)
	return m
}

func (m *Metrics) waiting(n int) {
	if m != nil {
		m.pending.Set(float64(max(0, n)))
	}
}

func (m *Metrics) ended(phase v1alpha1.RunPhase) {
	if m != nil {
		m.runs.WithLabelValues(string(phase)).Inc()
	}
}

func (m *Metrics) generated(g run.Generated, prices declared.Prices) {
	if m == nil {
		return
	}
	verdict := "ok"
	if known, ok := errors.AsType[*model.Error](g.Err); ok {
		verdict = string(known.Kind)
	} else if g.Err != nil {
		verdict = "cancelled"
	}
	m.turns.WithLabelValues(verdict).Inc()
	for kind, n := range map[string]int64{"input": g.Usage.Input, "output": g.Usage.Output, "cache_read": g.Usage.CacheRead, "cache_write": g.Usage.CacheWrite} {
		m.tokens.WithLabelValues(kind).Add(float64(n))
	}
	if cost, known := prices.Cost(g.Usage); known {
		m.cost.Add(cost)
	}
	m.seconds.Observe(g.Took.Seconds())
	if g.First > 0 {
		m.first.Observe(g.First.Seconds())
	}
}

func (m *Metrics) called(c run.Called) {
	if m == nil {
		return
	}
	verdict := "ok"
	switch {
	case c.Unsure:
		verdict = "unsure"
	case c.Error:
		verdict = "error"
	}
	m.calls.WithLabelValues(c.Call.Tool, verdict).Inc()
	m.took.Observe(c.Took.Seconds())
}
