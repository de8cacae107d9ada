package runs_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// wire is a connection to the API server that can be cut.
type wire struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	cut   bool
	mute  bool // requests arrive, and answers do not
	conns map[net.Conn]bool
}

// through is a kubeconfig that reaches the API server by a wire.
func through(t *testing.T, kubeconfig string) (string, *wire) {
	t.Helper()
	content, err := os.ReadFile(kubeconfig)
	require.NoError(t, err)
	server := regexp.MustCompile(`https://[^\s"]+`).FindString(string(content))
	u, err := url.Parse(server)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener, to: u.Host, conns: map[net.Conn]bool{}}
	go w.serve()
	t.Cleanup(func() { listener.Close(); w.set(true, false) })
	path := t.TempDir() + "/kubeconfig"
	content = regexp.MustCompile(regexp.QuoteMeta(server)).ReplaceAll(content, []byte("https://"+listener.Addr().String()))
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path, w
}

// set cuts the wire, or takes its answers away, and ends what goes over it.
func (w *wire) set(cut, mute bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut, w.mute = cut, mute
	if cut || mute {
		for c := range w.conns {
			if cut {
				c.Close()
			}
		}
	}
}

func (w *wire) serve() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		cut := w.cut
		w.conns[client] = !cut
		w.mu.Unlock()
		server, err := net.Dial("tcp", w.to)
		if cut || err != nil {
			client.Close()
			continue
		}
		go func() { io.Copy(server, client); server.Close() }()
		go func() { io.Copy(muted{client, w}, server); client.Close() }()
	}
}

// muted swallows what it is given while its wire is mute.
type muted struct {
	io.Writer
	of *wire
}

func (m muted) Write(p []byte) (int, error) {
	m.of.mu.Lock()
	mute := m.of.mute
	m.of.mu.Unlock()
	if mute {
		return len(p), nil
	}
	return m.Writer.Write(p)
}

func event(n string) record.Event {
	return record.Event{Time: "2026-01-02T03:04:0" + n + ".006Z", Type: v1alpha1.EventResumed}
}

// TestAnAPIServerThatIsAway appends while the API server cannot be reached, and
// while its answers do not arrive: what is appended is there once, as soon as it
// can be.
func TestAnAPIServerThatIsAway(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	near := open(t, a, kubeconfig)
	proxied, wire := through(t, kubeconfig)
	far := open(t, a, proxied)
	asked := ask(t, near, "Is all well?")
	claim, err := far.Claim(t.Context(), asked.Name, "")
	require.NoError(t, err)
	require.NoError(t, claim.Append(t.Context(), record.Event{Time: "2026-01-02T03:04:00.006Z", Type: v1alpha1.EventAsked, Text: "Is all well?", Seed: "seed"}))

	wire.set(true, false)
	appended := make(chan error, 1)
	go func() { appended <- claim.Append(context.WithoutCancel(t.Context()), event("1")) }()
	select {
	case err := <-appended:
		require.Fail(t, "it was appended to what is away", "%v", err)
	case <-time.After(500 * time.Millisecond):
	}
	wire.set(false, false)
	require.NoError(t, <-appended)

	wire.set(false, true)
	go func() { appended <- claim.Append(context.WithoutCancel(t.Context()), event("2")) }()
	require.Eventually(t, func() bool {
		r, err := near.Get(t.Context(), asked.Name)
		return err == nil && len(r.Status.Events) == 3
	}, 5*time.Minute, 50*time.Millisecond, "the request arrives")
	wire.set(true, true)
	wire.set(false, false)
	require.NoError(t, <-appended)
	require.NoError(t, claim.Append(t.Context(), event("3")))
	r, err := near.Get(t.Context(), asked.Name)
	require.NoError(t, err)
	require.Equal(t, "asked resumed resumed resumed", types(r), "nothing is there twice")
	require.NoError(t, claim.Release(t.Context()))
}

// TestAWorkerWhoseAPIServerIsAway has a run go on through a time in which its
// cluster does not answer.
func TestAWorkerWhoseAPIServerIsAway(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	near := open(t, a, kubeconfig)
	proxied, wire := through(t, kubeconfig)
	far := open(t, a, proxied)
	m, asked, let := holding()
	works(t, far, a, m, &shelf{})
	r := ask(t, near, "Is all well?")
	<-asked
	wire.set(true, false)
	close(let)
	wire.set(false, false)
	require.Equal(t, "Done.", until(t, near, r.Name, over).Status.Answer)
	next := ask(t, near, "And now?")
	require.Equal(t, v1alpha1.RunCompleted, until(t, near, next.Name, over).Status.Phase, "the watch goes on")
}
