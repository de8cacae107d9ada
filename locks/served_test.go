package locks

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// versions of the protocol, newest first; the first needs no session.
var versions = []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"}

func listed(t *testing.T, s *mcptest.Session) []string {
	t.Helper()
	list, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	names := []string{}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names
}

func TestEachCallerListsAndCallsWhatItMay(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "lists")
	some, all, none := granted(t, "lists-some", "shelf_get_item"), granted(t, "lists-all"), account(t, "lists-none", audience)
	for _, gate := range []mcpkit.GateMode{mcpkit.GateAsk, mcpkit.GateOff} {
		shelf := serve(t, l, mcpkit.Options{Access: mcpkit.AccessAll, Gate: gate})
		for _, version := range versions {
			person := &mcptest.Person{Says: "accept"}
			s := shelf.attach(t, some, version, person.Decide)
			require.Equal(t, []string{"shelf_get_item"}, listed(t, s), version)
			require.Equal(t, "caller: system:serviceaccount:agents:lists-some", s.Call("shelf_get_item", map[string]any{"name": "saw"}).Text)
			a := s.Call("shelf_label_item", map[string]any{"name": "saw"})
			require.True(t, a.IsError)
			require.Contains(t, a.Text, "denied: system:serviceaccount:agents:lists-some may not call shelf_label_item; somebody who may grant it has to (verb call on tools.toolcrib.dev, name shelf_label_item")
			require.Empty(t, person.Asked, "nobody is asked about a call that is not allowed")

			require.Equal(t, []string{"shelf_get_item", "shelf_label_item", "shelf_wait_item"}, listed(t, shelf.attach(t, all, version, nil)))
			require.Empty(t, listed(t, shelf.attach(t, none, version, nil)))
		}
	}
}

func TestAListIsItsCallersAlone(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "cached")
	token := account(t, "cached", audience)
	shelf := serve(t, l, mcpkit.Options{})
	for _, method := range []string{"tools/list", "server/discover"} {
		status, h, text := shelf.send(t, http.MethodPost, "", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`,
			"Authorization", "Bearer "+token, "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method)
		require.Equal(t, http.StatusOK, status, text)
		require.Contains(t, text, `"ttlMs":0`)
		require.Contains(t, text, `"cacheScope":"private"`)
		require.NotContains(t, h.Get("Cache-Control"), "public")
	}
}

func TestASessionIsItsCallers(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "session")
	hers, his := granted(t, "session-hers"), granted(t, "session-his")
	shelf := serve(t, l, mcpkit.Options{Access: mcpkit.AccessWrite})
	status, h, text := shelf.send(t, http.MethodPost, "", initialize, "Authorization", "Bearer "+hers)
	require.Equal(t, http.StatusOK, status, text)
	id := h.Get("Mcp-Session-Id")
	require.NotEmpty(t, id)
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		status, _, text := shelf.send(t, method, "", listTools, "Authorization", "Bearer "+his, "Mcp-Session-Id", id)
		require.Equal(t, http.StatusForbidden, status, text)
		status, _, text = shelf.send(t, method, "", listTools, "Mcp-Session-Id", id)
		require.Equal(t, http.StatusUnauthorized, status, text)
	}
	status, _, text = shelf.send(t, http.MethodPost, "", listTools, "Authorization", "Bearer "+hers, "Mcp-Session-Id", id)
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, text, "shelf_label_item")
}

func TestRequestsThatNameNobody(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "nameless")
	good := granted(t, "nameless")
	shelf := serve(t, l, mcpkit.Options{})
	for name, c := range map[string]struct {
		query   string
		headers []string
		text    string
		invalid bool // as opposed to absent
	}{
		"no token":          {text: "this server needs a bearer token"},
		"in the query":      {query: "?access_token=" + good, text: "this server needs a bearer token"},
		"another scheme":    {headers: []string{"Authorization", "Basic " + good}, text: "this server needs a bearer token"},
		"no scheme":         {headers: []string{"Authorization", good}, text: "this server needs a bearer token"},
		"empty":             {headers: []string{"Authorization", "Bearer "}, text: "this server needs a bearer token"},
		"two in one header": {headers: []string{"Authorization", "Bearer " + good + " " + good}, text: "this server needs a bearer token"},
		"two headers":       {headers: []string{"Authorization", "Bearer " + good, "authorization", "Bearer x"}, text: "the request has 2 Authorization headers; send one", invalid: true},
		"long":              {headers: []string{"Authorization", "Bearer " + strings.Repeat("x", 40<<10)}, text: "the token takes 40960 bytes, more than the 32768 a token may", invalid: true},
		"garbage":           {headers: []string{"Authorization", "Bearer {}"}, text: "the cluster does not know this token", invalid: true},
		"another audience":  {headers: []string{"Authorization", "Bearer " + account(t, "nameless", "other")}, text: "the token is for another audience; send one for audience shelf.tools.svc", invalid: true},
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			status, h, text := shelf.send(t, method, c.query, initialize, c.headers...)
			require.Equal(t, http.StatusUnauthorized, status, "%s: %s", name, text)
			require.Contains(t, text, c.text, name)
			require.Equal(t, c.invalid, strings.Contains(h.Get("WWW-Authenticate"), `error="invalid_token"`), name)
			require.Contains(t, h.Get("WWW-Authenticate"), "Bearer", name)
		}
	}
	status, _, text := shelf.send(t, http.MethodPost, "", initialize, "Authorization", "bearer  "+good)
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, shelf.log.String(), "needs a bearer token, in the header Authorization")
	require.Contains(t, shelf.log.String(), "invalid bearer token", "what the API server says of a token is in the log")
}

func TestAClusterThatIsGoneIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	gone := listen(t)
	gone.Close()
	l, _ := openAs(t, through(t, server(t), gone.Addr().String()), "gone-http")
	shelf := serve(t, l, mcpkit.Options{})
	status, h, text := shelf.send(t, http.MethodPost, "", initialize, "Authorization", "Bearer "+account(t, "gone", audience))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "2", h.Get("Retry-After"))
	require.Equal(t, "cannot find out who calls: the API server cannot be reached (connect: connection refused); try again in a few seconds\n", text)
	require.Contains(t, shelf.log.String(), "connection refused")
}

// halfServer is a kubeconfig of a server that may find out who calls, but not
// what they may call.
func halfServer(t *testing.T) string {
	t.Helper()
	path, err := bed().ServiceAccount(t.Context(), "tools", "half", "half")
	require.NoError(t, err)
	require.NoError(t, bed().Apply(t.Context(), []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: half}
rules: [{apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create]}]
`)))
	return path
}

