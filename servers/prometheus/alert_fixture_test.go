package prometheus

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// set sets a gauge of the stack for one test.
func set(t testing.TB, metric string, value float64, labels ...string) {
	t.Helper()
	require.NoError(t, stack().Set(t.Context(), metric, value, labels...))
}

// withRules gives Prometheus rules for one test.
func withRules(t testing.TB, yaml string) {
	t.Helper()
	require.NoError(t, stack().SetRules(t.Context(), yaml))
	t.Cleanup(func() { _ = stack().SetRules(context.Background(), "") })
}

// seen waits until Prometheus has a series of a query.
func seen(t testing.TB, query string) {
	t.Helper()
	within(t, query+" has series", func() bool {
		_, ok, err := whole().figure(t.Context(), "count("+query+")", time.Now())
		return err == nil && ok
	})
}

// evaluated waits until rules of a name have been evaluated.
func evaluated(t testing.TB, names ...string) {
	t.Helper()
	within(t, "the rules are evaluated", func() bool {
		for _, name := range names {
			found, err := whole().alertRules(t.Context(), name)
			if err != nil || slices.ContainsFunc(found, func(r rule) bool { return r.LastEvaluation.IsZero() }) {
				return false
			}
		}
		return true
	})
}

// guarded is a session of the read server whose Prometheus is behind a gateway
// that answers some paths by itself, where it gives a code.
func guarded(t testing.TB, answers func(path string) (code int, body string)) *mcptest.Session {
	t.Helper()
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request, _ url.Values) bool {
		code, body := answers(r.URL.Path)
		if code != 0 {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body)) // a client that is gone needs none
		}
		return code == 0
	})
	g.Start()
	return serve(t, g.backend(""), mcpkit.AccessRead, nil)
}

// lacking is a session whose Prometheus does not have some endpoints, as Thanos
// and Mimir do not.
func lacking(t testing.TB, paths ...string) *mcptest.Session {
	t.Helper()
	g := newGateway(t, lacks(paths...))
	g.Start()
	return serve(t, g.backend(""), mcpkit.AccessRead, nil)
}

// refusing is a session whose Prometheus refuses everything with a code.
func refusing(t testing.TB, code int) *mcptest.Session {
	t.Helper()
	return guarded(t, func(string) (int, string) { return code, http.StatusText(code) })
}

// requireDenied requires that a tool passes a refusal on, whichever it is.
func requireDenied(t *testing.T, tool string, args map[string]any) {
	t.Helper()
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		requireRefused(t, refusing(t, code), tool, args, "denied: Prometheus refuses this server's credentials")
	}
}

// alertStates are the states of the alerts of a name, as Prometheus tells them
// apart from any tool.
func alertStates(t testing.TB, name string) []string {
	t.Helper()
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	require.NoError(t, stack().Get(t.Context(), stack().Prometheus+"/api/v1/alerts", &answer))
	out := []string{}
	for _, a := range answer.Data.Alerts {
		if a.Labels["alertname"] == name {
			out = append(out, a.State)
		}
	}
	slices.Sort(out)
	return out
}

// call decodes a tool's answer, and logs what a model would read.
func call[T any](t testing.TB, s *mcptest.Session, tool string, args map[string]any) (out T) {
	t.Helper()
	a := s.Call(tool, args)
	require.False(t, a.IsError, a.Text)
	require.NoError(t, json.Unmarshal(a.JSON, &out))
	t.Logf("%s\n%s", tool, a.Text)
	return out
}

// column are the cells of a table under one heading.
func column(t testing.TB, table mcpkit.Table, name string) []string {
	t.Helper()
	i := slices.Index(table.Columns, name)
	require.GreaterOrEqual(t, i, 0, "%s is not among %v", name, table.Columns)
	out := []string{}
	for _, row := range table.Rows {
		out = append(out, row[i])
	}
	return out
}
