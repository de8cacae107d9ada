package prometheus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

func ask(t testing.TB, s *mcptest.Session, expr string, more ...any) QueryOut {
	t.Helper()
	args := map[string]any{"query": expr}
	for i := 0; i+1 < len(more); i += 2 {
		args[more[i].(string)] = more[i+1]
	}
	var out QueryOut
	s.Call("prometheus_query", args).Into(t, &out)
	return out
}

func TestQuery(t *testing.T) {
	s := reading(t)
	out := ask(t, s, `up{job=~"broken|node"}`)
	require.Equal(t, "up", out.Same)
	require.Equal(t, 2, out.Total)
	require.Equal(t, []string{"instance", "job", "value"}, out.Series.Columns)
	require.ElementsMatch(t, [][]string{{"broken-1", "broken", "0"}, {"node-1", "node", "1"}}, out.Series.Rows)
	require.Empty(t, out.Notes)
	require.False(t, out.Truncated)

	t.Run("operators and values as they are", func(t *testing.T) {
		require.Equal(t, [][]string{{`up{instance="broken-1", job="broken"}`, "0"}}, ask(t, s, "up < 1").Series.Rows)
		require.Len(t, ask(t, s, "up > 0").Series.Rows, 6)
		require.ElementsMatch(t, [][]string{{"nan", "NaN"}, {"negative_infinity", "-Inf"}, {"positive_infinity", "+Inf"}}, ask(t, s, "testbed_special_value").Series.Rows)
		require.Equal(t, "+Inf", ask(t, s, "1/0").Value)
		require.Equal(t, "9007199254740992", ask(t, s, "2^53").Value)
		require.Equal(t, "0.30000000000000004", ask(t, s, "0.1+0.2").Value)
		require.Equal(t, "a|<b>", ask(t, s, `"a|<b>"`).Value)
	})
	t.Run("time", func(t *testing.T) {
		release := stack().Epoch.Add(-6 * time.Hour)
		pay := `shop_latency_seconds{route="/pay"}`
		require.Equal(t, "0.2", ask(t, s, pay, "time", release.Add(-time.Minute).Format(time.RFC3339)).Series.Rows[0][1])
		require.Equal(t, "0.8", ask(t, s, pay, "time", fmt.Sprint(release.Add(10*time.Minute).Unix())).Series.Rows[0][1])
		require.Equal(t, "0.2", ask(t, s, pay, "time", "10d").Series.Rows[0][1])
	})
	t.Run("native histogram", func(t *testing.T) {
		require.Regexp(t, `^count=\d+ sum=\d+ p50=0.8\d+ p90=[12]\S* p99=3.7\d+$`, ask(t, s, "testbed_response_size_bytes").Series.Rows[0][1])
	})
	t.Run("range selector", func(t *testing.T) {
		within(t, "ten samples", func() bool {
			out := ask(t, s, `up{job="node"}[11s]`)
			return out.Series.Columns[1] == "samples" && strings.Count(out.Series.Rows[0][2], "1 @") == 10
		})
	})
	t.Run("remarks of Prometheus", func(t *testing.T) {
		require.Contains(t, ask(t, s, "rate(testbed_queue_length[1m])").Notes[0], "metric might not be a counter")
	})
}

func TestQueryTruncated(t *testing.T) {
	t.Parallel()
	s := reading(t)
	a := s.Call("prometheus_query", map[string]any{"query": "testbed_session_seconds", "limit": 3})
	var out QueryOut
	a.Into(t, &out)
	require.Len(t, out.Series.Rows, 3)
	require.Equal(t, 20000, out.Total)
	require.True(t, out.Truncated)
	require.Equal(t, "the first 3 of 20000 series shown; see instead", out.LeftOut)
	require.Equal(t, []string{
		"topk(10, testbed_session_seconds): the 10 largest",
		"sum by (shard) (testbed_session_seconds): 20 series",
	}, out.Instead)
	require.Contains(t, ask(t, s, "topk(1, testbed_session_seconds)").Series.Rows[0][0], `user="user-19999"`)
	require.Len(t, ask(t, s, "sum by (shard) (testbed_session_seconds)").Series.Rows, 20)

	large := s.Call("prometheus_query", map[string]any{"query": `{__name__=~".+"}`, "limit": 1000})
	require.LessOrEqual(t, large.Bytes, mcpkit.DefaultMaxResultBytes)
	large.Into(t, &out)
	require.Greater(t, out.Total, 20000)
	require.Equal(t, []string{`topk(10, count by (__name__) ({__name__=~".+"})): which metrics they are`}, out.Instead)
}

func TestQueryTooCostly(t *testing.T) {
	t.Parallel()
	s := reading(t)
	out := ask(t, s, `sum(rate({__name__=~".+"}[90d]))`)
	require.Regexp(t, `^not run: it would read up to 1\d.* billion samples, and more than 50 million are too much$`, out.Notes[0])
	require.Regexp(t, `^\{__name__=~"\.\+"\}: 2\d{4} series, up to 518,400 samples of each$`, out.Notes[1])
	require.Contains(t, out.Notes[2], "most series: testbed_session_seconds (20000), ")
	require.Equal(t, `sum(rate({__name__=~".+"}[6h])): windows of 6h at most`, out.Instead[0])

	out = ask(t, s, `rate(testbed_session_seconds[60d])`)
	require.Equal(t, []string{"rate(testbed_session_seconds[6h]): windows of 6h at most", `testbed_session_seconds{shard="shard-00"}: one of 20 values of shard`}, out.Instead)
	require.Len(t, ask(t, s, `sum(rate(testbed_session_seconds[6h]))`).Series.Rows, 1)
}

