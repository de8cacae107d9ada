package locks

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

type itemIn struct {
	Name string `json:"name" jsonschema:"name of the item"`
}

type itemOut struct {
	Caller string `json:"caller"`
}

// shelf is a server behind the locks, over HTTP.
type shelf struct {
	url     string
	entered chan string   // gets the caller of each call of shelf_wait_item
	release chan struct{} // lets those calls go on
	log     *printed
}

// printed is what a server writes to its log and its record.
type printed struct {
	mu  sync.Mutex
	all strings.Builder
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.String()
}

func (s *shelf) get(ctx context.Context, _ itemIn) (itemOut, error) {
	return itemOut{mcpkit.CallFrom(ctx).Caller.Name}, nil
}

func (s *shelf) wait(ctx context.Context, in itemIn) (itemOut, error) {
	s.entered <- mcpkit.CallFrom(ctx).Caller.Name
	select {
	case <-s.release:
		return s.get(ctx, in)
	case <-ctx.Done():
		return itemOut{}, ctx.Err()
	}
}

func (s *shelf) toolset() *mcpkit.Toolset {
	ts := mcpkit.NewToolset()
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_get_item", Title: "Get Item", Description: "Returns one item."}, s.get)
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_wait_item", Title: "Wait", Description: "Waits for one item."}, s.wait)
	plan := func(context.Context, itemIn) (mcpkit.Plan, error) {
		return mcpkit.Plan{Target: "item", Diff: "-red\n+blue"}, nil
	}
	mcpkit.Write(ts, mcpkit.Tool{Name: "shelf_label_item", Title: "Label", Description: "Labels one item."}, plan,
		func(ctx context.Context, in itemIn, _ mcpkit.Plan) (itemOut, error) { return s.get(ctx, in) })
	return ts
}

// serve starts a shelf behind l, which also says who calls if o does not. At the end of the test nothing it wrote down
// may hold a token.
func serve(t *testing.T, l *Locks, o mcpkit.Options) *shelf {
	t.Helper()
	s := &shelf{entered: make(chan string, 10), release: make(chan struct{}), log: &printed{}}
	if o.Authorizer = l; o.Authenticator == nil {
		o.Authenticator = l
	}
	o.Logger, o.Record = slog.New(slog.NewTextHandler(s.log, nil)), s.log
	handler, err := mcpkit.NewServer(s.toolset(), o).HTTP(mcpkit.HTTPOptions{})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	s.url = server.URL + "/mcp"
	t.Cleanup(func() {
		server.Close()
		require.NotContains(t, s.log.String(), "eyJ")
	})
	return s
}

// bearer sends a token along with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func sending(token string) *http.Client {
	return &http.Client{Transport: bearer(strings.TrimSpace(token))}
}

func (s *shelf) attach(t *testing.T, token, version string, decide mcptest.Decide) *mcptest.Session {
	t.Helper()
	return mcptest.Attach(t, &mcp.StreamableClientTransport{Endpoint: s.url, HTTPClient: sending(token), MaxRetries: -1}, version, decide)
}

// send sends one message as it is. Headers come in pairs; a name may come twice.
func (s *shelf) send(t *testing.T, method, query, body string, headers ...string) (status int, h http.Header, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+query, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, string(raw)
}

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}`
	listTools  = `{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}`
)

// grant lets a ServiceAccount in namespace agents call tools of the servers in
// namespace tools: those named, or all if none is.
func grant(t *testing.T, name string, tools ...string) {
	t.Helper()
	only := ""
	if len(tools) > 0 {
		only = fmt.Sprintf(", resourceNames: [%s]", strings.Join(tools, ", "))
	}
	require.NoError(t, bed().Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: %[1]s, namespace: tools}
rules: [{apiGroups: [toolcrib.dev], resources: [tools], verbs: [call]%[2]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %[1]s, namespace: tools}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[1]s}
subjects: [{kind: ServiceAccount, name: %[1]s, namespace: agents}]
`, name, only)))
}

// granted is a token of a ServiceAccount that may call the tools.
func granted(t *testing.T, name string, tools ...string) string {
	t.Helper()
	token := account(t, name, audience)
	grant(t, name, tools...)
	return token
}
