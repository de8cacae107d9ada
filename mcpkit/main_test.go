package mcpkit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	collectorpb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// program is the shelf's binary.
func program(b *shelf) mcpkit.Program {
	return mcpkit.Program{
		Name:     "shelf-mcp",
		Version:  "v1.2.3",
		Summary:  "Tools for a shelf.",
		Identity: new(mcpkit.Identity),
		Register: func(ts *mcpkit.Toolset) error { b.register(ts); return nil },
	}
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shelf-mcp": func() { mcpkit.Main(program(newShelf())) }})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

// running is a program that runs in this process.
type running struct {
	t         *testing.T
	in        *io.PipeWriter
	out, errs *lines
	stop      context.CancelFunc
	code      chan int
}

func run(t *testing.T, b *shelf, args ...string) *running {
	t.Helper()
	in, feed := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{t, feed, &lines{}, &lines{}, stop, make(chan int, 1)}
	args = append([]string{}, args...) // of no arguments at all cobra would take the test's own
	go func() {
		code := program(b).Run(ctx, args, in, r.out, r.errs)
		in.Close() // whoever writes to a program that has ended is told
		r.code <- code
	}()
	t.Cleanup(func() { stop(); feed.Close() })
	return r
}

func (r *running) send(messages ...string) {
	r.t.Helper()
	for _, m := range messages {
		_, err := io.WriteString(r.in, m+"\n")
		require.NoError(r.t, err, r.errs)
	}
}

// hello begins a session of an older client that can ask a person.
func (r *running) hello() {
	r.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

func call(id int, tool, args string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, id, tool, args)
}

// requireProtocolOnly holds standard output to what it is for.
func (r *running) requireProtocolOnly() {
	r.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(r.out.String()), "\n") {
		var m struct{ JSONRPC string }
		require.NoError(r.t, json.Unmarshal([]byte(line), &m), line)
		require.Equal(r.t, "2.0", m.JSONRPC)
	}
}

func TestStdioAnswersWhatIsInFlightWhenItsInputEnds(t *testing.T) {
	b := newShelf()
	r := run(t, b)
	r.hello()
	r.send(call(2, "shelf_wait_item", `{"name":"saw"}`), call(3, "shelf_wait_item", `{"name":"hammer"}`))
	take(t, b.entered)
	take(t, b.entered)
	r.in.Close()
	close(b.release)
	require.Zero(t, take(t, r.code), r.errs)
	require.Contains(t, r.out.String(), `"id":2,"result":{"content":[{"type":"text","text":"name: saw\nlabel: waited"}]`)
	require.Contains(t, r.out.String(), `"id":3,"result":{"content":[{"type":"text","text":"name: hammer\nlabel: waited"}]`)
	r.requireProtocolOnly()
}

func TestStdioAnswersWhatIsInFlightWhenToldToStop(t *testing.T) {
	b := newShelf()
	r := run(t, b)
	r.hello()
	r.send(call(2, "shelf_wait_item", `{"name":"saw"}`))
	take(t, b.entered)
	r.stop()
	r.errs.wait(t, "(shutting down)")
	r.send(call(3, "shelf_get_item", `{"name":"saw"}`))
	r.out.wait(t, `("id":3,"error":\{"code":-32603,"message":"the server is shutting down"\})`)
	close(b.release)
	require.Zero(t, take(t, r.code), r.errs)
	require.Contains(t, r.out.String(), `"id":2,"result":`)
	r.requireProtocolOnly()
}

func TestStdioGivesUpOnCallsThatOutlastTheShutdown(t *testing.T) {
	b := newShelf()
	r := run(t, b, "--shutdown-timeout=30ms")
	r.hello()
	r.send(call(2, "shelf_wait_item", `{"name":"saw"}`))
	take(t, b.entered)
	r.stop()
	require.Zero(t, take(t, r.code), r.errs)
	require.ErrorIs(t, take(t, b.ended), context.Canceled)
	r.errs.wait(t, `("verdict":"unavailable")`)
}

func TestStdioDoesNotWaitForAPersonWhoHasLeft(t *testing.T) {
	r := run(t, newShelf(), "--access=write", "--shutdown-timeout=1h")
	r.hello()
	r.send(call(2, "shelf_label_item", `{"name":"saw","label":"green"}`))
	r.out.wait(t, `("method":"elicitation/create")`)
	r.in.Close()
	require.Zero(t, take(t, r.code), r.errs)
}

