package mcpkit_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// versions of the protocol, newest first; the first needs no session.
var versions = []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"}

func handler(t *testing.T, b *shelf, o mcpkit.Options, h mcpkit.HTTPOptions) *mcpkit.Handler {
	t.Helper()
	out, err := mcpkit.NewServer(b.toolset(), o).HTTP(h)
	require.NoError(t, err)
	return out
}

func start(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func attach(t *testing.T, url, version string, decide mcptest.Decide) *mcptest.Session {
	t.Helper()
	return mcptest.Attach(t, &mcp.StreamableClientTransport{Endpoint: url + "/mcp", MaxRetries: -1}, version, decide)
}

func TestHTTPServesEveryVersion(t *testing.T) {
	for _, access := range []mcpkit.Access{mcpkit.AccessRead, mcpkit.AccessAll} {
		url := start(t, handler(t, newShelf(), mcpkit.Options{Access: access}, mcpkit.HTTPOptions{}))
		for _, version := range versions {
			s := attach(t, url, version, nil)
			require.Equal(t, version, s.InitializeResult().ProtocolVersion)
			require.Equal(t, "name: saw\nlabel: blue", s.Call("shelf_get_item", map[string]any{"name": "saw"}).Text)
		}
	}
}

func TestHTTPAsksInEveryVersion(t *testing.T) {
	for _, version := range versions[:3] { // elicitation came with 2025-06-18
		b, p := newShelf(), &person{answer: "accept"}
		s := attach(t, start(t, handler(t, b, mcpkit.Options{Access: mcpkit.AccessWrite}, mcpkit.HTTPOptions{})), version, p.decide)
		require.Equal(t, "name: saw\nlabel: green", s.Call("shelf_label_item", relabel).Text, version)
		require.Len(t, p.asked, 1)
	}
}

func TestAnyReplicaFinishesACall(t *testing.T) {
	b, p := newShelf(), &person{answer: "accept"}
	o := mcpkit.Options{Access: mcpkit.AccessWrite, Key: []byte("a key of enough bytes")}
	replicas := []http.Handler{handler(t, b, o, mcpkit.HTTPOptions{}), handler(t, b, o, mcpkit.HTTPOptions{})}
	var served [2]atomic.Int32
	var turn atomic.Int32
	url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := turn.Add(1) % 2
		if r.Header.Get("Mcp-Method") == "tools/call" {
			served[i].Add(1)
		}
		replicas[i].ServeHTTP(w, r)
	}))
	s := attach(t, url, "", p.decide)
	require.Equal(t, "name: saw\nlabel: green", s.Call("shelf_label_item", relabel).Text)
	require.Equal(t, []int32{1, 1}, []int32{served[0].Load(), served[1].Load()})
}

func TestSessionsExistOnlyWhereAQuestionNeedsThem(t *testing.T) {
	initialize := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
	for o, want := range map[*mcpkit.Options]bool{
		{Access: mcpkit.AccessRead}:                        false,
		{Access: mcpkit.AccessWrite}:                       true,
		{Access: mcpkit.AccessAll}:                         true,
		{Access: mcpkit.AccessWrite, Gate: mcpkit.GateOff}: false,
	} {
		resp := post(t, start(t, handler(t, newShelf(), *o, mcpkit.HTTPOptions{})), initialize, nil)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, want, resp.Header.Get("Mcp-Session-Id") != "", "%+v", *o)
	}
}

// request is body as an MCP client would send it, but for the headers given.
func request(t *testing.T, url, body string, headers map[string]string) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Error(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for k, v := range headers {
		if k == "Host" {
			req.Host = v
		}
		req.Header.Set(k, v)
	}
	return req
}

func post(t *testing.T, url, body string, headers map[string]string) *http.Response {
	t.Helper()
	resp, err := http.DefaultClient.Do(request(t, url, body, headers))
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b)
}

const getSaw = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shelf_get_item","arguments":{"name":"saw"}}}`

