// Package mcptest tests Toolcrib servers the way clients meet them: through a
// real MCP session, asserting on what a model would read.
package mcptest

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Session is a client connected to a server in this process. Calls may run at
// the same time.
type Session struct {
	*mcp.ClientSession
	t       testing.TB
	listed  sync.Once
	outputs map[string]*jsonschema.Resolved // by tool, once listed
}

// Answer is what one call came back with.
type Answer struct {
	Text    string // what a model reads
	IsError bool
	Bytes   int             // of text, structured result and Note together
	JSON    json.RawMessage // the structured result
	Note    json.RawMessage // on the Approval that the call waits for or was refused for, if any
}

// Decide answers the gate's questions; it is given what the person would read
// and returns "accept", "decline" or "cancel".
type Decide func(message string) string

// Connect starts a server over ts and returns a client session with it, closed
// at the end of the test. A nil decide is a client that cannot ask a person.
func Connect(t testing.TB, ts *mcpkit.Toolset, o mcpkit.Options, decide Decide) *Session {
	t.Helper()
	clientEnd, serverEnd := mcp.NewInMemoryTransports()
	_, err := mcpkit.NewServer(ts, o).MCP().Connect(t.Context(), serverEnd, nil)
	require.NoError(t, err)
	return Attach(t, clientEnd, "", decide)
}

// Attach returns a client session over any transport, closed at the end of the
// test. It speaks the newest protocol, or the version named.
func Attach(t testing.TB, transport mcp.Transport, version string, decide Decide) *Session {
	t.Helper()
	session, err := newClient(decide).Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: version})
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return &Session{ClientSession: session, t: t, outputs: map[string]*jsonschema.Resolved{}}
}

func newClient(decide Decide) *mcp.Client {
	o := &mcp.ClientOptions{}
	if decide != nil {
		o.ElicitationHandler = func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: decide(r.Params.Message), Content: map[string]any{}}, nil
		}
	}
	return mcp.NewClient(&mcp.Implementation{Name: "mcptest", Version: "1"}, o)
}

// Call calls a tool and requires that the answer keeps the kit's promises: one
// text, and a structured result that fits the tool's output schema.
func (s *Session) Call(tool string, args map[string]any) Answer {
	s.t.Helper()
	return s.CallContext(s.t.Context(), tool, args)
}

// CallContext is Call under a context of the test's own.
func (s *Session) CallContext(ctx context.Context, tool string, args map[string]any) Answer {
	s.t.Helper()
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	require.NoError(s.t, err)
	require.Len(s.t, res.Content, 1)
	a := Answer{Text: res.Content[0].(*mcp.TextContent).Text, IsError: res.IsError}
	if !res.IsError {
		a.JSON, err = json.Marshal(res.StructuredContent)
		require.NoError(s.t, err)
		s.requireSchema(tool, a.JSON)
	}
	a.Bytes = len(a.Text) + len(a.JSON)
	if note, ok := res.Meta[mcpkit.MetaApproval]; ok {
		a.Note, err = json.Marshal(note)
		require.NoError(s.t, err)
		a.Bytes += len(a.Note) + len(mcpkit.MetaApproval) + len(`{"":}`)
	}
	return a
}

// Into decodes the structured result.
func (a Answer) Into(t testing.TB, out any) {
	t.Helper()
	require.False(t, a.IsError, a.Text)
	require.NoError(t, json.Unmarshal(a.JSON, out))
}

func (s *Session) requireSchema(tool string, structured json.RawMessage) {
	s.t.Helper()
	s.listed.Do(func() {
		for _, t := range s.tools() {
			resolved, err := schemaOf(t.OutputSchema).Resolve(nil)
			require.NoError(s.t, err)
			s.outputs[t.Name] = resolved
		}
	})
	var v any
	require.NoError(s.t, json.Unmarshal(structured, &v))
	require.NoError(s.t, s.outputs[tool].Validate(v), "structured result of %s: %s", tool, structured)
}
