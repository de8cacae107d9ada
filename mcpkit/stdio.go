package mcpkit

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// serveStdio serves one client over in and out until in ends or ctx is done.
// Calls in flight are then answered, for as long as grace allows.
func (s *Server) serveStdio(ctx context.Context, in io.ReadCloser, out io.Writer, f flags) error {
	t := &drainTransport{
		Transport: &mcp.IOTransport{Reader: in, Writer: keepOpen{out}, MaxLineLength: int(f.maxRequestBytes)},
		grace:     f.shutdownTimeout,
	}
	session, err := s.mcp.Connect(context.WithoutCancel(ctx), t, nil)
	if err != nil {
		return fmt.Errorf("serve stdin: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	select {
	case err = <-ended:
	case <-t.conn.gone:
		err = orLate(ended)
	case <-ctx.Done():
		t.conn.refuse()
		s.Logger.Info("shutting down", "timeout", f.shutdownTimeout)
		t.conn.drain()
		err = orLate(ended)
	}
	if err != nil {
		return fmt.Errorf("serve stdin: %w", err)
	}
	return nil
}

// settleTime is how long cancelled calls get to be recorded. One that does not
// heed its cancellation must not keep the process.
const settleTime = time.Second

func orLate(ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-time.After(settleTime):
		return nil
	}
}

// keepOpen is standard output, which is not ours to close.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// drainTransport lets calls be answered after its input has ended: the SDK
// cancels what is in flight as soon as a read fails.
type drainTransport struct {
	mcp.Transport
	grace time.Duration
	conn  *drainConn
}

// Connect implements [mcp.Transport].
func (t *drainTransport) Connect(ctx context.Context) (mcp.Connection, error) {
	inner, err := t.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	t.conn = &drainConn{
		Connection: inner,
		grace:      t.grace,
		open:       map[jsonrpc.ID]bool{},
		changed:    make(chan struct{}),
		gone:       make(chan struct{}),
	}
	return t.conn, nil
}

// drainConn counts the client's requests that have no answer yet.
type drainConn struct {
	mcp.Connection
	grace time.Duration

	mu       sync.Mutex
	open     map[jsonrpc.ID]bool // requests of the client without an answer
	asked    int                 // requests to the client without an answer
	draining bool
	over     bool          // the time to drain is over
	changed  chan struct{} // closed and replaced at every change of these
	gone     chan struct{} // closed once the input has ended and is drained
}

// Read implements [mcp.Connection]. The end of input is passed on only when
// nothing is left to answer; while draining, new requests are turned away.
func (c *drainConn) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		msg, err := c.Connection.Read(ctx)
		if err != nil {
			// What waits for the client itself will never hear from it.
			c.waitUntil(func() bool { return len(c.open) <= c.asked })
			close(c.gone)
			return nil, c.cause(err)
		}
		if refused := c.received(msg); refused != nil {
			if err := c.Connection.Write(ctx, refused); err != nil {
				return nil, err
			}
			continue
		}
		return msg, nil
	}
}

// cause is why the input ended: closing it ourselves is no failure of its own.
func (c *drainConn) cause(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return io.EOF
	}
	return err
}

// received takes note of msg, and returns the refusal of a request that comes
// too late.
func (c *drainConn) received(msg jsonrpc.Message) *jsonrpc.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := msg.(type) {
	case *jsonrpc.Request:
		if !m.IsCall() {
			return nil
		}
		if c.draining {
			return &jsonrpc.Response{ID: m.ID, Error: &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "the server is shutting down"}}
		}
		c.open[m.ID] = true
	case *jsonrpc.Response:
		c.asked--
	}
	return nil
}

// Write implements [mcp.Connection].
func (c *drainConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	if m, ok := msg.(*jsonrpc.Request); ok && m.IsCall() {
		c.note(func() { c.asked++ })
	}
	err := c.Connection.Write(ctx, msg)
	if m, ok := msg.(*jsonrpc.Response); ok {
		c.note(func() { delete(c.open, m.ID) })
	}
	return err
}

// note changes the state and wakes whoever waits for it.
func (c *drainConn) note(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// refuse turns new requests away from here on.
func (c *drainConn) refuse() { c.note(func() { c.draining = true }) }

// drain waits until the requests in flight are answered, and ends the input.
func (c *drainConn) drain() {
	c.waitUntil(func() bool { return len(c.open) == 0 })
	c.note(func() { c.over = true })
	c.Connection.Close()
}

// waitUntil waits for done, for as long as grace allows.
func (c *drainConn) waitUntil(done func() bool) {
	late := time.After(c.grace)
	for {
		c.mu.Lock()
		ok, changed := c.over || done(), c.changed
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			return
		}
	}
}
