package prometheus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLabelNames(t *testing.T) {
	s := reading(t)
	var out Page
	s.Call("prometheus_label_names", map[string]any{"match": []string{"shop_latency_seconds"}}).Into(t, &out)
	require.Equal(t, [][]string{{"__name__"}, {"instance"}, {"job"}, {"route"}}, out.Rows)
	require.Equal(t, 4, out.Total)

	s.Call("prometheus_label_names", map[string]any{"match": []string{"shop_latency_seconds", "up"}, "search": "IN", "limit": 1}).Into(t, &out)
	require.Equal(t, [][]string{{"instance"}}, out.Rows)
	require.Equal(t, 1, out.Total)

	s.Call("prometheus_label_names", map[string]any{"match": []string{"shop_latency_second"}}).Into(t, &out)
	require.Empty(t, out.Rows)
	require.Equal(t, []string{"no series: there is no metric shop_latency_second; the nearest names are shop_latency_seconds, route:shop_latency_seconds:max"}, out.Notes)
	requireRefused(t, s, "prometheus_label_names", map[string]any{"match": []string{"up{"}}, `invalid: match is not a selector such as up{job="web"}: 1:4: parse error`)
}

func TestLabelValues(t *testing.T) {
	s := reading(t)
	values := func(args map[string]any) (out Page) {
		s.Call("prometheus_label_values", args).Into(t, &out)
		return out
	}
	require.Equal(t, [][]string{{"/cart"}, {"/pay"}, {"/search"}}, values(map[string]any{"label": "route", "match": []string{"shop_latency_seconds"}}).Rows)

	t.Run("pages", func(t *testing.T) {
		seen, next := map[string]bool{}, ""
		for range 4 {
			out := values(map[string]any{"label": "user", "limit": 1000, "search": "user-03", "continue": next})
			require.Equal(t, 1000, out.Total)
			for _, r := range out.Rows {
				require.False(t, seen[r[0]], r[0])
				seen[r[0]] = true
			}
			if next = out.Continue; next == "" {
				break
			}
			require.True(t, out.Truncated)
		}
		require.Len(t, seen, 1000)
	})
	t.Run("small pages", func(t *testing.T) {
		out := values(map[string]any{"label": "user", "limit": 2})
		require.Equal(t, [][]string{{"user-00000"}, {"user-00001"}}, out.Rows)
		require.Equal(t, 20000, out.Total)
		require.Equal(t, "2 of 20000 rows shown; search for a part of it, or continue", out.LeftOut)
		out = values(map[string]any{"label": "user", "limit": 2, "continue": out.Continue})
		require.Equal(t, [][]string{{"user-00002"}, {"user-00003"}}, out.Rows)
	})
	t.Run("none", func(t *testing.T) {
		require.Contains(t, values(map[string]any{"label": "jobb"}).Notes[0], "no such series has the label jobb; the nearest names are job; their labels are __name__, ")
		require.Equal(t, []string{`no series: no series of up has job="nod"; the nearest of 7 values are node`}, values(map[string]any{"label": "job", "match": []string{`up{job="nod"}`}}).Notes)
		requireRefused(t, s, "prometheus_label_values", map[string]any{"label": ""}, `invalid: label "" is not a label's name`)
		requireRefused(t, s, "prometheus_label_values", map[string]any{"label": "job", "start": "1h", "end": "2h"}, "invalid: start ")
	})
}

func TestSeries(t *testing.T) {
	t.Parallel()
	s := reading(t)
	list := func(args map[string]any) (out SeriesOut) {
		s.Call("prometheus_series", args).Into(t, &out)
		return out
	}
	out := list(map[string]any{"match": []string{"shop_latency_seconds"}})
	require.Equal(t, `shop_latency_seconds{instance="shop-1", job="shop"}`, out.Same)
	require.Equal(t, []string{"route"}, out.Series.Columns)
	require.ElementsMatch(t, [][]string{{"/cart"}, {"/pay"}, {"/search"}}, out.Series.Rows)
	require.Equal(t, 3, out.Total)

	out = list(map[string]any{"match": []string{"testbed_session_seconds"}, "limit": 5})
	require.Len(t, out.Series.Rows, 5)
	require.Equal(t, 20000, out.Total)
	require.Equal(t, "the first 5 of 20000 series shown; see instead", out.LeftOut)
	require.Contains(t, out.Instead, "sum by (shard) (testbed_session_seconds): 20 series")
	out = list(map[string]any{"match": []string{"testbed_session_seconds", "up"}, "limit": 5})
	require.Equal(t, "the first 5 series shown, there are more; select more closely", out.LeftOut)

	require.Equal(t, []string{"no series: there is no metric shop_visitor; the nearest names are shop_visitors"}, list(map[string]any{"match": []string{"shop_visitor"}}).Notes)
	requireRefused(t, s, "prometheus_series", map[string]any{}, `invalid: match is required`)
}

func TestMetricMetadata(t *testing.T) {
	s := reading(t)
	search := func(text string) (out Page) {
		s.Call("prometheus_metric_metadata", map[string]any{"search": text}).Into(t, &out)
		return out
	}
	out := search("shop_")
	require.Equal(t, []string{"metric", "type", "unit", "help"}, out.Columns)
	require.Contains(t, out.Rows, []string{"shop_latency_seconds", "gauge", "", "How long a request takes now."})
	require.Contains(t, out.Rows, []string{"shop_requests_total", "counter", "", "Requests answered."})
	require.Contains(t, out.Rows, []string{"route:shop_latency_seconds:max", "", "", ""}, "of a rule, without metadata")

	out = search("HOW requests took")
	require.Equal(t, [][]string{{"testbed_request_duration_seconds", "histogram", "seconds", "How long requests took."}}, out.Rows)
	require.Equal(t, []string{"no metric has these words; the nearest names are session, version"}, search("sesion").Notes)
	require.Greater(t, search("").Total, 200)
	require.True(t, search("").Truncated)
	require.NotEmpty(t, search("").Continue)
}
