package prometheus

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

func explain(t testing.TB, s *mcptest.Session, expr string) (out ExplainQueryOut) {
	t.Helper()
	s.Call("prometheus_explain_query", map[string]any{"query": expr}).Into(t, &out)
	return out
}

func TestExplainQuery(t *testing.T) {
	t.Parallel()
	s := reading(t)
	var out ExplainQueryOut
	within(t, "scrapes a second apart", func() bool {
		out = explain(t, s, `sum by(route)(rate(shop_requests_total{job="shop"}[5m]))/2`)
		return out.Cost == "900 samples at most for one evaluation"
	})
	require.Equal(t, `sum by (route) (rate(shop_requests_total{job="shop"}[5m])) / 2`, out.Formatted)
	require.Equal(t, "vector", out.Type)
	require.Empty(t, out.Mistakes)
	require.Equal(t, [][]string{{`shop_requests_total{job="shop"}`, "3", "counter", "5m"}}, out.Selectors.Rows)

	out = explain(t, s, `rate({__name__=~".+"}[90d])`)
	require.Contains(t, out.Cost, "billion samples at most for one evaluation, more than the 50 million at which it is not run")
	require.Regexp(t, `^2\d{4}$`, out.Selectors.Rows[0][1])
	require.Contains(t, out.Mistakes[0], "selects series of every metric")
	require.Contains(t, explain(t, s, "testbed_session_seconds[90m]").Cost, "over a range with more than ")
	require.Equal(t, "scalar", explain(t, s, "1 + 1").Type)
	require.Empty(t, explain(t, s, "up == 1").Mistakes)
	require.Empty(t, explain(t, s, "histogram_quantile(0.9, sum by (le) (rate(testbed_request_duration_seconds_bucket[5m])))").Mistakes)
	require.Empty(t, explain(t, s, "histogram_quantile(0.9, sum(rate(shop_response_seconds[5m])))").Mistakes)
	require.Empty(t, explain(t, s, "sum by (job) (rate(shop_requests_total[5m])) / on (job) group_left sum by (job) (up)").Mistakes)
	requireRefused(t, s, "prometheus_explain_query", map[string]any{"query": "sum("}, "invalid: not PromQL: ")
}

func TestExplainQueryFindsMistakes(t *testing.T) {
	s := reading(t)
	for expr, want := range map[string]string{
		"rate(shop_latency_seconds[5m])":        "shop_latency_seconds is a gauge and rate is for counters: a gauge that falls looks like a reset; write deriv(shop_latency_seconds[5m])",
		"increase(shop_visitors[1h])":           "write delta(shop_visitors[1h])",
		"shop_requests_total > 5":               "shop_requests_total is a counter, whose value says little: it only grows, and restarts; write rate(shop_requests_total[5m])",
		"delta(shop_requests_total[5m])":        "delta does not know resets; write increase or rate",
		"rate(shop_requests_total[1s])":         "it holds less than two samples, so the result is empty; write at least [4s]",
		"rate(shop_requests_total[3s])":         "one lost scrape leaves a gap; write at least [4s]",
		`up{job=~"shop"}`:                       `job=~"shop" is no pattern; write job="shop"`,
		`up{job!~"shop"}`:                       `job!~"shop" is no pattern; write job!="shop"`,
		`up{job=~".*"}`:                         `job=~".*" matches everything, also series without the label; leave it out`,
		"rate(sum(shop_requests_total)[5m:1m])": "rate of sum: summing first hides that single counters restart; write sum by (...) (rate(shop_requests_total[5m]))",
		"shop_latency_seconds == 0.3":           "compares floats for equality",
		"rate(shop_requests_total[5m]) == 10":   "compares floats for equality",
		"up == NaN":                             "nothing equals NaN",
		"histogram_quantile(95, rate(testbed_request_duration_seconds_bucket[5m]))":                          "the quantile 95 is not between 0 and 1; write 0.95",
		"histogram_quantile(0.9, testbed_request_duration_seconds_bucket)":                                   "looks at all time since the start; write rate(...[5m])",
		"histogram_quantile(0.9, sum by (job) (rate(testbed_request_duration_seconds_bucket[5m])))":          "sum by (job) (...) drops it; write sum by (job, le) (...)",
		"histogram_quantile(0.9, sum without (le, job) (rate(testbed_request_duration_seconds_bucket[5m])))": "write sum without (job) (...)",
		"sum by (route) (shop_latency_seconds) * on(instance) up":                                            "sum by (route) (...) drops; write sum by (route, instance) (...)",
		"sum by (route) (shop_latency_seconds) / sum by (job) (up)":                                          "the sides of / have different labels, (route) and (job), so nothing matches; group both alike",
		"sum by (job) (up) / count by (job, instance) (up)":                                                  "or match on (job)",
		"up / sum by (job) (up)": "write on (job) with group_left or group_right",
		"shop_visitor":           "there is no metric shop_visitor; the nearest names are shop_visitors",
		`up{job="shp"}`:          `the nearest of 7 values are shop`,
	} {
		within(t, expr+": "+want, func() bool { // once samples are seen to be a second apart
			return strings.Contains(strings.Join(explain(t, s, expr).Mistakes, "\n"), want)
		})
	}
}

func TestExplainQueryDoesNotRunIt(t *testing.T) {
	g := newGateway(t, everything)
	g.Start()
	s := serve(t, g.backend(""), "", nil)
	const expr = "sum(rate(shop_requests_total[5m]))"
	require.Equal(t, expr, explain(t, s, expr).Formatted)
	asked := g.requests()
	require.NotEmpty(t, asked)
	for _, r := range asked {
		require.NotContains(t, r.form.Get("query"), "rate(")
	}
}
