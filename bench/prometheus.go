package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/toolcrib/toolcrib/testbed/monitoring"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// maxAnswerBytes and maxResident are the bars of answers to anything.
const (
	maxAnswerBytes = 24 << 10
	maxResident    = 100e6
)

// Prometheus measures prometheus-mcp beside raw requests and what the official
// server would answer, on a Prometheus with a past of 95 days and 20,000 series
// of one metric.
func Prometheus(ctx context.Context, w io.Writer, o Options) error {
	stack, err := monitoring.Start(ctx, monitoring.Options{History: true, Progress: o.Progress})
	if err != nil {
		return err
	}
	defer stack.Stop()
	m, err := newMonitor(stack.Prometheus)
	if err != nil {
		return err
	}
	if err := fillQueue(ctx, stack, m); err != nil {
		return err
	}
	start := func() (*server, error) {
		return startServer(ctx, o.program("prometheus-mcp"), "--prometheus-url", stack.Prometheus, "--alertmanager-url", stack.Alertmanager)
	}
	srv, err := start()
	if err != nil {
		return err
	}
	defer srv.stop()
	if err := askPrometheus(ctx, w, o, srv, m); err != nil {
		return err
	}
	if err := extremes(ctx, w, start); err != nil {
		return err
	}
	return footprint(ctx, w, srv, o.Rounds, contender{"one raw HTTP request on a new connection", func(ctx context.Context) (int, error) {
		m.client.CloseIdleConnections()
		return m.get(ctx, "query?query=1")
	}})
}

// fillQueue makes QueueFull fire.
func fillQueue(ctx context.Context, stack *monitoring.Stack, m *monitor) error {
	if err := stack.Set(ctx, "testbed_queue_length", 250, "queue", "orders"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return proc.Until(ctx, "QueueFull to fire", 200*time.Millisecond, func(ctx context.Context) (bool, error) {
		alerts, err := m.api.Alerts(ctx)
		for _, a := range alerts.Alerts {
			if a.Labels["alertname"] == "QueueFull" && a.State == "firing" {
				return true, nil
			}
		}
		return false, err
	})
}

func askPrometheus(ctx context.Context, w io.Writer, o Options, srv *server, m *monitor) error {
	alone, err := startProtocol(ctx)
	if err != nil {
		return err
	}
	defer alone.stop()
	var all []comparison
	for _, q := range monitoringQuestions {
		c, err := compare(ctx, srv, o.Rounds, q.question, m.answers(q.official), alone.contender(), m.raw(q.official))
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	fmt.Fprintf(w, "\n## prometheus\n\nOn one Prometheus with a past of 95 days and one metric of 20,000 series. The peer is the official prometheus-mcp, as [decision 014](decisions/014-a-stand-in-for-the-official-server.md) says: its calls and its bytes, without its process. Raw HTTP is the same requests with nothing done to what comes back. Every answer, ours and the peer's, was found to hold every fact asked for.\n\n### %d questions, %d rounds side by side\n", len(all), o.Rounds)
	write(w, all, bars{bytes: 0.5, time: 1.3})
	lessProtocol := each(all, func(c comparison) float64 {
		own := c.results[0].p50 - c.results[len(c.results)-2].p50
		return float64(own) / float64(c.results[len(c.results)-1].p50)
	})
	fmt.Fprintf(w, "\nRaw HTTP has one hop, a call through any MCP server two. Less what MCP alone takes, the median of the ratios of time is %.2f, and %d of %d questions are within the bar.\n",
		quantile(lessProtocol, 50), count(lessProtocol, 1.3), len(all))
	return nil
}

// extremes asks what could fill the memory of a server, each of a new one.
func extremes(ctx context.Context, w io.Writer, start func() (*server, error)) error {
	fmt.Fprintf(w, "\n### Large questions\n\n| | bytes, text and structured (bar: %d) | MB resident at peak (bar: %.0f) | time | |\n|---|---|---|---|---|\n", maxAnswerBytes, maxResident/1e6)
	for _, q := range []question{
		{text: "a metric of 20,000 series", tool: "prometheus_query", args: args{"query": "testbed_session_seconds"}},
		{text: "the same over an hour", tool: "prometheus_query_range", args: args{"query": "testbed_session_seconds"}},
		{text: "90 days of everything the shop has", tool: "prometheus_query_range", args: args{"query": `{job="shop"}`, "start": "90d"}},
		{text: "a regex over everything", tool: "prometheus_query", args: args{"query": `{__name__=~".+"}`}},
		{text: "a regex over everything, over 90 days", tool: "prometheus_query_range", args: args{"query": `{__name__=~".+"}`, "start": "90d"}},
		{text: "all series", tool: "prometheus_series", args: args{"match": []string{`{__name__=~".+"}`}}},
		{text: "all values of a label with 20,000", tool: "prometheus_label_values", args: args{"label": "user"}},
	} {
		if err := extreme(ctx, w, q, start); err != nil {
			return err
		}
	}
	return nil
}

func extreme(ctx context.Context, w io.Writer, q question, start func() (*server, error)) error {
	srv, err := start()
	if err != nil {
		return err
	}
	defer srv.stop()
	began := time.Now()
	a, err := srv.ask(ctx, q.tool, q.args)
	if err != nil {
		return fmt.Errorf("%s: %w", q.text, err)
	}
	took := time.Since(began)
	_, peak, err := srv.Memory()
	if err != nil {
		return err
	}
	verdict := "reached"
	if a.whole() > maxAnswerBytes || peak > maxResident {
		verdict = "**missed**"
	}
	fmt.Fprintf(w, "| %s | %d | %.1f | %.0f ms | %s |\n", q.text, a.whole(), float64(peak)/1e6, ms(took), verdict)
	return nil
}
