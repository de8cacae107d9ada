package prometheus

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// readRequests bounds what one read tool may ask of its backends.
const readRequests = 40

// stackReads is one real question for every read tool. A tool without one fails
// the tests below: whoever adds a tool adds its question.
var stackReads = map[string]map[string]any{
	"prometheus_query":           {"query": "up == 0"},
	"prometheus_query_range":     {"query": "sum by (job) (up)", "start": "10m"},
	"prometheus_label_names":     {},
	"prometheus_label_values":    {"label": "job"},
	"prometheus_series":          {"match": []string{`up{job="broken"}`}},
	"prometheus_metric_metadata": {"search": "request"},
	"prometheus_explain_query":   {"query": "sum(rate(shop_requests_total[5m])) by (rout)"},
	"prometheus_targets":         {"state": "any"},
	"prometheus_rules":           {},
	"prometheus_alerts":          {},
	"prometheus_tsdb_status":     {},
	"prometheus_exemplars":       {"query": "testbed_request_duration_seconds_bucket"},
	"prometheus_explain_alert":   {"name": "SecretFires"},
	"prometheus_backtest_alert":  {"name": "SecretFires", "start": "10m"},
	"prometheus_compare":         {"query": "up", "window": "10m"},
	"alertmanager_alerts":        {},
	"alertmanager_silences":      {},
	"alertmanager_explain_route": {"labels": map[string]any{"alertname": "SecretFires", "severity": "critical"}},
}

// readEndpoints are the paths that answer and change nothing. Prometheus takes
// the longer questions as POST too.
var readEndpoints = map[string][]string{
	http.MethodGet: {
		"/api/v1/query", "/api/v1/query_range", "/api/v1/query_exemplars", "/api/v1/format_query", "/api/v1/labels", "/api/v1/label/", "/api/v1/series", "/api/v1/metadata",
		"/api/v1/targets", "/api/v1/rules", "/api/v1/alerts", "/api/v1/alertmanagers", "/api/v1/status/tsdb", "/api/v1/status/flags", "/api/v1/status/buildinfo",
		"/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/silences", "/api/v2/status", "/api/v2/receivers",
	},
	http.MethodPost: {"/api/v1/query", "/api/v1/query_range", "/api/v1/query_exemplars", "/api/v1/format_query", "/api/v1/labels", "/api/v1/series"},
}

func reads(r request) bool {
	return slices.ContainsFunc(readEndpoints[r.method], func(p string) bool {
		return r.path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(r.path, p)
	})
}

// eachRead asks the question of every read tool that the server lists.
func eachRead(t *testing.T, s *mcptest.Session, check func(t *testing.T, a mcptest.Answer)) {
	t.Helper()
	list, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.Tools, len(stackReads))
	for _, tool := range list.Tools {
		t.Run(tool.Name, func(t *testing.T) {
			args, asked := stackReads[tool.Name]
			require.True(t, asked, "add a question for %s to stackReads", tool.Name)
			a := s.Call(tool.Name, args)
			require.False(t, a.IsError, a.Text)
			check(t, a)
		})
	}
}

// secretRules fire an alert whose words hold what should not have been written
// there.
const secretRules = `
groups:
- name: secrets
  rules:
  - alert: SecretFires
    expr: vector(1)
    labels: {severity: critical, area: secret}
    annotations: {summary: Always fires, runbook_url: "https://ada:annotation-s3cret@runbooks.test/fires?token=query-s3cret"}
`

// What stands between the server and its backends is the witness: asked one
// question each, the read tools read and do nothing else.
func TestEveryReadToolOnlyReads(t *testing.T) {
	withRules(t, secretRules)
	evaluated(t, "SecretFires")
	prometheus, alertmanager := newGateway(t, everything), gatewayTo(t, stack().Alertmanager, everything)
	prometheus.Start()
	alertmanager.Start()
	s := serve(t, New(Config{Prometheus: Endpoint{URL: prometheus.URL}, Alertmanager: Endpoint{URL: alertmanager.URL}}), mcpkit.AccessRead, nil)
	eachRead(t, s, func(t *testing.T, _ mcptest.Answer) {
		asked := slices.Concat(prometheus.requests(), alertmanager.requests())
		require.NotEmpty(t, asked)
		require.LessOrEqual(t, len(asked), readRequests, "requests")
		for _, r := range asked {
			require.True(t, reads(r), "%s %s", r.method, r.path)
		}
		t.Logf("%d requests", len(asked))
	})
}

// The configuration of the stack is full of secrets: of scrapes, of receivers,
// in the URL of a target, in an annotation. All end in s3cret.
func TestNoReadToolTellsASecret(t *testing.T) {
	withRules(t, secretRules)
	evaluated(t, "SecretFires")
	within(t, "Alertmanager has the alert", func() bool {
		held, err := whole().heldAlerts(t.Context(), nil)
		return err == nil && slices.ContainsFunc(held, func(h heldAlert) bool { return h.name() == "SecretFires" })
	})
	eachRead(t, reading(t), func(t *testing.T, a mcptest.Answer) {
		require.NotContains(t, a.Text, "s3cret")
		require.NotContains(t, string(a.JSON), "s3cret")
	})
	s := reading(t)
	require.Contains(t, s.Call("prometheus_explain_alert", stackReads["prometheus_explain_alert"]).Text, "runbooks.test/fires", "what is no secret stays")
	var targets TargetsOut
	s.Call("prometheus_targets", map[string]any{"job": "broken"}).Into(t, &targets)
	require.Equal(t, "server returned HTTP status 500 Internal Server Error", column(t, targets.Targets, "note")[0])
	raw, err := fetch[discovery](t.Context(), whole(), "targets", nil, "list the targets")
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(raw.Active, func(t target) bool { return strings.Contains(t.ScrapeURL, "scrape-token-s3cret") }), "Prometheus tells it")
}
