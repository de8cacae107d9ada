package mcpkit

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipes is a listener without a network, so that the time of a test is its own.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// dial is refused once nobody listens.
func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.connections <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func TestAServerBehindAServiceTakesCallsUntilClientsHaveMovedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(NewToolset(), Options{Logger: slog.New(slog.DiscardHandler)})
		h, err := s.HTTP(HTTPOptions{AllowedHosts: []string{"*"}})
		require.NoError(t, err)
		listener := &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
		server := newHTTPServer(h, s.Logger)
		go server.Serve(listener)
		dials := 0
		transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials++
			return listener.dial(ctx, network, address)
		}}
		client := &http.Client{Transport: transport}
		answered := func(resp *http.Response, err error) (status int, closes bool) {
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			return resp.StatusCode, resp.Close
		}
		list := func() (status int, closes bool) {
			req, err := http.NewRequest(http.MethodPost, "http://server/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", "application/json, text/event-stream")
			return answered(client.Do(req))
		}
		status, closes := list()
		require.Equal(t, http.StatusOK, status)
		require.False(t, closes)

		ended := make(chan error, 1)
		go func() {
			ended <- s.retire(server, h, flags{shutdownDelay: 5 * time.Second, shutdownTimeout: time.Second})
		}()
		synctest.Wait()
		status, closes = list()
		require.Equal(t, http.StatusOK, status)
		require.True(t, closes)
		require.Equal(t, 1, dials, "the connection that was open is answered, not cut")
		status, closes = answered(client.Get("http://server/readyz"))
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.True(t, closes)
		time.Sleep(5*time.Second - 1) // the bubble's time
		status, closes = list()
		require.Equal(t, http.StatusOK, status)
		require.True(t, closes)
		require.Equal(t, 3, dials, "connections are taken to the last")

		require.NoError(t, <-ended)
		_, err = client.Get("http://server/healthz")
		require.ErrorIs(t, err, net.ErrClosed)
		transport.CloseIdleConnections()
	})
}
