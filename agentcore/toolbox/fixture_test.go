package toolbox_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Bounds of waiting for what must happen, on a busy machine.
const (
	limit = 5 * time.Minute
	tick  = 10 * time.Millisecond
)

// secrets are Secrets and tokens that tests may change.
type secrets struct {
	mu     sync.Mutex
	values map[string]string // NAME/KEY to value
	tokens map[string]string // NAMESPACE/NAME to token
}

func (s *secrets) set(into map[string]string, key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	into[key] = value
}

func (s *secrets) Secret(name, key string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, ok := s.values[name+"/"+key]; ok {
		return value, nil
	}
	return "", errors.New("no Secret " + name + " with key " + key)
}

func (s *secrets) Token(namespace, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[namespace+"/"+name], nil
}

func newSecrets() *secrets {
	return &secrets{values: map[string]string{}, tokens: map[string]string{}}
}

// serverAt declares a tool server as people do.
func serverAt(t testing.TB, name, url string, change ...func(*declared.Server)) declared.Server {
	t.Helper()
	var s declared.Server
	s.Namespace, s.RemoteMCPServer.Name = "tools", name
	s.Spec.URL, s.Spec.Description = url, "a server"
	for _, c := range change {
		c(&s)
	}
	require.NoError(t, s.RemoteMCPServer.Normalise())
	return s
}

func agentWith(servers ...declared.Server) declared.Agent {
	a := declared.Agent{Servers: servers, Secrets: newSecrets()}
	a.Namespace, a.Name = "agents", "sre"
	return a
}

// open opens the toolbox of an agent for the time of a test.
func open(t testing.TB, a declared.Agent, o toolbox.Options) *toolbox.Box {
	t.Helper()
	if o.Patience == 0 {
		o.Patience = limit
	}
	b := toolbox.Open(a, o)
	t.Cleanup(b.Close)
	return b
}

func named(t testing.TB, b *toolbox.Box, name string) toolbox.Tool {
	t.Helper()
	tools, problems := b.List(t.Context())
	for _, tool := range tools {
		if tool.Name == name {
			return tool
		}
	}
	require.FailNow(t, "no such tool", "%s among %v; %v", name, tools, problems)
	panic("unreachable")
}

func names(t testing.TB, b *toolbox.Box) []string {
	t.Helper()
	tools, _ := b.List(t.Context())
	out := []string{}
	for _, tool := range tools {
		out = append(out, tool.Name)
	}
	return out
}

// call calls the tool of that name.
func call(t testing.TB, b *toolbox.Box, name, args string) toolbox.Outcome {
	t.Helper()
	o, err := b.Call(t.Context(), named(t, b, name), toolbox.Call{ID: "c1", Run: "run-1", Arguments: []byte(args)})
	require.NoError(t, err)
	return o
}

// tried calls the tool of that name, if its server lists it in time.
func tried(t *testing.T, b *toolbox.Box, name string) toolbox.Outcome {
	t.Helper()
	o := toolbox.Outcome{Error: true, Text: "it is not listed"}
	tools, _ := b.List(t.Context())
	for _, tool := range tools {
		if tool.Name == name {
			var err error
			o, err = b.Call(t.Context(), tool, toolbox.Call{ID: "c1", Run: "run-1", Arguments: []byte(`{}`)})
			require.NoError(t, err)
		}
	}
	t.Log(name, o)
	return o
}

// shelf is a toolset of ours.
type shelf struct {
	mu     sync.Mutex
	labels map[string]string
	seen   []*mcpkit.Call
	during func(ctx context.Context)
}

type itemIn struct {
	Name string `json:"name" jsonschema:"name of the item"`
}

type labelIn struct {
	Name  string `json:"name" jsonschema:"name of the item"`
	Label string `json:"label" jsonschema:"its new label"`
}

type itemOut struct {
	Name  string `json:"name"`
	Label string `json:"label"`
}

func newShelf() *shelf { return &shelf{labels: map[string]string{"saw": "blue"}} }

