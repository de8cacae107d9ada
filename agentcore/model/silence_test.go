package model_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
)

// pipes is a listener whose connections are in memory, so that time can stand
// still while both ends wait.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// inMemory serves the answers in turn and returns how to reach them.
func inMemory(t *testing.T, answers ...http.HandlerFunc) (*http.Transport, *provider) {
	t.Helper()
	p := &provider{answers: answers}
	listener := pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: p}
	go func() { _ = server.Serve(listener) }() // ends with the listener
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		listener.conns <- theirs
		return ours, nil
	}}
	t.Cleanup(func() {
		close(listener.done)
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return transport, p
}

// hanging says what it has to and then nothing until the client goes away.
func hanging(said http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if said != nil {
			said(w, r)
		}
		<-r.Context().Done()
	}
}

// pause waits, unless the client goes away.
func pause(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

func TestSilenceIsRetried(t *testing.T) {
	for w, whole := range done {
		half := events(`{"choices":[{"index":0,"delta":{"content":"hm"}}]}`)
		if w == "Anthropic" {
			half = events(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"hm"}}`)
		}
		for name, answer := range map[string]http.HandlerFunc{"before an answer": hanging(nil), "in the middle": hanging(half)} {
			t.Run(name+", "+w, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					transport, p := inMemory(t, answer, whole)
					var why *model.Error
					o := model.Options{Silence: 40 * time.Second, Retrying: func(e *model.Error, _ time.Duration) { why = e }}
					began := time.Now()
					reply, err := model.Through(open(t, wire(t, w, "http://model.test"), o), transport).Generate(t.Context(), ask("?"), nil)
					require.NoError(t, err)
					require.Equal(t, "ok", reply.Text)
					require.Len(t, p.requests(), 2)
					failed(t, why, model.Unavailable)
					require.Contains(t, why.Text, "said nothing for too long")
					took := time.Since(began)
					require.GreaterOrEqual(t, took, 40*time.Second)
					require.Less(t, took, 41*time.Second)
				})
			})
		}
	}
}

// TestSignsOfLifeKeepAnAnswerGoing: comments and pings are no silence.
func TestSignsOfLifeKeepAnAnswerGoing(t *testing.T) {
	for w, whole := range done {
		t.Run(w, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport, p := inMemory(t, func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Type", "text/event-stream")
					for range 10 {
						pause(r, 30*time.Second)
						_, _ = rw.Write([]byte(": still thinking\n\n"))
						_ = http.NewResponseController(rw).Flush()
					}
					whole(rw, r)
				})
				_, err := model.Through(open(t, wire(t, w, "http://model.test"), model.Options{Silence: 40 * time.Second}), transport).Generate(t.Context(), ask("?"), nil)
				require.NoError(t, err)
				require.Len(t, p.requests(), 1)
			})
		})
	}
}

func TestAnAnswerMayNotTakeForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport, p := inMemory(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				pause(r, time.Second)
				_, _ = w.Write([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"more \"}}]}\n\n"))
				_ = http.NewResponseController(w).Flush()
			}
		})
		cfg := config(t, `{provider: OpenAI, model: m, openAI: {baseUrl: "http://model.test/v1", timeout: 60}}`, "")
		began := time.Now()
		_, err := model.Through(open(t, cfg, model.Options{Tries: 2}), transport).Generate(t.Context(), ask("?"), nil)
		e := failed(t, err, model.Unavailable)
		require.True(t, strings.Contains(e.Text, "the answer took too long"), e.Text)
		require.Len(t, p.requests(), 2)
		require.GreaterOrEqual(t, time.Since(began), 2*time.Minute)
		require.Less(t, time.Since(began), 122*time.Second)
	})
}
