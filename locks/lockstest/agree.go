// Package lockstest is what tests of servers over client-go have in common: a
// server in a real cluster with rights of its own, what the API server recorded
// of it, and its tools held against the cluster's word on who may call them. For
// that it speaks to the server as agents do, over HTTP with tokens of their own,
// and to the cluster as people do, with kubectl.
package lockstest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
)

const (
	namespace = "agree" // of the server
	audience  = "server.agree.svc"
)

// toolsType tells kubectl that there are tools, from a folder two below the
// root.
const toolsType = "../../charts/locks/manifests/toolcrib.dev_tools.yaml"

// caller is a ServiceAccount that was granted something.
type caller struct {
	namespace, name string
	may             []string // call, of the server's tools
	lists           bool     // all of them, whatever it may call
	token           string
}

// agreement is one server, the callers of its tools, and the cluster.
type agreement struct {
	cluster *testbed.Cluster
	tools   []string
	callers []*caller
}

// Agree requires that a server with the tools lists and lets through, for each
// of several callers, exactly what kubectl auth can-i says of them: what it may
// call, or all for a caller that may list.
func Agree(t *testing.T, c *testbed.Cluster, ts *mcpkit.Toolset) {
	t.Helper()
	a := &agreement{cluster: c, tools: names(t, ts)}
	a.install(t)
	a.grant(t)
	url := a.serve(t, ts)
	for _, who := range a.callers {
		may := a.list(t, who)
		require.Equal(t, who.may, may, "kubectl auth can-i --list, for %s", who.name)
		s := connect(t, url, who.token)
		list, err := s.ListTools(t.Context(), nil)
		require.NoError(t, err)
		listed := []string{}
		for _, tool := range list.Tools {
			listed = append(listed, tool.Name)
		}
		want := may
		if who.lists {
			want = a.tools
		}
		require.Equal(t, want, listed, "tools/list, for %s", who.name)
		for _, tool := range a.tools {
			require.Equal(t, slices.Contains(may, tool), letsThrough(t, s, tool), "a call of %s by %s", tool, who.name)
		}
	}
	a.askEach(t)
}

// names are those of all the tools, in order.
func names(t *testing.T, ts *mcpkit.Toolset) []string {
	t.Helper()
	clientEnd, serverEnd := mcp.NewInMemoryTransports()
	_, err := mcpkit.NewServer(ts, mcpkit.Options{Access: mcpkit.AccessAll}).MCP().Connect(t.Context(), serverEnd, nil)
	require.NoError(t, err)
	s, err := newClient().Connect(t.Context(), clientEnd, nil)
	require.NoError(t, err)
	defer s.Close()
	list, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	var out []string
	for _, tool := range list.Tools {
		out = append(out, tool.Name)
	}
	slices.Sort(out)
	return out
}

// install waits until kubectl knows what a tool is.
func (a *agreement) install(t *testing.T) {
	t.Helper()
	_, err := a.cluster.Kubectl(t.Context(), "apply", "--server-side", "-f", toolsType)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := a.cluster.Kubectl(t.Context(), "get", "tools.toolcrib.dev")
		return err == nil
	}, time.Minute, 100*time.Millisecond)
}

// grant makes the callers and what they are granted.
func (a *agreement) grant(t *testing.T) {
	t.Helper()
	var some []string
	for i := 0; i < len(a.tools); i += 2 {
		some = append(some, a.tools[i])
	}
	a.callers = []*caller{
		{namespace: "agree-agents", name: "nothing", may: []string{}},
		{namespace: "agree-agents", name: "lister", may: []string{}, lists: true},
		{namespace: "agree-agents", name: "some", may: some},
		{namespace: "agree-agents", name: "all", may: a.tools},
		{namespace: "agree-agents", name: "elsewhere", may: []string{}},
		{namespace: "agree-group", name: "member", may: a.tools},
	}
	accounts := ""
	for _, who := range a.callers {
		accounts += fmt.Sprintf("---\n{apiVersion: v1, kind: Namespace, metadata: {name: %[1]s}}\n---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: %[2]s, namespace: %[1]s}}\n", who.namespace, who.name)
	}
	require.NoError(t, a.cluster.Apply(t.Context(), []byte(accounts)))
	for _, who := range a.callers {
		token, err := a.cluster.Kubectl(t.Context(), "create", "token", who.name, "-n", who.namespace, "--audience", audience)
		require.NoError(t, err)
		who.token = strings.TrimSpace(string(token))
	}
	require.NoError(t, a.cluster.Apply(t.Context(), []byte(
		"{apiVersion: v1, kind: Namespace, metadata: {name: agree}}\n---\n"+
			"{apiVersion: v1, kind: Namespace, metadata: {name: agree-elsewhere}}\n"+
			role(namespace, "call", "some", some, "{kind: ServiceAccount, name: some, namespace: agree-agents}")+
			role(namespace, "call", "all", nil, "{kind: ServiceAccount, name: all, namespace: agree-agents}")+
			role("agree-elsewhere", "call", "elsewhere", nil, "{kind: ServiceAccount, name: elsewhere, namespace: agree-agents}")+
			role(namespace, "list", "lister", nil, "{kind: ServiceAccount, name: lister, namespace: agree-agents}")+
			role(namespace, "call", "member", nil, "{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:serviceaccounts:agree-group'}"))))
}