func TestStdioSpeaksTheCurrentProtocol(t *testing.T) {
	r := run(t, newShelf())
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}},"name":"shelf_get_item","arguments":{"name":"saw"}}}`)
	r.out.wait(t, `(label: blue)`)
	r.in.Close()
	require.Zero(t, take(t, r.code), r.errs)
}

func TestStdioRefusesLinesThatAreTooLong(t *testing.T) {
	r := run(t, newShelf(), "--max-request-bytes=1000")
	r.hello()
	go io.WriteString(r.in, call(2, "shelf_get_item", `{"name":"`+strings.Repeat("x", 5000)+`"}`)+"\n")
	require.Equal(t, 1, take(t, r.code))
	require.Contains(t, r.errs.String(), "shelf-mcp: serve stdin: ")
	r.requireProtocolOnly()
}

func TestHTTPFinishesCallsWhenToldToStop(t *testing.T) {
	b := newShelf()
	r := run(t, b, "--http=127.0.0.1:0")
	url := r.errs.wait(t, `msg=listening url=(http://\S+)/mcp`)
	answer := make(chan string, 1)
	go func() {
		resp, err := http.DefaultClient.Do(request(t, url, call(2, "shelf_wait_item", `{"name":"saw"}`), nil))
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	take(t, b.entered)
	r.stop()
	r.errs.wait(t, "(shutting down)")
	b.release <- struct{}{}
	require.Contains(t, take(t, answer), "label: waited")
	require.Zero(t, take(t, r.code))
	_, err := http.Get(url + "/healthz")
	require.Error(t, err, "nobody listens any more")
}

func TestHTTPGivesUpOnCallsThatOutlastTheShutdown(t *testing.T) {
	b := newShelf()
	r := run(t, b, "--http=127.0.0.1:0", "--shutdown-timeout=30ms")
	url := r.errs.wait(t, `msg=listening url=(http://\S+)/mcp`)
	go http.DefaultClient.Do(request(t, url, call(2, "shelf_wait_item", `{"name":"saw"}`), nil))
	take(t, b.entered)
	r.stop()
	require.Zero(t, take(t, r.code))
	require.ErrorIs(t, take(t, b.ended), context.Canceled)
	r.errs.wait(t, `("verdict":"unavailable")`)
}

func TestMetricsCountCalls(t *testing.T) {
	r := run(t, newShelf(), "--http=127.0.0.1:0", "--max-result-bytes=2048")
	metrics := r.errs.wait(t, `msg=metrics url=(http://127\.0\.0\.1:\S+)`)
	url := r.errs.wait(t, `msg=listening url=(http://\S+)/mcp`)
	for _, c := range []string{
		call(1, "shelf_get_item", `{"name":"saw"}`), call(2, "shelf_get_item", `{"name":"saw"}`),
		call(3, "shelf_get_item", `{"name":"axe"}`), call(4, "shelf_list_items", `{}`),
	} {
		text(t, post(t, url, c, nil))
	}
	resp, err := http.Get(metrics)
	require.NoError(t, err)
	defer resp.Body.Close()
	got := text(t, resp)
	for _, line := range []string{
		`mcp_tool_calls_total{tool="shelf_get_item",verdict="ok"} 2`,
		`mcp_tool_calls_total{tool="shelf_get_item",verdict="not_found"} 1`,
		`mcp_tool_call_duration_seconds_count{tool="shelf_get_item",verdict="ok"} 2`,
		`mcp_tool_answer_bytes_bucket{tool="shelf_get_item",le="256"} 3`,
		`mcp_tool_answer_bytes_bucket{tool="shelf_list_items",le="2048"} 1`,
		`mcp_tool_answers_truncated_total{tool="shelf_list_items"} 1`,
		`mcp_tool_calls_in_flight 0`,
	} {
		require.Contains(t, got, line+"\n")
	}
	require.NotContains(t, got, `truncated_total{tool="shelf_get_item"}`)
	resp, err = http.Get(url + "/metrics")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 404, resp.StatusCode, "the port for calls shows no metrics")
}

