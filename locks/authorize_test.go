package locks

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// calling is the right to call a tool of the server.
func calling(tool string) mcpkit.Right {
	return mcpkit.Right{Verb: "call", Group: "toolcrib.dev", Resource: "tools", Name: tool}
}

func TestRightsAreKeptForSeconds(t *testing.T) {
	t.Parallel()
	l, now := openAs(t, server(t), "rights")
	bea := mcpkit.Caller{Name: "bea", UID: "1", Groups: []string{"people"}, Extra: map[string][]string{"example.com/team": {"blue"}}}
	may := func(c mcpkit.Caller, tool string) bool {
		t.Helper()
		ok, err := l.Authorize(t.Context(), c, calling(tool))
		require.NoError(t, err)
		return ok
	}
	require.False(t, may(bea, "shelf_get_item"))
	require.NoError(t, bed().Apply(t.Context(), []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reads-shelf, namespace: tools}
rules: [{apiGroups: [toolcrib.dev], resources: [tools], verbs: [call], resourceNames: [shelf_get_item]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reads-shelf, namespace: tools}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reads-shelf}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: people}]
`)))
	require.False(t, may(bea, "shelf_get_item"), "a refusal is kept")
	require.Eventually(t, func() bool { now.pass(deniedFor + 1); return may(bea, "shelf_get_item") }, limit, tick)
	require.False(t, may(bea, "shelf_label_item"))
	require.False(t, may(mcpkit.Caller{Name: "bea"}, "shelf_get_item"), "of the same name, without the group")
	require.False(t, may(mcpkit.Caller{Name: "people"}, "shelf_get_item"))

	kubectl(t, "delete", "rolebinding", "reads-shelf", "-n", "tools")
	require.True(t, may(bea, "shelf_get_item"), "an answer is kept")
	require.Eventually(t, func() bool { now.pass(allowedFor + 1); return !may(bea, "shelf_get_item") }, limit, tick)
}

// A binding to a role that is gone refuses those whom it was to allow, and only
// the API server knows why.
func TestWhyTheClusterRefusesIsLogged(t *testing.T) {
	t.Parallel()
	require.NoError(t, bed().Apply(t.Context(), []byte(`
{apiVersion: v1, kind: Namespace, metadata: {name: dangling}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: dangling, namespace: dangling}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: vanished}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: eve}]
`)))
	l, now := openAs(t, server(t), "aside")
	var log printed
	l.cluster.namespace, l.cfg.Logger = "dangling", slog.New(slog.NewTextHandler(&log, nil))
	require.Eventually(t, func() bool {
		now.pass(deniedFor + 1)
		ok, err := l.Authorize(t.Context(), mcpkit.Caller{Name: "eve"}, calling("shelf_get_item"))
		require.NoError(t, err)
		require.False(t, ok)
		return strings.Contains(log.String(), "level=WARN")
	}, limit, tick)
	require.Contains(t, log.String(), `caller=eve right="call tools.toolcrib.dev/shelf_get_item"`)
	require.Contains(t, log.String(), `\"vanished\" not found`)
}

func TestManyCallsAskForOneRightOnce(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "right")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _ = l.Authorize(t.Context(), mcpkit.Caller{Name: "cy"}, calling("shelf_get_item")) })
	}
	all.Wait()
	require.Equal(t, 1, reviews(t, "right", "subjectaccessreviews"))
}

// TestWhatTheClusterKnowsOfACallerCounts holds the key of an answer to all that
// an authorizer may ask of it.
func TestWhatTheClusterKnowsOfACallerCounts(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "apart")
	for i, c := range []mcpkit.Caller{
		{Name: "di"},
		{Name: "di", UID: "1"},
		{Name: "di", Groups: []string{"a"}},
		{Name: "di", Groups: []string{"a", "b"}},
		{Name: "di", Groups: []string{"a b"}},
		{Name: "di", Extra: map[string][]string{"a": {"b"}}},
		{Name: "di", Extra: map[string][]string{"a": {"c"}}},
	} {
		for range 2 {
			ok, err := l.Authorize(t.Context(), c, calling("shelf_get_item"))
			require.NoError(t, err)
			require.False(t, ok)
		}
		require.Equal(t, i+1, reviews(t, "apart", "subjectaccessreviews"))
	}
}

// One right is no other, whichever of its parts differs.
func TestEachRightIsGrantedForItself(t *testing.T) {
	t.Parallel()
	require.NoError(t, bed().Apply(t.Context(), []byte(`
{apiVersion: v1, kind: Namespace, metadata: {name: askers}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: asks, namespace: askers}
rules: [{apiGroups: [kagent.dev], resources: [agents], verbs: [ask], resourceNames: [sre]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: asks, namespace: askers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: asks}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: flo}]
`)))
	l, now := openAs(t, server(t), "asks")
	may := func(r mcpkit.Right) bool {
		ok, err := l.Authorize(t.Context(), mcpkit.Caller{Name: "flo"}, r)
		require.NoError(t, err)
		return ok
	}
	ask := mcpkit.Right{Verb: "ask", Group: "kagent.dev", Resource: "agents", Namespace: "askers", Name: "sre"}
	require.Equal(t, "ask agents.kagent.dev/sre", ask.String())
	require.Eventually(t, func() bool { now.pass(deniedFor + 1); return may(ask) }, limit, tick)
	for _, change := range []func(*mcpkit.Right){
		func(r *mcpkit.Right) { r.Verb = "get" },
		func(r *mcpkit.Right) { r.Group = "toolcrib.dev" },
		func(r *mcpkit.Right) { r.Resource = "tools" },
		func(r *mcpkit.Right) { r.Namespace = "" }, // the server's
		func(r *mcpkit.Right) { r.Name = "other" },
		func(r *mcpkit.Right) { r.Name = "" },
	} {
		other := ask
		change(&other)
		require.False(t, may(other), other)
	}
}
