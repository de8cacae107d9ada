package prometheus

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// patient is how long a busy machine may take.
const patient = time.Minute

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
	within(t, patient, query+" has series", func() bool {
		_, ok, err := whole().figure(t.Context(), "count("+query+")", time.Now())
		return err == nil && ok
	})
}

// evaluated waits until rules of a name have been evaluated.
func evaluated(t testing.TB, names ...string) {
	t.Helper()
	within(t, patient, "the rules are evaluated", func() bool {
		for _, name := range names {
			found, err := whole().alertRules(t.Context(), name)
			if err != nil || slices.ContainsFunc(found, func(r rule) bool { return r.LastEvaluation.IsZero() }) {
				return false
			}
		}
		return true
	})
}

// guarded is a session of the read server whose Prometheus is behind a proxy
// that answers some paths by itself.
func guarded(t testing.TB, answers func(path string) (code int, body string)) *mcptest.Session {
	t.Helper()
	at, err := url.Parse(stack().Prometheus)
	require.NoError(t, err)
	forward := httputil.NewSingleHostReverseProxy(at)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, body := answers(r.URL.Path)
		if code == 0 {
			forward.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(proxy.Close)
	return serve(t, New(Config{Prometheus: Endpoint{URL: proxy.URL}, Alertmanager: Endpoint{URL: stack().Alertmanager}}), mcpkit.AccessRead, nil)
}

// lacking is a session whose Prometheus does not have some endpoints, as Thanos
// and Mimir do not.
func lacking(t testing.TB, paths ...string) *mcptest.Session {
	t.Helper()
	return guarded(t, func(path string) (int, string) {
		if slices.Contains(paths, path) {
			return http.StatusNotFound, "404 page not found"
		}
		return 0, ""
	})
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

// recorded is a proxy that remembers what it forwards.
type recorded struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // method and path
}

func recording(t testing.TB, to string) *recorded {
	t.Helper()
	at, err := url.Parse(to)
	require.NoError(t, err)
	forward, r := httputil.NewSingleHostReverseProxy(at), &recorded{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.seen = append(r.seen, req.Method+" "+req.URL.Path)
		r.mu.Unlock()
		forward.ServeHTTP(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

// take returns what was forwarded since it was called last.
func (r *recorded) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.seen
	r.seen = nil
	return out
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
