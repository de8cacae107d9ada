package toolbox_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
)

// lists answers each request for the tools as a function of its number has it,
// and all others as the server does.
type lists struct {
	server http.Handler
	asked  atomic.Int64
	answer func(n int64) http.Handler // counted from 1
}

func (l *lists) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if bytes.Contains(body, []byte(`"tools/list"`)) {
		l.answer(l.asked.Add(1)).ServeHTTP(w, r)
		return
	}
	l.server.ServeHTTP(w, r)
}

func offering(tools ...string) http.Handler {
	f := newForeign()
	f.AddTool(&mcp.Tool{Name: "unasked", InputSchema: map[string]any{"type": "object"}}, nil)
	f.RemoveTools("unasked") // a server without tools says that it could have some
	for _, name := range tools {
		add(f, name, readOnly, name)
	}
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return f }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
}

// An agent that was just started is asked before it has been granted its tools.
func TestARunWaitsForServersThatOfferNothingYet(t *testing.T) {
	t.Parallel()
	for name, wanted := range map[string][]string{"named": {"wanted"}, "whatever there is": nil} {
		granted := offering("wanted")
		l := &lists{server: offering(), answer: func(n int64) http.Handler {
			if n < 4 {
				return offering()
			}
			return granted
		}}
		b := open(t, agentWith(serverAt(t, "late", serveHTTP(t, l), taking(wanted...))), toolbox.Options{Refresh: time.Hour})
		b.Settle(t.Context())
		require.Equal(t, []string{"wanted"}, names(t, b), name)
	}
}

// A tool that was granted meanwhile is there for the next run, though the box is
// no longer new.
func TestARunAsksAnewForWhatWasLacking(t *testing.T) {
	t.Parallel()
	var handler swap
	handler.set(offering("other"))
	b := open(t, agentWith(serverAt(t, "late", serveHTTP(t, &handler), taking("other", "wanted"))), toolbox.Options{Refresh: 1000 * time.Hour, Patience: time.Nanosecond})
	require.Eventually(t, func() bool { return len(names(t, b)) == 1 }, limit, tick)
	handler.set(offering("other", "wanted"))
	require.Eventually(t, func() bool { b.Settle(t.Context()); return len(names(t, b)) == 2 }, limit, tick)
}

func TestWhatIsNeverGrantedCostsNothingInEachTurn(t *testing.T) {
	t.Parallel()
	l := &lists{server: offering("other"), answer: func(int64) http.Handler { return offering("other") }}
	b := open(t, agentWith(serverAt(t, "shelf", serveHTTP(t, l), taking("other", "wanted"))), toolbox.Options{Refresh: time.Hour})
	b.Settle(t.Context())
	for range 10_000 {
		require.Equal(t, []string{"other"}, names(t, b))
	}
	require.Less(t, l.asked.Load(), int64(1000), "as often as time goes by, and no more often than once in a while")
}

func TestWhoeverIsCancelledWaitsForNoServer(t *testing.T) {
	t.Parallel()
	stuck := hanging(t, false)
	l := &lists{server: offering(), answer: func(n int64) http.Handler {
		if n == 1 {
			return offering("other")
		}
		return stuck
	}}
	b := open(t, agentWith(serverAt(t, "shelf", serveHTTP(t, l), taking("other", "wanted"), func(s *declared.Server) { s.Spec.Timeout = "1h" })),
		toolbox.Options{Refresh: time.Hour, Patience: time.Hour})
	require.Equal(t, []string{"other"}, names(t, b))
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan struct{})
	asked := l.asked.Load()
	go func() {
		defer close(left)
		for ctx.Err() == nil {
			b.Settle(ctx)
		}
	}()
	require.Eventually(t, func() bool { return l.asked.Load() >= asked+2 }, limit, tick, "the box and the run have both asked")
	cancel()
	select {
	case <-left:
	case <-time.After(limit):
		require.Fail(t, "it still waits for a server that does not answer")
	}
}