func (s *shelf) get(ctx context.Context, in itemIn) (itemOut, error) {
	if s.during != nil {
		s.during(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, mcpkit.CallFrom(ctx))
	label, ok := s.labels[in.Name]
	if !ok {
		return itemOut{}, mcpkit.Errorf(mcpkit.NotFound, "no item %q", in.Name)
	}
	return itemOut{in.Name, label}, nil
}

func (s *shelf) plan(_ context.Context, in labelIn) (mcpkit.Plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return mcpkit.Plan{Target: "item " + in.Name, Diff: "-" + s.labels[in.Name] + "\n+" + in.Label}, nil
}

func (s *shelf) apply(_ context.Context, in labelIn, _ mcpkit.Plan) (itemOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.labels[in.Name] = in.Label
	return itemOut(in), nil
}

func (s *shelf) label(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.labels[name]
}

func (s *shelf) toolset() *mcpkit.Toolset {
	ts := mcpkit.NewToolset()
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_get_item", Title: "Get Item", Description: "Returns one item."}, s.get)
	mcpkit.Write(ts, mcpkit.Tool{Name: "shelf_label_item", Title: "Label Item", Description: "Sets a label."}, s.plan, s.apply)
	mcpkit.Destroy(ts, mcpkit.Tool{Name: "shelf_remove_item", Title: "Remove Item", Description: "Removes an item."}, s.plan, s.apply)
	return ts
}

// serve serves the shelf as our programs do.
func (s *shelf) serve(t testing.TB, o mcpkit.Options) (url string) {
	t.Helper()
	o.Name = "shelf-mcp"
	if o.Access == "" {
		o.Access = mcpkit.AccessAll
	}
	handler, err := mcpkit.NewServer(s.toolset(), o).HTTP(mcpkit.HTTPOptions{})
	require.NoError(t, err)
	return serveHTTP(t, handler) + "/mcp"
}

func serveHTTP(t testing.TB, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// foreign is a server of somebody else's, of the protocol's own library.
func foreign(t testing.TB, s *mcp.Server, protocol kagent.RemoteMCPServerProtocol) (url string) {
	t.Helper()
	one := func(*http.Request) *mcp.Server { return s }
	if protocol == kagent.ProtocolSSE {
		return serveHTTP(t, mcp.NewSSEHandler(one, nil))
	}
	return serveHTTP(t, mcp.NewStreamableHTTPHandler(one, nil))
}

func newForeign() *mcp.Server {
	return mcp.NewServer(&mcp.Implementation{Name: "foreign", Version: "1"}, nil)
}

type nothing struct{}

// add gives a server a tool that answers with text.
func add(s *mcp.Server, name string, hints *mcp.ToolAnnotations, text string) {
	mcp.AddTool(s, &mcp.Tool{Name: name, Description: "Does " + name + ".", Annotations: hints}, func(context.Context, *mcp.CallToolRequest, nothing) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
	})
}

var readOnly = &mcp.ToolAnnotations{ReadOnlyHint: true}

// swap is a handler that changes while it serves; 503 until it is set.
type swap struct {
	mu sync.Mutex
	to http.Handler
}

func (s *swap) set(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = h
}

func (s *swap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	to := s.to
	s.mu.Unlock()
	if to == nil {
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return
	}
	to.ServeHTTP(w, r)
}

// patiently tries with more and more time for a server to answer in, until that
// is enough on this machine. try says whether it was; what it was for, it checks.
func patiently(t *testing.T, try func(timeout time.Duration) bool) {
	t.Helper()
	for timeout := time.Second; timeout <= limit; timeout *= 2 {
		if try(timeout) {
			return
		}
	}
	require.FailNow(t, "no time was enough")
}

// hanging is a server that takes requests and never answers, but for the begin
// of a stream if streams is set.
func hanging(t testing.TB, streams bool) http.Handler {
	over, end := context.WithCancel(context.Background())
	t.Cleanup(end)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if streams && r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		}
		select {
		case <-r.Context().Done():
		case <-over.Done():
		}
	})
}