func TestHostAndOriginAreChecked(t *testing.T) {
	url := start(t, handler(t, newShelf(), mcpkit.Options{}, mcpkit.HTTPOptions{
		AllowedHosts: []string{"tools.example.com"}, AllowedOrigins: []string{"https://inspector.example.com"},
	}))
	for _, c := range []struct {
		headers map[string]string
		status  int
	}{
		{nil, 200},
		{map[string]string{"Host": "localhost:1234"}, 200},
		{map[string]string{"Host": "[::1]:1234"}, 200},
		{map[string]string{"Host": "tools.example.com"}, 200},
		{map[string]string{"Host": "TOOLS.example.com.:8080"}, 200},
		{map[string]string{"Host": "evil.example.com"}, 403},
		{map[string]string{"Host": "localhost.evil.example.com"}, 403},
		{map[string]string{"Host": "127.0.0.1.evil.example.com:80"}, 403},
		{map[string]string{"Origin": "https://inspector.example.com"}, 200},
		{map[string]string{"Origin": "https://evil.example.com"}, 403},
		{map[string]string{"Origin": "null"}, 403},
		{map[string]string{"Host": "localhost", "Origin": "http://localhost"}, 200},
		{map[string]string{"Host": "localhost:1234", "Origin": "http://localhost:9"}, 403},
		{map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
	} {
		require.Equal(t, c.status, post(t, url, getSaw, c.headers).StatusCode, "%v", c.headers)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/mcp", nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "https://evil.example.com")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, 403, resp.StatusCode, "a stream is not harmless either")

	req, err = http.NewRequestWithContext(t.Context(), http.MethodOptions, url+"/mcp", nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "https://inspector.example.com")
	resp, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, 204, resp.StatusCode)
	require.Equal(t, "https://inspector.example.com", resp.Header.Get("Access-Control-Allow-Origin"))
}

func TestAnyHostIsAllowedOnlyByAStar(t *testing.T) {
	url := start(t, handler(t, newShelf(), mcpkit.Options{}, mcpkit.HTTPOptions{AllowedHosts: []string{"*"}}))
	require.Equal(t, 200, post(t, url, getSaw, map[string]string{"Host": "anything"}).StatusCode)
	_, err := mcpkit.NewServer(newShelf().toolset(), mcpkit.Options{}).HTTP(mcpkit.HTTPOptions{AllowedOrigins: []string{"inspector"}})
	require.ErrorContains(t, err, "write scheme and host")
}

func TestRequestsHaveALimit(t *testing.T) {
	for _, access := range []mcpkit.Access{mcpkit.AccessRead, mcpkit.AccessWrite} {
		url := start(t, handler(t, newShelf(), mcpkit.Options{Access: access}, mcpkit.HTTPOptions{MaxRequestBytes: 1000}))
		require.Equal(t, http.StatusRequestEntityTooLarge, post(t, url, getSaw+strings.Repeat(" ", 1000), nil).StatusCode)
	}
}

func TestABatchHasALimit(t *testing.T) {
	url := start(t, handler(t, newShelf(), mcpkit.Options{}, mcpkit.HTTPOptions{}))
	batch := func(n int) (status int, answer string) {
		var calls []string
		for i := range n {
			calls = append(calls, strings.Replace(getSaw, `"id":1`, fmt.Sprintf(`"id":%d`, i), 1))
		}
		resp := post(t, url, " \n["+strings.Join(calls, ",")+"]", nil)
		return resp.StatusCode, text(t, resp)
	}
	status, answer := batch(50)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, 50, strings.Count(answer, "name: saw"))
	status, answer = batch(51)
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "the request holds 51 messages; send at most 50 at once\n", answer)
	resp := post(t, url, "["+getSaw, nil)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.Contains(t, text(t, resp), "the request is no JSON: ")
}