func TestRightsThatCannotBeFoundOut(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, halfServer(t), "half")
	token := granted(t, "half")
	shelf := serve(t, l, mcpkit.Options{})
	const text = `unavailable: cannot find out what system:serviceaccount:agents:half may do: the cluster does not let this server: subjectaccessreviews.authorization.k8s.io is forbidden`
	for _, version := range versions {
		s := shelf.attach(t, token, version, nil)
		_, err := s.ListTools(t.Context(), nil)
		require.ErrorContains(t, err, text)
		a, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "shelf_get_item", Arguments: map[string]any{"name": "saw"}})
		require.NoError(t, err)
		require.True(t, a.IsError)
		require.Contains(t, a.Content[0].(*mcp.TextContent).Text, text)
	}
	require.Contains(t, shelf.log.String(), "a caller's rights cannot be found out")
}

func TestACallerAtItsLimitHindersNobody(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "limits")
	shelf := serve(t, l, mcpkit.Options{MaxCalls: 2, CallerCalls: 1})
	args := map[string]any{"name": "saw"}
	greedy, other := shelf.attach(t, granted(t, "limits-greedy"), "", nil), shelf.attach(t, granted(t, "limits-other"), "", nil)
	first := make(chan mcptest.Answer)
	go func() { first <- greedy.Call("shelf_wait_item", args) }()
	require.Equal(t, "system:serviceaccount:agents:limits-greedy", <-shelf.entered)
	for range 10 {
		require.Equal(t, "unavailable: system:serviceaccount:agents:limits-greedy has 1 calls running here already, the most one caller may have at once; wait for one to end, or try again in 1 s",
			greedy.Call("shelf_get_item", args).Text)
	}
	require.Equal(t, "caller: system:serviceaccount:agents:limits-other", other.Call("shelf_get_item", args).Text)
	close(shelf.release)
	require.False(t, (<-first).IsError)
	require.False(t, greedy.Call("shelf_get_item", args).IsError)
}

func TestACallerTooFastIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "pace")
	now := time.Now()
	shelf := serve(t, l, mcpkit.Options{CallerRate: 0.001, Now: func() time.Time { return now }})
	fast, other := shelf.attach(t, granted(t, "pace-fast"), "", nil), shelf.attach(t, granted(t, "pace-other"), "", nil)
	args := map[string]any{"name": "saw"}
	_, err := fast.ListTools(t.Context(), nil)
	require.NoError(t, err)
	const text = `unavailable: system:serviceaccount:agents:pace-fast makes more than 0.001 calls a second, the most one caller may make here; try again in 1000 s`
	require.Equal(t, text, fast.Call("shelf_get_item", args).Text)
	_, err = fast.ListTools(t.Context(), nil)
	require.ErrorContains(t, err, text)
	a, err := other.CallTool(t.Context(), &mcp.CallToolParams{Name: "shelf_get_item", Arguments: args})
	require.NoError(t, err)
	require.False(t, a.IsError)
}
