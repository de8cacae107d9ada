package helm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestGetHistory(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "web", "web", "1.0.0")
	h.put(t, ns, "web", "web", "1.1.0", "--description", "more memory")
	h.run(t, "rollback", "web", "1", "-n", ns)
	s := session(t, granted(t, ns, getHistory.Rules...), mcpkit.AccessRead, nil)
	var out GetHistoryOut
	s.Call("helm_get_history", map[string]any{"name": "web", "namespace": ns}).Into(t, &out)
	require.Len(t, out.Revisions.Rows, 3)
	for i, want := range [][]string{{"3", "deployed", "web-1.0.0", "Rollback to 1"}, {"2", "superseded", "web-1.1.0", "more memory"}, {"1", "superseded", "web-1.0.0", "Install complete"}} {
		row := out.Revisions.Rows[i]
		require.Equal(t, want, []string{row[0], row[2], row[3], row[5]})
	}
	require.Empty(t, out.Findings)

	s.Call("helm_get_history", map[string]any{"name": "web", "namespace": ns, "limit": 1}).Into(t, &out)
	require.Len(t, out.Revisions.Rows, 1)
	require.True(t, out.Truncated)
	require.Equal(t, "1 of 3 revisions shown", out.LeftOut)

	a := s.Call("helm_get_history", map[string]any{"name": "wev", "namespace": ns})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, `not_found: there is no release "wev" in namespace "`+ns+`"; the nearest names are web.`)
	a = s.Call("helm_get_history", map[string]any{"name": "web", "namespace": "default"})
	require.Contains(t, a.Text, "denied: ")
	plant(t, ns, ns, 1, "deployed", time.Now(), inGzip(t, minimal("web", "Install complete"))) // a name no other test has
	a = reading(t).Call("helm_get_history", map[string]any{"name": ns, "namespace": "kube-public"})
	require.Contains(t, a.Text, `not_found: there is no release "`+ns+`" in namespace "kube-public"; namespace `+ns+` has a release of that name`)
}

func TestGetHistoryWithABadRevision(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	plant(t, ns, "web", 1, "deployed", time.Now().Add(-time.Hour), inGzip(t, minimal("web", "Install complete")))
	plant(t, ns, "web", 2, "pending-upgrade", time.Now(), []byte("!"))
	var out GetHistoryOut
	reading(t).Call("helm_get_history", map[string]any{"name": "web", "namespace": ns}).Into(t, &out)
	require.Len(t, out.Revisions.Rows, 2)
	require.Equal(t, "pending-upgrade", out.Revisions.Rows[0][2])
	require.Equal(t, "Install complete", out.Revisions.Rows[1][5])
	require.Len(t, out.Findings, 2)
	require.Contains(t, out.Findings[0], "an operation may still be running")
	require.Contains(t, out.Findings[1], "is corrupt (not base64")
}
