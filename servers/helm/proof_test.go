package helm

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
)

// readRequests bounds what one read tool may ask of the API server about a
// small release.
const readRequests = 40

// releaseReads is one real question for every read tool. A tool without one
// fails TestEveryReadToolOnlyReads: whoever adds a tool adds its question.
func releaseReads(ns string) map[string]map[string]any {
	web := map[string]any{"name": "web", "namespace": ns}
	return map[string]map[string]any{
		"helm_list_releases":     {},
		"helm_get_release":       {"name": "web", "namespace": ns, "what": "all"},
		"helm_get_history":       web,
		"helm_get_status":        web,
		"helm_check_drift":       web,
		"helm_diff_release":      {"name": "web", "namespace": ns, "chart": "shop/web", "values": map[string]any{"replicas": 2}},
		"helm_template":          {"chart": "shop/web"},
		"helm_show_chart":        {"chart": "shop/web"},
		"helm_search_charts":     {},
		"helm_list_repositories": {},
	}
}

// The API server's own log is the witness: asked one question each, under the
// role generated from them, the read tools read and do nothing else.
func TestEveryReadToolOnlyReads(t *testing.T) {
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "web", "web", "1.0.0")
	h.put(t, ns, "web", "web", "1.1.0")
	ts := toolset(New(Config{}))
	b := granted(t, "", ts.Rules(mcpkit.AccessRead)...)
	s := session(t, b, mcpkit.AccessRead, nil)
	list, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	for _, tool := range list.Tools {
		t.Run(tool.Name, func(t *testing.T) {
			args, asked := releaseReads(ns)[tool.Name]
			require.True(t, asked, "add a question for %s to releaseReads", tool.Name)
			events := witnessed(t, b, func() {
				a := s.Call(tool.Name, args)
				require.False(t, a.IsError, a.Text)
				requireNoSecrets(t, a)
			})
			require.LessOrEqual(t, len(events), readRequests, "requests")
			for _, e := range events {
				require.False(t, writes(e), "%s %s", e.Verb, e.RequestURI)
			}
			t.Logf("%d requests", len(events))
		})
	}
}

func TestReadRoleHoldsNoWriteNoWildcard(t *testing.T) {
	ts := toolset(New(Config{}))
	for _, r := range ts.Rules(mcpkit.AccessRead) {
		require.Subset(t, []string{"get", "list"}, r.Verbs, "%v", r)
		for _, word := range slices.Concat(r.Groups, r.Resources, r.Verbs, r.URLs) {
			require.NotContains(t, word, "*", "%v", r)
		}
	}
}

// witnessed returns what the API server recorded of b's requests during f.
func witnessed(t testing.TB, b *Backend, f func()) []testbed.AuditEvent {
	t.Helper()
	return lockstest.Witnessed(t, cluster(), b.cfg.UserAgent, f)
}

// writes reports whether a request changed anything, or would have without dry
// run.
func writes(e testbed.AuditEvent) bool { return !slices.Contains([]string{"get", "list"}, e.Verb) }