func TestQueryEmptyExplainsItself(t *testing.T) {
	s := reading(t)
	for expr, want := range map[string]string{
		"testbed_sesion_seconds":               "there is no metric testbed_sesion_seconds; the nearest names are testbed_session_seconds",
		"nope_metric":                          "there is no metric nope_metric; search names with prometheus_metric_metadata",
		`{job="nod"}`:                          `no series has job="nod"; the nearest of 7 values are node`,
		`{jobs="node"}`:                        `no series has jobs="node"; they have no label jobs`,
		`up{job="nod"}`:                        `no series of up has job="nod"; the nearest of 7 values are node`,
		`up{jobs="node"}`:                      `no series of up has jobs="node"; they have no label jobs`,
		`up{job="node", instance="shop-1"}`:    `no series of up{job="node"} has instance="shop-1"; it is node-1`,
		"up > 3":                               "no value passes up > 3: those of up are from 0 to 1",
		"3 < up":                               "no value passes 3 < up: those of up are from 0 to 1",
		`up * on (route) shop_latency_seconds`: `both sides of * have series, but none match on (route): the left has up{`,
		`up unless up`:                         "unless leaves nothing: every series of up has its like in up",
		"absent(up)":                           "absent(up) is empty because the series are there",
		`rate(up{job="node"}[1s])`:             `rate needs two samples in its window and up{job="node"}[1s] has one at most`,
		`sum(rate(up{job="x"}[5m])) by (job) > 3`:                                         `no series of up has job="x"`,
		`histogram_quantile(0.9, sum(rate(testbed_request_duration_seconds_bucket[5m])))`: "keep le, as in sum by (le) (...)",
		`shop_build_info{version="1.4.0"}`:                                                `no series of shop_build_info has version="1.4.0" at that time: the last sample is of ` + instant(stack().Epoch.Add(-6*time.Hour-5*time.Minute)),
	} {
		out := ask(t, s, expr)
		require.Contains(t, strings.Join(out.Notes, "\n"), want, expr)
		require.Empty(t, out.Series.Rows)
		require.Zero(t, out.Total)
	}
	gone := ask(t, s, "shop_visitors", "time", "96d")
	require.Regexp(t, `^shop_visitors has no series at 20\S+Z, only later$`, gone.Notes[0])
	require.Equal(t, []string{"up has no series at 1970-01-01T00:01:00Z, only later"}, ask(t, s, "up @ 60").Notes)
	require.Equal(t, []string{"shop_visitors has no series at 1970-01-01T00:01:00Z, only later"}, ask(t, s, strings.Repeat("(", 30)+"shop_visitors offset 1d @ 86460"+strings.Repeat(")", 30)).Notes)
	require.Equal(t, []string{`no series of {__name__=~"shop_.*"} has job="shopp"; it is shop`}, ask(t, s, `{__name__=~"shop_.*", job="shopp"}`).Notes)
}

func TestQueryOfAMetricThatEnded(t *testing.T) {
	require.NoError(t, stack().Set(t.Context(), "testbed_short_lived", 1))
	s := reading(t)
	within(t, "the metric is scraped", func() bool { return len(ask(t, s, "testbed_short_lived").Series.Rows) == 1 })
	require.NoError(t, stack().Unset(t.Context(), "testbed_short_lived"))
	within(t, "the metric is stale", func() bool {
		out := ask(t, s, "testbed_short_lived")
		return len(out.Notes) == 1 && strings.HasPrefix(out.Notes[0], "testbed_short_lived has no series at that time: its last sample is of ")
	})
}

func TestQueryThatIsNoPromQL(t *testing.T) {
	s := reading(t)
	for expr, want := range map[string]string{
		"sum(rat(up))":     `invalid: not PromQL: 1:5: parse error: unknown function with name "rat", at "rat"; the nearest names are rad, rate, irate`,
		"rate(up)":         `expected type range vector in call to function "rate", got instant vector, at "up"; give the selector a range, such as [5m]`,
		"up{job=node}":     `unexpected identifier "node" in label matching, expected string, at "node"; quote the value, as in {job="web"}`,
		"sum(up":           "1:7: parse error: unclosed left parenthesis",
		"up = 1":           "values compare with == and !=",
		"up & down":        "sets combine with and, or and unless",
		"sum by job (up)":  "write the labels in brackets, as in by (job)",
		"up unles up":      "the nearest names are unless",
		`{job=~".*"}`:      `name a metric or one label, or select everything with {__name__=~".+"}`,
		"":                 "no expression found in input",
		"rate(up[5m])[1m]": "ranges only allowed for vector selectors",
		"up{job=~\"(\"}":   "error parsing regexp",
	} {
		a := s.Call("prometheus_query", map[string]any{"query": expr})
		require.True(t, a.IsError, expr)
		require.True(t, strings.HasPrefix(a.Text, "invalid: "), a.Text)
		require.Contains(t, a.Text, want)
	}
	requireRefused(t, s, "prometheus_query", map[string]any{"query": "up * on(job) shop_visitors * on() up"}, "invalid: cannot evaluate the query: ")
	requireRefused(t, s, "prometheus_query", map[string]any{"query": `rate({job="shop"}[5m])`}, "so select one metric")
	requireRefused(t, s, "prometheus_query", map[string]any{"query": `sort_by_label(up, "job")`}, "runs without that experimental feature")
	requireRefused(t, s, "prometheus_query", map[string]any{"query": strings.Repeat("a", 70000)}, "invalid: the expression has 70000 bytes")
	requireRefused(t, s, "prometheus_query", map[string]any{"query": "up", "time": "yesterday"}, `"yesterday" is not a time`)
}
