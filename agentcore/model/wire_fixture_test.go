package model_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// sent is a request as the provider gets it.
type sent struct {
	URL    string
	Header http.Header
	Body   map[string]any
	Raw    []byte
}

// provider is a server that answers what the test says, in turn; the last
// answer is repeated.
type provider struct {
	*httptest.Server
	mu      sync.Mutex
	got     []sent
	answers []http.HandlerFunc
}

func serve(t testing.TB, answers ...http.HandlerFunc) *provider {
	t.Helper()
	p := &provider{answers: answers}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP implements http.Handler.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	s := sent{URL: "http://" + r.Host + r.URL.String(), Header: r.Header.Clone(), Raw: raw}
	_ = json.Unmarshal(raw, &s.Body) // a test that looks at it sees that it is not there
	p.mu.Lock()
	answer := p.answers[min(len(p.got), len(p.answers)-1)]
	p.got = append(p.got, s)
	p.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(raw))
	answer(w, r)
}

func (p *provider) requests() []sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]sent(nil), p.got...)
}

// events answers with a stream of events, each as it stands between data: and an
// empty line. Anthropic's are named by their type.
func events(all ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, data := range all {
			var named struct{ Type string }
			if json.Unmarshal([]byte(data), &named) == nil && named.Type != "" {
				fmt.Fprintf(w, "event: %s\n", named.Type)
			}
			fmt.Fprintf(w, "data: %s\n\n", data)
			_ = http.NewResponseController(w).Flush() // the client may be gone
		}
	}
}

// refuse answers with a status and a body; headers in pairs.
func refuse(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// chatDone and messageDone are whole answers that say ok.
var (
	chatDone = events(
		`{"choices":[{"index":0,"delta":{"role":"assistant","content":"ok"},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
		`{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}`,
		`[DONE]`)
	messageDone = events(
		`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"model":"m","usage":{"input_tokens":10,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"ping"}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ok"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`,
		`{"type":"message_stop"}`)
	done = map[string]http.HandlerFunc{"Anthropic": messageDone, "OpenAI": chatDone}
)

// everywhere reaches the server whatever host is asked for, without TLS.
func everywhere(p *provider) http.RoundTripper {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(p.URL, "http://"))
	}
	return &http.Transport{DialContext: dial, DialTLSContext: dial}
}

func only(t testing.TB, p *provider) sent {
	t.Helper()
	all := p.requests()
	require.Len(t, all, 1)
	return all[0]
}