func TestIdleSessionsEnd(t *testing.T) {
	url := start(t, handler(t, newShelf(), mcpkit.Options{Access: mcpkit.AccessWrite}, mcpkit.HTTPOptions{SessionTimeout: time.Millisecond}))
	resp := post(t, url, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`, nil)
	require.Equal(t, 200, resp.StatusCode)
	session := map[string]string{"Mcp-Session-Id": resp.Header.Get("Mcp-Session-Id")}
	require.Eventually(t, func() bool {
		resp, err := http.DefaultClient.Do(request(t, url, `{"jsonrpc":"2.0","id":2,"method":"ping"}`, session))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusNotFound
	}, time.Minute, 5*time.Millisecond)
}

func TestHostileBodiesHarmNobody(t *testing.T) {
	url := start(t, handler(t, newShelf(), mcpkit.Options{}, mcpkit.HTTPOptions{}))
	deep := strings.Repeat(`[`, 1<<20)
	nested := strings.Repeat(`{"a":`, 200_000) + `1` + strings.Repeat(`}`, 200_000)
	for _, body := range []string{
		deep, nested, `[]`, `null`, `{}`, "\x00", `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shelf_get_item","arguments":` + nested + `}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shelf_get_item","arguments":[1]}}`,
	} {
		resp := post(t, url, body, nil)
		require.NotContains(t, text(t, resp), "panic")
	}
	require.Contains(t, text(t, post(t, url, getSaw, nil)), "label: blue")
}

func TestACallEndsWithItsClient(t *testing.T) {
	for _, access := range []mcpkit.Access{mcpkit.AccessRead, mcpkit.AccessAll} {
		for _, version := range versions {
			t.Run(fmt.Sprint(access, version), func(t *testing.T) {
				b, record := newShelf(), &lines{}
				h := handler(t, b, mcpkit.Options{Access: access, Record: record}, mcpkit.HTTPOptions{})
				gone, leave := context.WithCancel(t.Context())
				url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Test-Client") == "" {
						h.ServeHTTP(w, r)
						return
					}
					// The connection of this one request breaks; no cancellation is sent.
					ctx, cancel := context.WithCancel(r.Context())
					defer cancel()
					defer context.AfterFunc(gone, cancel)()
					h.ServeHTTP(w, r.WithContext(ctx))
				}))
				s := attach(t, url, version, nil)
				headers := map[string]string{"Test-Client": "1", "Mcp-Protocol-Version": version}
				if id := s.ID(); id != "" {
					headers["Mcp-Session-Id"] = id
				}
				call := `{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"shelf_wait_item","arguments":{"name":"saw"}}}`
				if version == versions[0] {
					headers["Mcp-Method"], headers["Mcp-Name"] = "tools/call", "shelf_wait_item"
					call = strings.Replace(call, `"params":{`, `"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"`+version+`","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}},`, 1)
				}
				var wg sync.WaitGroup
				wg.Go(func() { post(t, url, call, headers) })
				require.Equal(t, "saw", take(t, b.entered))
				leave()
				require.ErrorIs(t, take(t, b.ended), context.Canceled)
				wg.Wait()
			})
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	h := handler(t, newShelf(), mcpkit.Options{}, mcpkit.HTTPOptions{})
	url := start(t, h)
	get := func(path string) (int, string) {
		resp, err := http.Get(url + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		return resp.StatusCode, text(t, resp)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		status, body := get(path)
		require.Equal(t, 200, status)
		require.Equal(t, "ok\n", body)
	}
	h.Drain()
	status, body := get("/readyz")
	require.Equal(t, 503, status)
	require.Equal(t, "shutting down\n", body)
	status, _ = get("/healthz")
	require.Equal(t, 200, status)
	status, _ = get("/other")
	require.Equal(t, 404, status)
}

func TestDrainingEndsStreamsAndFinishesCalls(t *testing.T) {
	b := newShelf()
	h := handler(t, b, mcpkit.Options{Access: mcpkit.AccessAll}, mcpkit.HTTPOptions{})
	server := httptest.NewServer(h)
	transport := &mcp.StreamableClientTransport{Endpoint: server.URL + "/mcp"} // holds a stream open
	s := mcptest.Attach(t, transport, "2025-06-18", nil)
	answer := make(chan string, 1)
	go func() {
		res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "shelf_wait_item", Arguments: map[string]any{"name": "saw"}})
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- res.Content[0].(*mcp.TextContent).Text
	}()
	take(t, b.entered)
	h.Drain()
	stopped := make(chan error, 1)
	go func() { stopped <- server.Config.Shutdown(context.Background()) }()
	select {
	case <-stopped:
		require.Fail(t, "a call was running")
	default:
	}
	b.release <- struct{}{}
	require.Equal(t, "name: saw\nlabel: waited", take(t, answer))
	require.NoError(t, take(t, stopped))
}

func TestTwoHundredClientsAtOnce(t *testing.T) {
	record := &lines{}
	url := start(t, handler(t, newShelf(), mcpkit.Options{Record: record}, mcpkit.HTTPOptions{}))
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			resp, err := http.DefaultClient.Do(request(t, url, getSaw, nil))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || !strings.Contains(string(body), "label: blue") {
				t.Error(err, string(body))
			}
		})
	}
	wg.Wait()
	require.Equal(t, 200, strings.Count(record.String(), `"verdict":"ok"`))
}

func TestTraceContextComesWithTheRequest(t *testing.T) {
	record := &lines{}
	url := start(t, handler(t, newShelf(), mcpkit.Options{Record: record}, mcpkit.HTTPOptions{}))
	text(t, post(t, url, getSaw, map[string]string{"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}))
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", entriesOf(t, record)[0]["trace_id"])
}
