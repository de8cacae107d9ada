package kubernetes

import (
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
)

// byHand is a session of a client that carries what the gate asks itself, as
// somebody would who has no person to ask.
func (c *crib) byHand(token string) *mcp.ClientSession {
	c.t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "redteam", Version: "1"}, &mcp.ClientOptions{
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
		Capabilities:   &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}}},
	})
	s, err := client.Connect(c.t.Context(), &mcp.StreamableClientTransport{Endpoint: c.URL, HTTPClient: &http.Client{Transport: bearer(token)}, MaxRetries: -1}, nil)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = s.Close() })
	return s
}

// theLabel is a small write of the ConfigMap.
func (c *crib) theLabel(value string) map[string]any {
	return map[string]any{"resource_type": "configmap", "resource_name": "shelf", "namespace": c.namespace, "labels": map[string]any{"seen": value}}
}

// question is the state that comes with the gate's question about a call.
func (c *crib) question(s *mcp.ClientSession, tool string, args map[string]any) string {
	c.t.Helper()
	res, err := s.CallTool(c.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	require.NoError(c.t, err)
	require.NotEmpty(c.t, res.RequestState)
	return res.RequestState
}

// accept finishes a call as if a person had said yes to it.
func (c *crib) accept(s *mcp.ClientSession, tool string, args map[string]any, state string) string {
	c.t.Helper()
	res, err := s.CallTool(c.t.Context(), &mcp.CallToolParams{
		Name: tool, Arguments: args, RequestState: state,
		InputResponses: mcp.InputResponseMap{"approve": &mcp.ElicitResult{Action: "accept"}},
	})
	require.NoError(c.t, err)
	require.NotEmpty(c.t, res.Content, "asked again")
	return res.Content[0].(*mcp.TextContent).Text
}

const forged = "denied: the request state is not one this server gave out. Nothing was changed"

func TestRedTeamForgedState(t *testing.T) {
	t.Parallel()
	c := writeCrib(t, "--gate=ask")
	s := c.byHand(c.agent)
	state := c.question(s, "k8s_label_resource", c.theLabel("a"))
	body, sum, _ := strings.Cut(state, ".")
	for _, other := range []string{
		flipped(state, len(body)/2), flipped(state, len(state)-4), body + "." + body, sum + "." + body, body + ".", body, "." + sum, "e30.e30", state + "." + sum, "x",
	} {
		require.Contains(t, c.accept(s, "k8s_label_resource", c.theLabel("a"), other), forged, other)
	}
	c.requireUntouched()
}

// flipped is s with one bit of its i-th letter the other way.
func flipped(s string, i int) string {
	b := []byte(s)
	if b[i]++; b[i] == '.' || b[i] > 'y' {
		b[i] = 'A'
	}
	return string(b)
}

// A state of a server with another key, which the agent may run itself.
func TestRedTeamStateOfAnotherKey(t *testing.T) {
	t.Parallel()
	c, own := writeCrib(t, "--gate=ask"), writeCrib(t, "--gate=ask")
	own.namespace = c.namespace // the very same call
	state := own.question(own.byHand(own.agent), "k8s_label_resource", c.theLabel("a"))
	require.Contains(t, c.accept(c.byHand(c.agent), "k8s_label_resource", c.theLabel("a"), state), forged)
	c.requireUntouched()
}

// A state says which call it is for, and whose: another tool, other arguments and
// another caller are another.
func TestRedTeamStateOfAnotherCall(t *testing.T) {
	t.Parallel()
	c := writeCrib(t, "--gate=ask")
	s := c.byHand(c.agent)
	state := c.question(s, "k8s_label_resource", c.theLabel("a"))
	patch := map[string]any{"resource_type": "configmap", "resource_name": "shelf", "namespace": c.namespace, "patch": `{"metadata":{"labels":{"seen":"a"}}}`}
	for _, text := range []string{
		c.accept(s, "k8s_patch_resource", patch, state),
		c.accept(s, "k8s_label_resource", c.theLabel("b"), state),
		c.accept(c.byHand(c.other), "k8s_label_resource", c.theLabel("a"), state),
	} {
		require.Contains(t, text, "so nothing was done")
	}
	c.requireUntouched()
}

// Where approvals count, what a client says a person said does not.
func TestRedTeamStateInsteadOfAnApproval(t *testing.T) {
	t.Parallel()
	asking, c := writeCrib(t, "--gate=ask"), writeCrib(t)
	state := asking.question(asking.byHand(asking.agent), "k8s_label_resource", asking.theLabel("a"))
	text := c.accept(c.byHand(c.agent), "k8s_label_resource", c.theLabel("a"), state)
	require.Contains(t, text, "denied: a person must approve this write first")
	c.requireUntouched()
}

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}`
	ready      = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
)

// A session is its caller's: another one cannot call in it, listen in, answer the
// questions put to its person or end it.
func TestRedTeamStolenSession(t *testing.T) {
	t.Parallel()
	c := writeCrib(t, "--gate=ask")
	opened := c.send(c.agent, initialize, nil)
	id := opened.Header.Get("Mcp-Session-Id")
	require.NotEmpty(t, id)
	session := http.Header{"Mcp-Session-Id": {id}, "Mcp-Protocol-Version": {"2025-06-18"}}
	require.Equal(t, http.StatusAccepted, c.send(c.agent, ready, session).Status)
	answer := `{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{}}}`
	for _, body := range []string{listTools, called("k8s_label_resource", `{}`), answer} {
		require.Equal(t, http.StatusForbidden, c.send(c.other, body, session).Status)
		require.Equal(t, http.StatusUnauthorized, c.send("", body, session).Status)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		r, err := http.NewRequestWithContext(t.Context(), method, c.URL, nil)
		require.NoError(t, err)
		r.Header = session.Clone()
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Authorization", "Bearer "+c.other)
		require.Equal(t, http.StatusForbidden, c.do(r).Status, method)
	}
	guessed := session.Clone()
	guessed.Set("Mcp-Session-Id", flipped(id, len(id)-1))
	require.Equal(t, http.StatusNotFound, c.send(c.agent, listTools, guessed).Status)
	require.Contains(t, c.send(c.agent, listTools, session).Body, "k8s_label_resource", "its caller still has it")
	c.requireUntouched()
}