// collector receives OTLP over HTTP.
type collector struct {
	mu      sync.Mutex
	spans   []*collectorpb.Span
	headers http.Header
	service string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var data collectorpb.TracesData
	if r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &data) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header
	for _, rs := range data.ResourceSpans {
		for _, a := range rs.Resource.Attributes {
			if a.Key == "service.name" {
				c.service = a.Value.GetStringValue()
			}
		}
		for _, ss := range rs.ScopeSpans {
			c.spans = append(c.spans, ss.Spans...)
		}
	}
}

func TestSpansGoWhereTheEnvironmentSaysAndNeverToStdout(t *testing.T) {
	c := &collector{}
	server := httptest.NewServer(c)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL+"/")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, x-tenant=shop")
	r := run(t, newShelf())
	r.hello()
	r.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"_meta":{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},"name":"shelf_get_item","arguments":{"name":"saw"}}}`,
		call(3, "shelf_get_item", `{"name":"axe"}`))
	r.out.wait(t, `(no item)`)
	r.in.Close()
	require.Zero(t, take(t, r.code), r.errs)
	r.requireProtocolOnly()

	require.Equal(t, "shelf-mcp", c.service)
	require.Equal(t, []string{"Bearer abc", "shop"}, []string{c.headers.Get("Authorization"), c.headers.Get("X-Tenant")})
	require.Len(t, c.spans, 2)
	failed := map[bool]*collectorpb.Span{}
	for _, span := range c.spans {
		require.Equal(t, "tools/call shelf_get_item", span.Name)
		failed[span.Status.GetCode() == collectorpb.Status_STATUS_CODE_ERROR] = span
	}
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", fmt.Sprintf("%x", failed[false].TraceId))
	require.Equal(t, "00f067aa0ba902b7", fmt.Sprintf("%x", failed[false].ParentSpanId))
	require.Equal(t, "not_found", failed[true].Status.Message)
	require.Contains(t, r.errs.String(), fmt.Sprintf(`"trace_id":"%x"`, failed[true].TraceId))
}

func TestACollectorThatIsDownHarmsNothing(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	r := run(t, newShelf())
	r.hello()
	r.send(call(2, "shelf_get_item", `{"name":"saw"}`))
	r.out.wait(t, `(label: blue)`)
	r.in.Close()
	require.Zero(t, take(t, r.code))
	r.requireProtocolOnly()
	require.Contains(t, r.errs.String(), "msg=telemetry")
}

func TestTheProcessEndsWithStatusZeroOnSIGTERM(t *testing.T) {
	for _, args := range [][]string{{}, {"--http=127.0.0.1:0"}} {
		cmd := exec.Command("shelf-mcp", args...)
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		defer stdin.Close()
		errs := &lines{}
		cmd.Stderr = errs
		require.NoError(t, cmd.Start())
		errs.wait(t, `(listening|serving)`)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait(), errs)
	}
}

func TestExitCodes(t *testing.T) {
	require.Equal(t, 2, take(t, run(t, newShelf(), "--gate=none").code))
	require.Equal(t, 2, take(t, run(t, newShelf(), "--nope").code))
	first := run(t, newShelf(), "--http=127.0.0.1:0")
	taken := first.errs.wait(t, `msg=listening url=http://(\S+)/mcp`)
	second := run(t, newShelf(), "--http="+taken)
	require.Equal(t, 1, take(t, second.code))
	require.Contains(t, second.errs.String(), "shelf-mcp: --http: listen tcp "+taken+": bind: address already in use")
}

func TestTheKeyFileIsSharedAmongReplicas(t *testing.T) {
	key := t.TempDir() + "/key"
	require.NoError(t, os.WriteFile(key, []byte("a key of enough bytes\n"), 0o600))
	b, p := newShelf(), &person{answer: "accept"}
	var urls []string
	for range 2 {
		r := run(t, b, "--http=127.0.0.1:0", "--access=write", "--key-file="+key)
		urls = append(urls, r.errs.wait(t, `msg=listening url=(http://\S+)/mcp`))
	}
	turn := 0
	url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turn++
		req, _ := http.NewRequestWithContext(r.Context(), r.Method, urls[turn%2]+r.URL.Path, r.Body)
		req.Header = r.Header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.WriteHeader(502)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}))
	s := attach(t, url, "", p.decide)
	require.Equal(t, "name: saw\nlabel: green", s.Call("shelf_label_item", relabel).Text)
}
