package mcpkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Telemetry keeps a server's metrics and sends a span per call. Nil keeps and
// sends nothing.
type Telemetry struct {
	Metrics *prometheus.Registry

	tracer    trace.Tracer
	stop      func(context.Context) error
	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	bytes     *prometheus.HistogramVec
	truncated *prometheus.CounterVec
	inFlight  prometheus.Gauge
}

// NewTelemetry returns a Telemetry whose spans go to exporter, in batches; nil
// for none.
func NewTelemetry(name, version string, exporter sdktrace.SpanExporter) *Telemetry {
	t := &Telemetry{
		Metrics: prometheus.NewRegistry(),
		tracer:  noop.NewTracerProvider().Tracer(""),
		stop:    func(context.Context) error { return nil },
	}
	t.addMetrics()
	if exporter != nil {
		provider := sdktrace.NewTracerProvider(
			sdktrace.WithBatcher(exporter),
			sdktrace.WithResource(describeService(name, version)))
		t.tracer, t.stop = provider.Tracer("github.com/toolcrib/toolcrib/mcpkit"), provider.Shutdown
	}
	return t
}

// Tracer returns what makes the spans of a program that is no tool server, sent
// where the OTEL_ environment variables say, if they do, and what sends those
// that are left. Its error is about the variables.
func Tracer(name, version string, getenv func(string) string) (trace.Tracer, func() error, error) {
	exporter, err := newExporter(getenv)
	if err != nil {
		return nil, nil, err
	}
	t := NewTelemetry(name, version, exporter)
	return t.tracer, t.shutdown, nil
}

// describeService names the process in traces; OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES override it.
func describeService(name, version string) *resource.Resource {
	own := resource.NewSchemaless(attribute.String("service.name", name), attribute.String("service.version", version))
	fromEnv, err := resource.New(context.Background(), resource.WithFromEnv())
	if err != nil {
		return own
	}
	both, err := resource.Merge(own, fromEnv)
	if err != nil {
		return own
	}
	return both
}

func (t *Telemetry) addMetrics() {
	t.calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mcp_tool_calls_total", Help: "Tool calls by verdict: ok, asked, or the kind of error.",
	}, []string{"tool", "verdict"})
	t.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "mcp_tool_call_duration_seconds", Help: "How long tool calls took, waiting for a person apart.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"tool", "verdict"})
	t.bytes = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "mcp_tool_answer_bytes", Help: "Bytes of answers, text and structured result together.",
		Buckets: prometheus.ExponentialBuckets(256, 2, 9), // to 64 KiB
	}, []string{"tool"})
	t.truncated = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mcp_tool_answers_truncated_total", Help: "Answers that were cut to fit the budget.",
	}, []string{"tool"})
	t.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mcp_tool_calls_in_flight", Help: "Tool calls running now.",
	})
	t.Metrics.MustRegister(t.calls, t.seconds, t.bytes, t.truncated, t.inFlight,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// start begins the span of a call, below the one its client names.
func (t *Telemetry) start(ctx context.Context, c *Call) (context.Context, func()) {
	ctx = propagation.TraceContext{}.Extract(ctx, traceCarrier(c.req))
	if t == nil {
		return ctx, func() {}
	}
	t.inFlight.Inc()
	ctx, span := t.tracer.Start(ctx, "tools/call "+c.tool.Name,
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(
			attribute.String("mcp.method.name", "tools/call"),
			attribute.String("gen_ai.tool.name", c.tool.Name),
			attribute.String("toolcrib.call", c.ID)))
	return ctx, func() {
		span.End()
		t.inFlight.Dec()
	}
}

// traceCarrier is where a client puts its trace context (W3C Trace Context): the
// call's _meta, or else the headers of its HTTP request.
func traceCarrier(req *mcp.CallToolRequest) propagation.TextMapCarrier {
	if parent, ok := req.Params.Meta["traceparent"].(string); ok {
		state, _ := req.Params.Meta["tracestate"].(string)
		return propagation.MapCarrier{"traceparent": parent, "tracestate": state}
	}
	if req.Extra != nil && req.Extra.Header != nil {
		return propagation.HeaderCarrier(req.Extra.Header)
	}
	return propagation.MapCarrier{}
}

// traceID is the id of the trace ctx belongs to, empty when there is none.
func traceID(ctx context.Context) string {
	if s := trace.SpanContextFromContext(ctx); s.HasTraceID() {
		return s.TraceID().String()
	}
	return ""
}

// observe counts a call that has ended.
func (t *Telemetry) observe(ctx context.Context, e entry) {
	if t == nil {
		return
	}
	t.calls.WithLabelValues(e.Tool, e.Verdict).Inc()
	t.seconds.WithLabelValues(e.Tool, e.Verdict).Observe(e.DurationMS / 1000)
	t.bytes.WithLabelValues(e.Tool).Observe(float64(e.Bytes))
	if e.Truncated {
		t.truncated.WithLabelValues(e.Tool).Inc()
	}
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(
		attribute.String("toolcrib.verdict", e.Verdict),
		attribute.String("toolcrib.agent", e.Agent),
		attribute.String("toolcrib.run", e.Run),
		attribute.Int("toolcrib.answer_bytes", e.Bytes))
	if e.failed() {
		span.SetAttributes(attribute.String("error.type", e.Verdict))
		span.SetStatus(codes.Error, e.Verdict)
	}
}

// shutdown sends the spans that are left.
func (t *Telemetry) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return t.stop(ctx)
}

// serveMetrics serves the metrics on a port of their own, so that who may call
// tools and who may scrape are separate questions. The returned function ends it.
func (s *Server) serveMetrics(address string) (func(), error) {
	if s.Telemetry == nil {
		return func() {}, nil
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(s.Telemetry.Metrics, promhttp.HandlerOpts{}))
	server := newHTTPServer(mux, s.Logger)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.Logger.Error("metrics are no longer served", "error", err)
		}
	}()
	s.Logger.Info("metrics", "url", fmt.Sprintf("http://%s/metrics", listener.Addr()))
	return func() { server.Close() }, nil
}
