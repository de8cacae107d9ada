package model_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	scripted "github.com/toolcrib/toolcrib/testbed/model"
)

func TestFailuresAreRetriedWhereThatHelps(t *testing.T) {
	t.Parallel()
	const ok = "\n- say: All is well.\n"
	for name, c := range map[string]struct {
		rule  string
		waits [][2]time.Duration // at least, below
	}{
		"a rate limit that names a time": {"rules:\n- {times: 2, fail: {status: 429, retry_after: '7'}}" + ok, [][2]time.Duration{{7 * time.Second, 8 * time.Second}, {7 * time.Second, 8 * time.Second}}},
		"a time beyond all patience":     {"rules:\n- {times: 1, fail: {status: 429, retry_after: '90'}}" + ok, [][2]time.Duration{{time.Minute, 61 * time.Second}}},
		"a rate limit that names none":   {"rules:\n- {times: 1, fail: {status: 429}}" + ok, [][2]time.Duration{{0, time.Second}}},
		"errors of the server":           {"rules:\n- {times: 3, fail: {status: 500}}" + ok, [][2]time.Duration{{0, time.Second}, {0, 2 * time.Second}, {0, 4 * time.Second}}},
		"too much to do":                 {"rules:\n- {times: 1, fail: {status: 529}}" + ok, [][2]time.Duration{{0, time.Second}}},
		"a conflict":                     {"rules:\n- {times: 1, fail: {status: 409}}" + ok, [][2]time.Duration{{0, time.Second}}},
		"a connection that ends":         {"rules:\n- {times: 1, fail: {cut: true}}" + ok, [][2]time.Duration{{0, time.Second}}},
	} {
		for w := range wires {
			t.Run(name+", "+w, func(t *testing.T) {
				t.Parallel()
				server := start(t, c.rule)
				var watch clock
				o := watch.options()
				var told []model.Kind
				o.Retrying = func(why *model.Error, _ time.Duration) { told = append(told, why.Kind) }
				reply, err := open(t, wire(t, w, server.URL), o).Generate(t.Context(), ask("Is all well?"), nil)
				require.NoError(t, err)
				require.Equal(t, "All is well.", reply.Text)
				require.Len(t, watch.waits, len(c.waits))
				require.Len(t, told, len(c.waits))
				for i, want := range c.waits {
					require.GreaterOrEqual(t, watch.waits[i], want[0])
					require.Less(t, watch.waits[i], want[1])
				}
			})
		}
	}
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	for w := range wires {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			server := start(t, "rules:\n- {fail: {status: 503}}")
			var watch clock
			_, err := open(t, wire(t, w, server.URL), watch.options()).Generate(t.Context(), ask("?"), nil)
			require.Equal(t, 503, failed(t, err, model.Unavailable).Status)
			require.Len(t, server.Requests(), 6)
			require.Len(t, watch.waits, 5)

			server = start(t, "rules:\n- {fail: {status: 429, retry_after: '50'}}")
			o := watch.options()
			o.Tries, o.Within = 100, 2*time.Minute
			_, err = open(t, wire(t, w, server.URL), o).Generate(t.Context(), ask("?"), nil)
			e := failed(t, err, model.RateLimited)
			require.Equal(t, 50*time.Second, e.RetryAfter)
			require.Len(t, server.Requests(), 3, "0, 50 and 100 seconds are within two minutes, 150 are not")
		})
	}
}

func TestAnAnswerThatBreaksOffBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]string{"an error in the stream": "status: 500", "too much to do": "status: 529", "a connection that ends": "cut: true"} {
		for w := range wires {
			t.Run(name+", "+w, func(t *testing.T) {
				t.Parallel()
				const scenario = "chunk: {bytes: 4}\nrules:\n- {times: 1, say: What was half, fail: {after: 2, FAIL}}\n- say: What is whole.\n"
				begin := func() (model.Model, *scripted.Server) {
					var watch clock
					server := start(t, strings.ReplaceAll(scenario, "FAIL", fail))
					return open(t, wire(t, w, server.URL), watch.options()), server
				}
				m, server := begin()
				var heard []string
				r := ask("Well?")
				r.Restarted = func() { heard = append(heard, "|") }
				reply, err := m.Generate(t.Context(), r, func(text string) { heard = append(heard, text) })
				require.NoError(t, err)
				require.Equal(t, "What is whole.", reply.Text)
				require.Equal(t, "What was|What is whole.", strings.Join(heard, ""))
				require.Len(t, server.Requests(), 2)

				m, _ = begin()
				heard = nil
				_, err = m.Generate(t.Context(), ask("Well?"), func(text string) { heard = append(heard, text) })
				require.NoError(t, err)
				require.Equal(t, "What was\n[The answer broke off. It is asked for again.]\nWhat is whole.", strings.Join(heard, ""))

				m, _ = begin()
				r.Restarted = func() { t.Error("nobody had heard anything") }
				reply, err = m.Generate(t.Context(), r, nil)
				require.NoError(t, err)
				require.Equal(t, "What is whole.", reply.Text)
			})
		}
	}
}

func TestWhatABrokenTryCostIsCounted(t *testing.T) {
	t.Parallel()
	var watch clock
	p := serve(t, events(
		`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"model":"m","usage":{"input_tokens":100,"output_tokens":3,"cache_read_input_tokens":20}}}`,
	), messageDone)
	reply, err := open(t, wire(t, "Anthropic", p.URL), watch.options()).Generate(t.Context(), ask("?"), nil)
	require.NoError(t, err)
	require.EqualValues(t, 110, reply.Usage.Input)
	require.EqualValues(t, 5, reply.Usage.Output)
	require.EqualValues(t, 20, reply.Usage.CacheRead)
}

func TestCancelEndsAtOnce(t *testing.T) {
	t.Parallel()
	for w := range wires {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			server := start(t, "rules:\n- {say: I think about it for a very long time., fail: {after: 1, hang: true}}")
			ctx, cancel := context.WithCancel(t.Context())
			_, err := open(t, wire(t, w, server.URL), model.Options{}).Generate(ctx, ask("?"), func(string) { cancel() })
			require.ErrorIs(t, err, context.Canceled)
			require.Len(t, server.Requests(), 1)

			server = start(t, "rules:\n- {fail: {status: 500}}")
			ctx, cancel = context.WithCancel(t.Context())
			o := model.Options{Retrying: func(*model.Error, time.Duration) { cancel() }}
			_, err = open(t, wire(t, w, server.URL), o).Generate(ctx, ask("?"), nil)
			require.ErrorIs(t, err, context.Canceled)
			require.Len(t, server.Requests(), 1)
		})
	}
}

// TestTheFirstWordIsHandedOnAtOnce: the server says nothing more until the first
// word was heard.
func TestTheFirstWordIsHandedOnAtOnce(t *testing.T) {
	t.Parallel()
	for w, whole := range done {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			heard := make(chan struct{})
			p := serve(t, func(rw http.ResponseWriter, r *http.Request) {
				whole(waiting{rw, heard}, r)
			})
			var text string
			_, err := open(t, wire(t, w, p.URL), model.Options{}).Generate(t.Context(), ask("?"), func(s string) {
				text += s
				close(heard)
			})
			require.NoError(t, err)
			require.Equal(t, "ok", text)
		})
	}
}

// waiting lets nothing follow a piece of text until that was heard.
type waiting struct {
	http.ResponseWriter
	heard chan struct{}
}

// Write implements http.ResponseWriter.
func (w waiting) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	if strings.Contains(string(p), `"ok"`) {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // the client may be gone
		<-w.heard
	}
	return n, err
}
