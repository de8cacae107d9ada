package prometheus

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

func askRange(t testing.TB, s *mcptest.Session, expr string, more ...any) QueryRangeOut {
	t.Helper()
	args := map[string]any{"query": expr}
	for i := 0; i+1 < len(more); i += 2 {
		args[more[i].(string)] = more[i+1]
	}
	var out QueryRangeOut
	a := s.Call("prometheus_query_range", args)
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	a.Into(t, &out)
	return out
}

func epoch(offset time.Duration) string {
	return stack().Epoch.Add(offset).Format(time.RFC3339)
}

func TestQueryRange(t *testing.T) {
	t.Parallel()
	s := reading(t)
	release := -6 * time.Hour
	out := askRange(t, s, "shop_latency_seconds", "start", epoch(release-2*time.Hour), "end", epoch(release+2*time.Hour))
	require.Equal(t, epoch(release-2*time.Hour)+" to "+epoch(release+2*time.Hour)+" every 5m, 49 points", out.Range)
	require.Equal(t, `shop_latency_seconds{instance="shop-1", job="shop"}`, out.Same)
	require.Equal(t, []string{"route", "points", "min", "max", "max_at", "avg", "last", "trend"}, out.Series.Columns)
	changed := stack().Epoch.Add(release).Format("01-02 15:04:05")
	require.Equal(t, [][]string{
		{"/cart", "49", "0.1", "0.1", "", "0.1", "0.1", "constant"},
		{"/pay", "49", "0.2", "0.8", changed, "0.506122", "0.8", "0.2 -> 0.8 (+300%)"},
		{"/search", "49", "0.3", "0.3", "", "0.3", "0.3", "constant"},
	}, out.Series.Rows)
	require.Equal(t, []string{"time", "#1", "#2", "#3"}, out.Points.Columns)
	require.Equal(t, [][]string{
		{stack().Epoch.Add(release - 2*time.Hour).Format("01-02 15:04:05"), "0.1", "0.2", "0.3"},
		{changed, "0.1", "0.8", "0.3"},
	}, out.Points.Rows)

	t.Run("ninety days", func(t *testing.T) {
		out := askRange(t, s, "shop_visitors", "start", "90d")
		require.Contains(t, out.Range, " every 1d, 91 points")
		require.Equal(t, "91", out.Series.Rows[0][1])
		require.Contains(t, askRange(t, s, "sum(increase(shop_requests_total[1d]))", "start", "90d").Range, " every 1d, 91 points")
	})
	t.Run("summaries where points do not fit", func(t *testing.T) {
		out := askRange(t, s, "testbed_session_seconds", "start", "2m", "limit", 100)
		require.Len(t, out.Series.Rows, 100)
		require.Equal(t, 20000, out.Total)
		require.True(t, out.Truncated)
		require.Contains(t, out.Instead[1], "sum by (shard) (testbed_session_seconds): 20 series")
		out = askRange(t, s, "rate(prometheus_http_requests_total[1m]) * 1.000001 + time()", "start", epoch(-time.Hour), "end", epoch(time.Hour), "step", "10s")
		require.Empty(t, out.Points.Rows)
	})
	t.Run("not numbers", func(t *testing.T) {
		within(t, "three points", func() bool {
			out := askRange(t, s, "testbed_special_value", "start", "2s", "step", "1s")
			return len(out.Series.Rows) == 3 && strings.HasPrefix(out.Series.Rows[0][1], "3 (3 NaN)") && out.Series.Rows[1][2] == "-Inf" && out.Series.Rows[2][5] == "+Inf"
		})
	})
	t.Run("native histograms", func(t *testing.T) {
		out := askRange(t, s, "shop_response_seconds", "start", epoch(-24*time.Hour), "end", epoch(0))
		require.Contains(t, out.Notes[0], "native histograms")
		require.Equal(t, []string{"1.2", "1.2", "", "1.2"}, out.Series.Rows[0][2:6])
		require.Equal(t, "count=1728000 sum=2073600 p50=0.890899 p90=2 p99=3.73213", out.Series.Rows[0][6])
	})
	t.Run("gaps", func(t *testing.T) {
		out := askRange(t, s, "shop_queue_length > 10", "start", epoch(-49*time.Hour), "end", epoch(0), "step", "5m")
		require.Contains(t, out.Notes, "gaps in 1 of 1 series")
		require.Equal(t, []string{"50", "50"}, out.Series.Rows[0][2:4])
	})
	t.Run("empty", func(t *testing.T) {
		require.Equal(t, []string{"no value passes shop_visitors > 1000: those of shop_visitors are from " + askRange(t, s, "shop_visitors", "end", epoch(0)).Series.Rows[0][6] + " to " + askRange(t, s, "shop_visitors", "end", epoch(0)).Series.Rows[0][6] + " at the end of the range"},
			askRange(t, s, "shop_visitors > 1000", "end", epoch(0)).Notes)
		require.Equal(t, []string{"there is no metric shop_visitor; the nearest names are shop_visitors"}, askRange(t, s, "shop_visitor", "start", "1d").Notes)
	})
}

func TestQueryRangeKeepsToItsBudgets(t *testing.T) {
	t.Parallel()
	s := reading(t)
	out := askRange(t, s, "shop_visitors", "start", "90d", "step", "1m")
	require.Contains(t, out.Notes[0], "a step of 1m gives 129601 points a series; the step is 3h instead, for 1000 at most")
	out = askRange(t, s, `sum(last_over_time({__name__=~".+"}[5m]))`, "start", "90d", "step", "3h")
	require.Regexp(t, `^the step is 1d: 721 points a series would read \d+ million samples, these \d+\.?\d* million$`, out.Notes[0])
	require.Len(t, out.Series.Rows, 1)
	out = askRange(t, s, `rate({__name__=~".+"}[30d])`, "start", "90d")
	require.Contains(t, out.Notes[0], "not run: it would read up to ")
	require.Contains(t, out.Instead[0], "a shorter range or a longer step")
	out = askRange(t, s, `{__name__=~".+"}`, "start", "90d")
	require.Greater(t, out.Total, 20000)
	require.Len(t, out.Series.Rows, 20)
	requireRefused(t, s, "prometheus_query_range", map[string]any{"query": "up", "start": "1h", "end": "2h"}, "invalid: start ")
	requireRefused(t, s, "prometheus_query_range", map[string]any{"query": "up[5m]"}, "invalid: ")
	requireRefused(t, s, "prometheus_query_range", map[string]any{"query": "up", "step": "often"}, `"often" is not a duration`)
}
