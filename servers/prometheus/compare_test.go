package prometheus

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// At the release, six hours before the epoch, /pay went from 0.2 to 0.8 and
// version 1.4.0 made place for 1.5.0; nothing else of the shop's latency moved.
func TestCompareFindsTheStep(t *testing.T) {
	s := reading(t)
	release := stack().Epoch.Add(-6 * time.Hour)
	around := func(query string) map[string]any {
		return map[string]any{"query": query, "start": release.Format(time.RFC3339), "end": release.Add(time.Hour).Format(time.RFC3339)}
	}
	out := call[CompareOut](t, s, "prometheus_compare", around("shop_latency_seconds"))
	require.True(t, strings.HasPrefix(out.Summary, `1 of 3 series moved, most of all shop_latency_seconds{instance="shop-1", job="shop", route="/pay"}: 0.2`), out.Summary)
	require.Len(t, out.Moved.Rows, 1)
	require.Contains(t, out.Summary, "0 appeared, 0 gone")
	require.Regexp(t, `^\+\d+`, column(t, out.Moved, "relative")[0])
	require.Equal(t, utc(release.Add(-time.Hour))+" to "+utc(release)+" (1h)", out.Before)

	args := map[string]any{"query": `{__name__=~"shop_build_info|shop_latency_seconds"}`, "window": "30m", "offset": "3h", "end": release.Add(2 * time.Hour).Format(time.RFC3339)}
	out = call[CompareOut](t, s, "prometheus_compare", args)
	require.Contains(t, out.Summary, "3 of 5 series moved")
	require.Contains(t, out.Summary, "1 appeared, 1 gone")
	require.ElementsMatch(t, []string{"appeared", "gone"}, column(t, out.Moved, "relative")[:2])
	require.Equal(t, "+300%", column(t, out.Moved, "relative")[2])
	require.Equal(t, []string{"0.2", "0.8", "+0.6"}, []string{column(t, out.Moved, "before")[2], column(t, out.Moved, "after")[2], column(t, out.Moved, "change")[2]})

	args["limit"] = 1
	out = call[CompareOut](t, s, "prometheus_compare", args)
	require.True(t, out.Truncated)
	require.Equal(t, "series: 1 of 3 shown; raise limit", out.LeftOut)
}

func TestCompareWeeks(t *testing.T) {
	s := reading(t)
	out := call[CompareOut](t, s, "prometheus_compare", map[string]any{"query": "sum(shop_visitors)", "window": "1d", "offset": "7d", "end": stack().Epoch.Format(time.RFC3339)})
	require.Equal(t, "0 of 1 series moved", out.Summary)
	require.Empty(t, out.Hints)

	out = call[CompareOut](t, s, "prometheus_compare", map[string]any{"query": "shop_requests_total", "sort": "relative", "end": stack().Epoch.Format(time.RFC3339)})
	require.Contains(t, out.Hints[0], "shop_requests_total is a counter, whose value says little")
	require.Contains(t, out.Hints[0], "write rate(shop_requests_total[")

	out = call[CompareOut](t, s, "prometheus_compare", map[string]any{"query": "shop_response_seconds", "end": stack().Epoch.Format(time.RFC3339)})
	require.Contains(t, strings.Join(out.Hints, "\n"), "2 native histograms cannot be compared as such")
	require.Equal(t, "no series in either window", out.Summary)

	out = call[CompareOut](t, s, "prometheus_compare", map[string]any{"query": "testbed_session_seconds", "window": "5m", "offset": "30d"})
	require.Contains(t, out.Summary, "nothing to compare with: the earlier window has no series, the later one 20000. 20000 appeared, 0 gone. Sum of all: 0 -> 199990000")
	require.Equal(t, "series: 20 of 20000 shown; raise limit", out.LeftOut)

	out = call[CompareOut](t, s, "prometheus_compare", map[string]any{"query": "1"})
	require.Equal(t, "0 of 1 series moved", out.Summary)
}

func TestCompareRefusals(t *testing.T) {
	s := reading(t)
	requireRefused(t, s, "prometheus_compare", map[string]any{"query": "up ="}, "invalid: not PromQL")
	requireRefused(t, s, "prometheus_compare", map[string]any{"query": "up[5m]"}, "only an instant vector or a scalar can be compared, and this is a range vector")
	requireRefused(t, s, "prometheus_compare", map[string]any{"query": "up", "window": "1h", "start": "2h"}, "give window or start, not both")
	requireRefused(t, s, "prometheus_compare", map[string]any{"query": `{job=~".+"}[30d:1s] > 0`}, "invalid: ")
	requireRefused(t, s, "prometheus_compare", map[string]any{"query": `sum_over_time({job=~".+"}[30d:1s])`}, "too_large: to compare it Prometheus would read")
	requireDenied(t, "prometheus_compare", map[string]any{"query": "up"})
}
