package toolbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// session is one session with a tool server. Everything it does ends with life.
type session struct {
	*mcp.ClientSession
	wire *wire
	life context.Context
	end  context.CancelCauseFunc

	calls   int  // that it carries; guarded by its server, as is the next
	dropped bool // it is to end with the last of them
}

// Bounds of what a server may list.
const (
	maxTools = 1000
	maxPages = 100
)

// partingTime is how long a server has to take note of a session's end.
const partingTime = 2 * time.Second

// errSilent is why a request was given up.
var errSilent = errors.New("it does not answer")

// open opens a session within the server's timeout. The protocol library may
// wait for a server longer than it is asked to, so it is left behind then: what
// it has under way ends with the session's life.
func (s *server) open(ctx context.Context) (*session, error) {
	if s.url == nil {
		return nil, errUnsuitable
	}
	life, end := context.WithCancelCause(context.Background())
	w, err := newWire(life, place{
		namespace: s.Namespace, name: s.RemoteMCPServer.Name, url: s.url, tls: s.Spec.TLS, secrets: s.box.agent.Secrets,
		headers: append(append([]kagent.ValueRef{}, s.Spec.HeadersFrom...), s.Headers...),
	})
	if err != nil {
		end(err)
		return nil, err
	}
	w.quiet, w.keepOn = s.timeout/2, s.Spec.TerminateOnClose != nil && !*s.Spec.TerminateOnClose
	late := time.AfterFunc(s.timeout, func() { end(errSilent) })
	defer late.Stop()
	defer context.AfterFunc(ctx, func() { end(ctx.Err()) })()
	defer context.AfterFunc(s.box.life, func() { end(context.Canceled) })()
	opened := make(chan error, 1)
	var found *mcp.ClientSession
	go func() {
		var err error
		if found, err = s.client().Connect(life, s.transport(w), nil); err == nil && life.Err() != nil {
			_ = found.Close()
		}
		opened <- err
	}()
	select {
	case err = <-opened:
	case <-life.Done():
		err = context.Cause(life)
	}
	if err == nil && !late.Stop() {
		err = errSilent
	}
	if err != nil {
		err = &refusal{cause: cmp.Or(context.Cause(life), err), status: w.answered(), wire: w}
		end(err)
		w.base.CloseIdleConnections()
		return nil, err
	}
	current := &session{ClientSession: found, wire: w, life: life, end: end}
	go s.watch(current)
	return current, nil
}

// refusal is why a session was not opened.
type refusal struct {
	cause  error
	status int // of HTTP, as the server answered last; 0 if it did not
	wire   *wire
}

func (r *refusal) Error() string { return r.wire.shown(r.cause.Error()) }

func (r *refusal) Unwrap() error { return r.cause }

// watch notices when the server ends the session.
func (s *server) watch(current *session) {
	_ = current.Wait() // why matters to nobody
	if current.life.Err() == nil {
		s.drop(current)
		s.wake()
	}
}

func (s *server) transport(w *wire) mcp.Transport {
	if s.Spec.Protocol == kagent.ProtocolSSE {
		w.quiet = 0 // there, the stream is all there is
		return &mcp.SSEClientTransport{Endpoint: s.url.String(), HTTPClient: w.client(), MaxEventSize: maxAnswer}
	}
	return &mcp.StreamableClientTransport{Endpoint: s.url.String(), HTTPClient: w.client(), MaxEventSize: maxAnswer, MaxRetries: 2}
}

func (s *server) client() *mcp.Client {
	o := &mcp.ClientOptions{
		Capabilities:                &mcp.ClientCapabilities{},
		ToolListChangedHandler:      func(context.Context, *mcp.ToolListChangedRequest) { s.wake() },
		ProgressNotificationHandler: s.progress,
	}
	if s.box.options.Ask != nil {
		o.ElicitationHandler = s.ask
	}
	return mcp.NewClient(&mcp.Implementation{Name: "toolcrib-agentcore", Version: cmp.Or(s.box.options.Version, "dev")}, o)
}

// list returns all tools that the server lists, within bounds, and whether it
// says that a person decides about each of their writes.
func (c *session) list(caller context.Context, timeout time.Duration) (tools []*mcp.Tool, gated bool, err error) {
	ctx, cancel := context.WithTimeoutCause(c.life, timeout, errSilent)
	defer cancel()
	defer context.AfterFunc(caller, cancel)()
	params := &mcp.ListToolsParams{}
	gated = true
	for page := 0; ; page++ {
		r, err := c.ListTools(ctx, params)
		if err != nil {
			return nil, false, &refusal{cause: cmp.Or(context.Cause(ctx), err), status: c.wire.answered(), wire: c.wire}
		}
		tools, gated = append(tools, r.Tools...), gated && mcpkit.StatedGate(r) != ""
		switch {
		case len(tools) > maxTools || page > maxPages:
			return nil, false, fmt.Errorf("it lists more than %d tools, or never ends", maxTools)
		case r.NextCursor == "":
			return tools, gated, nil
		}
		params = &mcp.ListToolsParams{Cursor: r.NextCursor}
	}
}

// close ends the session at the server too, if that takes no longer than it
// should.
func (c *session) close() {
	done := make(chan struct{})
	go func() {
		_ = c.Close() // the server may be gone
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(partingTime):
	}
	c.end(context.Canceled)
	c.wire.base.CloseIdleConnections()
}

// abandon ends the session here.
func (c *session) abandon() {
	c.end(errLost)
	go func() {
		_ = c.Close() // so that the protocol library lets go of it
		c.wire.base.CloseIdleConnections()
	}()
}

// errLost is that a session has ended in the middle of a call.
var errLost = errors.New("the connection was lost")
