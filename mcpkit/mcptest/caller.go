package mcptest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// ConnectAs is Connect over HTTP with a server that takes its client for
// caller. What the client sends in headers goes with every request.
func ConnectAs(t testing.TB, ts *mcpkit.Toolset, o mcpkit.Options, caller mcpkit.Caller, headers http.Header) *Session {
	t.Helper()
	caller.Expires = time.Now().Add(time.Hour)
	o.Authenticator = proven(caller)
	handler, err := mcpkit.NewServer(ts, o).HTTP(mcpkit.HTTPOptions{})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client := &http.Client{Transport: sending{headers}}
	return Attach(t, &mcp.StreamableClientTransport{Endpoint: server.URL + "/mcp", HTTPClient: client}, "", nil)
}

// proven is the caller whom any token proves.
type proven mcpkit.Caller

// Authenticate implements [mcpkit.Authenticator].
func (p proven) Authenticate(context.Context, string) (mcpkit.Caller, error) {
	return mcpkit.Caller(p), nil
}

type sending struct{ headers http.Header }

func (s sending) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range s.headers {
		r.Header[name] = values
	}
	r.Header.Set("Authorization", "Bearer any")
	return http.DefaultTransport.RoundTrip(r)
}
