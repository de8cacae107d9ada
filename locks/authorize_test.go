package locks

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestRightsAreKeptForSeconds(t *testing.T) {
	t.Parallel()
	l, now := openAs(t, server(t), "rights")
	bea := mcpkit.Caller{Name: "bea", UID: "1", Groups: []string{"people"}, Extra: map[string][]string{"example.com/team": {"blue"}}}
	may := func(c mcpkit.Caller, tool string) bool {
		t.Helper()
		ok, err := l.Authorize(t.Context(), c, tool)
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
		ok, err := l.Authorize(t.Context(), mcpkit.Caller{Name: "eve"}, "shelf_get_item")
		require.NoError(t, err)
		require.False(t, ok)
		return strings.Contains(log.String(), "level=WARN")
	}, limit, tick)
	require.Contains(t, log.String(), "caller=eve tool=shelf_get_item")
	require.Contains(t, log.String(), `\"vanished\" not found`)
}

func TestManyCallsAskForOneRightOnce(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "right")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _ = l.Authorize(t.Context(), mcpkit.Caller{Name: "cy"}, "shelf_get_item") })
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
			ok, err := l.Authorize(t.Context(), c, "shelf_get_item")
			require.NoError(t, err)
			require.False(t, ok)
		}
		require.Equal(t, i+1, reviews(t, "apart", "subjectaccessreviews"))
	}
}
