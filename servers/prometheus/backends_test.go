package prometheus

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

func TestAnOrdinaryQueryIsOneRequest(t *testing.T) {
	g := newGateway(t, everything)
	g.Start()
	s := serve(t, g.backend(""), mcpkit.AccessRead, nil)
	for _, expr := range []string{"up", "sum by (job) (rate(prometheus_http_requests_total[5m]))", `shop_latency_seconds{route="/pay"} > 0.1`, "1 + 1"} {
		s.Call("prometheus_query", map[string]any{"query": expr})
		require.Len(t, g.requests(), 1, expr)
		s.Call("prometheus_query_range", map[string]any{"query": expr, "start": "90d"})
		require.Len(t, g.requests(), 1, expr)
	}
	s.Call("prometheus_query", map[string]any{"query": "up"})
	asked := g.requests()[0]
	require.Equal(t, "101", asked.form.Get("limit"))
	require.Equal(t, "30s", asked.form.Get("timeout"))
	require.Regexp(t, `^prometheus-mcp/test call/\w+$`, asked.header.Get("User-Agent"))
}

// Thanos and Mimir serve the query API and less of the rest, and may ignore
// the limit parameter.
func TestAnotherQueryEndpoint(t *testing.T) {
	t.Parallel()
	g := newGateway(t, lacks("/api/v1/metadata", "/api/v1/format_query", "/api/v1/status"))
	g.Start()
	s := serve(t, g.backend(""), mcpkit.AccessRead, nil)
	require.Len(t, ask(t, s, "up").Series.Rows, 7)
	out := ask(t, s, "testbed_session_seconds", "limit", 2)
	require.Len(t, out.Series.Rows, 2)
	require.Equal(t, 20000, out.Total)
	ranged := askRange(t, s, "testbed_session_seconds", "limit", 2)
	require.Len(t, ranged.Series.Rows, 2)
	require.Equal(t, 20000, ranged.Total)

	var listed SeriesOut
	s.Call("prometheus_series", map[string]any{"match": []string{"testbed_session_seconds", "up"}, "limit": 2}).Into(t, &listed)
	require.Len(t, listed.Series.Rows, 2)
	require.Equal(t, 20007, listed.Total)
	var page Page
	s.Call("prometheus_label_values", map[string]any{"label": "route", "match": []string{"shop_latency_seconds"}}).Into(t, &page)
	require.Equal(t, [][]string{{"/cart"}, {"/pay"}, {"/search"}}, page.Rows)
	s.Call("prometheus_metric_metadata", map[string]any{"search": "shop_visitors"}).Into(t, &page)
	require.Equal(t, [][]string{{"shop_visitors", "", "", ""}}, page.Rows)
	require.Equal(t, []string{"this backend has no metadata, so type and help are not known"}, page.Notes)
	explained := explain(t, s, "rate(shop_requests_total[5m])")
	require.Equal(t, "3", explained.Selectors.Rows[0][1])

	none := newGateway(t, lacks("/api/v1/labels"))
	none.Start()
	requireRefused(t, serve(t, none.backend(""), mcpkit.AccessRead, nil), "prometheus_label_names", nil, "not_found: this backend has no such endpoint, so it cannot list label names")
}

func TestABackendThatGivesUpIsExplained(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(w http.ResponseWriter, _ *http.Request, form url.Values) bool {
		if q := form.Get("query"); q != "sum(testbed_session_seconds)" && q != "count_over_time(vector(1)[60d:100ms])" {
			return true
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}`)
		return false
	})
	g.Start()
	s := serve(t, g.backend(""), mcpkit.AccessRead, nil)
	out := ask(t, s, "sum(testbed_session_seconds)")
	require.Contains(t, out.Notes[0], "Prometheus gave up on it (execution: query processing would load too many samples")
	require.Equal(t, "testbed_session_seconds: 20000 series, up to 1 samples of each", out.Notes[1])
	require.Equal(t, []string{`testbed_session_seconds{shard="shard-00"}: one of 20 values of shard`}, out.Instead)
	require.Contains(t, askRange(t, s, "sum(testbed_session_seconds)").Notes[0], "Prometheus gave up on it")
	out = ask(t, s, "count_over_time(vector(1)[60d:100ms])") // reads no series at all
	require.Equal(t, []string{"Prometheus gave up on it (execution: query processing would load too many samples into memory in query execution)"}, out.Notes)
	require.Equal(t, []string{"count_over_time(vector(1)[1d:100ms]): windows of 1d at most"}, out.Instead)
}

func TestCancellingACallCancelsTheRequest(t *testing.T) {
	reached, gone := make(chan struct{}), make(chan struct{})
	g := newGateway(t, func(_ http.ResponseWriter, r *http.Request, _ url.Values) bool {
		close(reached)
		<-r.Context().Done()
		close(gone)
		return false
	})
	g.Start()
	s := serve(t, g.backend(""), mcpkit.AccessRead, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	_, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "prometheus_query", Arguments: map[string]any{"query": "up"}})
	require.ErrorIs(t, err, context.Canceled)
	select {
	case <-gone:
	case <-time.After(time.Minute):
		require.Fail(t, "the request goes on")
	}
}

// deaf is an address where connections are never accepted: its queue is full.
func deaf(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	first, err := net.Dial("tcp", address) // which is all that the queue takes
	require.NoError(t, err)
	t.Cleanup(func() { _ = first.Close() })
	for range 8 {
		c, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	require.Fail(t, "the queue does not fill")
	return ""
}

func TestABlackHoleHoldsUpNothingButTheCall(t *testing.T) {
	t.Parallel()
	b := New(Config{Prometheus: Endpoint{URL: "http://" + deaf(t)}})
	var s *mcptest.Session
	requireNoDial(t, func() {
		s = serve(t, b, mcpkit.AccessRead, nil)
		_, err := s.ListTools(t.Context(), nil)
		require.NoError(t, err)
	})
	requireRefused(t, s, "prometheus_query", map[string]any{"query": "up"}, "unavailable: cannot evaluate the query: Prometheus cannot be reached (")
}

// requireNoDial holds f to reach for no black hole, which takes the dial's time
// whenever it is tried, while a busy machine is not always that slow.
func requireNoDial(t *testing.T, f func()) {
	t.Helper()
	for range 5 {
		began := time.Now()
		if f(); time.Since(began) < dialTimeout {
			return
		}
	}
	require.Fail(t, "it waits for the black hole")
}

func TestNoBackend(t *testing.T) {
	for address, want := range map[string]string{
		"":                   "unavailable: no Prometheus is configured; start the server with --prometheus-url",
		"http://127.0.0.1:1": "unavailable: cannot evaluate the query: Prometheus cannot be reached (connect: connection refused)",
		"prometheus:9090":    "unavailable: --prometheus-url is not a URL such as http://prometheus.monitoring:9090",
	} {
		s := serve(t, New(Config{Prometheus: Endpoint{URL: address}}), mcpkit.AccessRead, nil)
		requireRefused(t, s, "prometheus_query", map[string]any{"query": "up"}, want)
		var out ExplainQueryOut
		if address == "" {
			s.Call("prometheus_explain_query", map[string]any{"query": "up==1"}).Into(t, &out)
			require.Equal(t, "up == 1", out.Formatted)
			require.True(t, strings.HasPrefix(out.Notes[0], "series not counted: "), out.Notes)
		}
	}
}
