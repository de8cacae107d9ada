package prometheus

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// answering is a backend that answers everything with one text.
func answering(t testing.TB, text string) *Backend {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(text)) // a client that is gone needs none
	}))
	t.Cleanup(s.Close)
	return New(Config{Prometheus: Endpoint{URL: s.URL}})
}

var expressions = []string{
	`up`, `sum by (route) (rate(shop_requests_total{job=~"a|b"}[5m])) / ignoring(x) group_left(y) up > bool 1`,
	`histogram_quantile(0.9, sum without(le) (rate(x_bucket[5m])))`, `max_over_time(rate(x[5m] offset 1h)[1d:1m] @ end())`,
	`{"my.metric", "my.label"="x"} == NaN`, `topk(3, -x) unless on() absent(y)`, `rate(x[step()*2])`, `1 + "a"`, `sum(`, `a[5m:] smoothed`,
	`limitk(2, info(x, {__name__=~".+_info"}))`, "up{a=\"\x00\"}",
}

// FuzzExplain holds what reads expressions to never panicking, and the checks
// to leaving an expression as it was.
func FuzzExplain(f *testing.F) {
	for _, e := range expressions {
		f.Add(e)
	}
	b := answering(f, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"x","a":"1"},"value":[1,"3"]}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		expr, err := b.parse(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		before := expr.String()
		c := costOf(expr, 100)
		c.series = make([]int, len(c.selections))
		for i := range c.series {
			c.series[i] = 1e6
		}
		require.GreaterOrEqual(t, c.samples(), 0.0)
		shorter, _ := b.shorterWindows(expr, c)
		if shorter != "" {
			_, err := b.parse(shorter)
			require.NoError(t, err)
		}
		for _, s := range c.selections {
			_, err := b.parse(s.String())
			require.NoError(t, err, "selector of %s", text)
		}
		l := &linter{b: b, expr: expr, selections: c.selections, types: map[string]promv1.MetricType{}, interval: time.Minute}
		l.mistakes(t.Context())
		require.Equal(t, before, expr.String())
	})
}

// FuzzAnswer holds what reads Prometheus's answers to never panicking.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"resultType":"vector","result":[{"metric":{"__name__":"x"},"value":[1,"NaN"]},{"metric":{},"histogram":[1,{"count":"3","sum":"NaN","buckets":[[0,"-Inf","1","2"],[3,"-0.5","0.5","0"]]}]}]}`)
	f.Add(`{"resultType":"matrix","result":[{"metric":{"a":"1"},"values":[[1,"+Inf"],[2,"-Inf"]],"histograms":[[1,{"count":"0","sum":"0"}]]}]}`)
	f.Add(`{"resultType":"scalar","result":[1,"2"]}`)
	f.Add(`{"resultType":"matrix","result":[{},{"values":null}]}`)
	f.Fuzz(func(t *testing.T, data string) {
		answer := `{"status":"success","data":` + data + `}`
		if !json.Valid([]byte(answer)) {
			return
		}
		for _, v := range decoded(answer) {
			var out QueryOut
			out.show(evaluation{value: v})
			requireCells(t, out.Series.Columns, out.Series.Rows)
			if m, ok := v.(model.Matrix); ok {
				var out QueryRangeOut
				out.show(m, evaluation{value: v}, promv1.Range{Start: time.Unix(0, 0), End: time.Unix(60, 0), Step: time.Second})
				requireCells(t, out.Series.Columns, out.Series.Rows)
				requireCells(t, out.Points.Columns, out.Points.Rows)
			}
		}
	})
}

// decoded is what a client makes of an answer, if anything.
func decoded(answer string) []model.Value {
	var out []model.Value
	var body struct {
		Data struct {
			Result json.RawMessage
		}
	}
	if json.Unmarshal([]byte(answer), &body) != nil {
		return nil
	}
	var v model.Vector
	if json.Unmarshal(body.Data.Result, &v) == nil && v != nil {
		out = append(out, v)
	}
	var m model.Matrix
	if json.Unmarshal(body.Data.Result, &m) == nil && m != nil {
		out = append(out, m)
	}
	return out
}

func requireCells(t *testing.T, columns []string, rows [][]string) {
	t.Helper()
	for _, r := range rows {
		require.Len(t, r, len(columns))
	}
}