// role grants the verb on the tools, or on every one of the namespace if there
// are none.
func role(namespace, verb, name string, tools []string, subject string) string {
	only := ""
	if len(tools) > 0 {
		only = ", resourceNames: [" + strings.Join(tools, ", ") + "]"
	}
	return fmt.Sprintf(`---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: %[2]s, namespace: %[1]s}
rules: [{apiGroups: [toolcrib.dev], resources: [tools], verbs: [%[5]s]%[3]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %[2]s, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[2]s}
subjects: [%[4]s]
`, namespace, name, only, subject, verb)
}

// serve serves the tools over HTTP behind the cluster's locks.
func (a *agreement) serve(t *testing.T, ts *mcpkit.Toolset) (url string) {
	t.Helper()
	kubeconfig, err := a.cluster.ServiceAccount(t.Context(), namespace, "server", "system:auth-delegator")
	require.NoError(t, err)
	l, err := locks.Open(mcpkit.LocksConfig{Kubeconfig: kubeconfig, Namespace: namespace, Audience: audience, UserAgent: "agree"})
	require.NoError(t, err)
	handler, err := mcpkit.NewServer(ts, mcpkit.Options{Access: mcpkit.AccessAll, Gate: mcpkit.GateOff, Authenticator: l, Authorizer: l}).HTTP(mcpkit.HTTPOptions{})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/mcp"
}

// bearer sends a token along with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func newClient() *mcp.Client {
	return mcp.NewClient(&mcp.Implementation{Name: "lockstest", Version: "1"}, nil)
}

func connect(t *testing.T, url, token string) *mcp.ClientSession {
	t.Helper()
	s, err := newClient().Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: bearer(token)}, MaxRetries: -1,
	}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// letsThrough calls the tool with an argument that none has: whoever may call
// is told so before anything happens, and whoever may not learns just that.
func letsThrough(t *testing.T, s *mcp.ClientSession, tool string) bool {
	t.Helper()
	a, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"no_such_argument": true}})
	require.NoError(t, err)
	require.True(t, a.IsError)
	text := a.Content[0].(*mcp.TextContent).Text
	if strings.Contains(text, "may not call "+tool) {
		require.Contains(t, text, "denied: ")
		return false
	}
	require.Contains(t, text, "invalid: ")
	require.Contains(t, text, "no_such_argument")
	return true
}

// as are the arguments by which kubectl asks for the caller.
func (c *caller) as() []string {
	return []string{
		"-n", namespace, "--as=system:serviceaccount:" + c.namespace + ":" + c.name,
		"--as-group=system:serviceaccounts", "--as-group=system:serviceaccounts:" + c.namespace, "--as-group=system:authenticated",
	}
}

var toolsRule = regexp.MustCompile(`(?m)^tools\.toolcrib\.dev +\[\] +\[(.*?)\] +\[call\]$`)

// list is what kubectl lists of the server's tools for the caller.
func (a *agreement) list(t *testing.T, who *caller) []string {
	t.Helper()
	out, err := a.cluster.Kubectl(t.Context(), append([]string{"auth", "can-i", "--list"}, who.as()...)...)
	require.NoError(t, err)
	may := []string{}
	for _, line := range toolsRule.FindAllSubmatch(out, -1) {
		if len(line[1]) == 0 {
			return a.tools
		}
		may = append(may, strings.Fields(string(line[1]))...)
	}
	slices.Sort(may)
	return may
}

// askEach asks kubectl about two neighbouring tools and about the list for each
// of the callers, in the words of the documentation: each takes a process.
func (a *agreement) askEach(t *testing.T) {
	t.Helper()
	var steps []func(context.Context) error
	for i, who := range a.callers {
		for _, tool := range []string{a.tools[i%len(a.tools)], a.tools[(i+1)%len(a.tools)]} {
			steps = append(steps, func(ctx context.Context) error {
				return a.ask(ctx, who, slices.Contains(who.may, tool), "call", "tools.toolcrib.dev/"+tool)
			})
		}
		steps = append(steps, func(ctx context.Context) error {
			return a.ask(ctx, who, who.lists, "list", "tools.toolcrib.dev")
		})
	}
	require.NoError(t, mcpkit.Together(t.Context(), 2, steps...))
}

// ask is an error if kubectl says of the caller's right what it should not.
func (a *agreement) ask(ctx context.Context, who *caller, may bool, verb, object string) error {
	out, err := a.cluster.Kubectl(ctx, append([]string{"auth", "can-i", verb, object}, who.as()...)...)
	want := "no"
	if may {
		want = "yes"
	}
	if got := strings.TrimSpace(string(out)); got != want {
		return fmt.Errorf("kubectl auth can-i %s %s for %s says %q (%w), not %q", verb, object, who.name, got, err, want)
	}
	return nil
}
