package prometheus

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestConditions(t *testing.T) {
	for text, want := range map[string]string{
		"up == 0":                               "up | == | 0",
		"(1) < (up)":                            "up | > | 1",
		"a > 1 and b < 2 unless c":              "a | > | 1; and b | < | 2; unless c",
		"(a or b) unless (c > 1 and d)":         "a; or b; unless c | > | 1; unless d",
		"count(up == 0) > 3":                    "count(up == 0) | > | 3; inside up | == | 0",
		"absent(up{a=\"b\"})":                   "absent absent(up{a=\"b\"})",
		"vector(1)":                             "vector(1)",
		"2 * (a > bool 1)":                      "2 * (a > bool 1); inside a | > | 1",
		"sum(a) / sum(b) > scalar(c)":           "sum(a) / sum(b) | > | scalar(c)",
		"1 > bool 2":                            "1 > bool 2",
		"max_over_time((a > 1)[5m:]) >= 2":      "max_over_time((a > 1)[5m:]) | >= | 2; inside a | > | 1",
		"count(a > 1 and b) > 0":                "count(a > 1 and b) | > | 0; inside a | > | 1",
		"rate(x_total[5m]) > on (job) limit_of": "rate(x_total[5m]) | > | limit_of",
	} {
		expr, err := New(Config{}).parse(text)
		require.NoError(t, err, text)
		var got []string
		for _, c := range conditions(expr) {
			parts := []string{c.expr.String()}
			if c.left != nil {
				parts = []string{c.left.String(), parser.ItemTypeStr[c.op], c.right.String()}
			}
			got = append(got, strings.TrimSpace(strings.TrimSpace(c.role+" "+c.call)+" "+strings.Join(parts, " | ")))
		}
		require.Equal(t, want, strings.Join(got, "; "), text)
	}
}

func TestSurelyEmpty(t *testing.T) {
	for text, want := range map[string]bool{
		"none > 1": true, "some > 1": false, "none or some": false, "none or none": true, "some and none": true, "some unless none": false, "none unless some": true,
		"some / none": true, "sum(rate(none[5m])) > 1": true, "absent(none)": false, "vector(1)": false, "scalar(none) > bool 1": false, "some > scalar(none)": false,
		"max_over_time(none[5m:1m]) > 1": true, "-none": true, "histogram_quantile(0.9, none)": true, "time() > 1 and on () none": true, `label_replace(none, "a", "b", "c", "d")`: true,
	} {
		expr, err := New(Config{}).parse(strings.ReplaceAll(text, "time() > 1", "vector(time()) > 1"))
		require.NoError(t, err, text)
		require.Equal(t, want, surelyEmpty(expr, func(vs *parser.VectorSelector) bool { return vs.Name == "none" }), text)
	}
}

func TestPairsMatchAsPrometheusDoes(t *testing.T) {
	sample := func(value float64, labels ...string) *model.Sample {
		m := model.Metric{"__name__": model.LabelValue(labels[0])}
		for i := 1; i+1 < len(labels); i += 2 {
			m[model.LabelName(labels[i])] = model.LabelValue(labels[i+1])
		}
		return &model.Sample{Metric: m, Value: model.SampleValue(value)}
	}
	left := model.Vector{sample(5, "load", "disk", "a", "zone", "x"), sample(9, "load", "disk", "b", "zone", "x")}
	for text, want := range map[string][]pair{
		"load > limit":                              {{left[0].Metric, 5, 7, false}},
		"load > on (disk) limit":                    {{left[0].Metric, 5, 7, false}},
		"load > on (zone) group_left () zone_limit": {{left[0].Metric, 5, 8, false}, {left[1].Metric, 9, 8, true}},
	} {
		expr, err := New(Config{}).parse(text)
		require.NoError(t, err)
		right := model.Vector{sample(7, "limit", "disk", "a", "zone", "x")}
		if strings.Contains(text, "zone_limit") {
			right = model.Vector{sample(8, "zone_limit", "zone", "x")}
		}
		require.Equal(t, want, conditions(expr)[0].pairs(left, right), text)
	}
}

// A model's expression may be anything; taking it apart must neither fail nor
// lose what the parser accepted.
func FuzzConditions(f *testing.F) {
	for _, text := range []string{"up == 0", "a > 1 and b < 2 unless c", "count(up == 0) > 3", "absent(up)", "1 > bool 2", "((a)) >= on (x) group_right (y) b", "a[5m:1m] offset 1h", `"text"`, "a > fill (0) b", "-(a > 1)"} {
		f.Add(text)
	}
	b := New(Config{})
	f.Fuzz(func(t *testing.T, text string) {
		expr, err := b.parse(text)
		if err != nil {
			return
		}
		all := conditions(expr)
		require.NotEmpty(t, all)
		for _, c := range all {
			_, err := b.parse(c.expr.String())
			require.NoError(t, err)
			if c.left != nil {
				require.NotEqual(t, parser.ValueTypeScalar, c.left.Type())
				c.pairs(model.Vector{{Metric: model.Metric{"a": "b"}}}, model.Vector{{Metric: model.Metric{"a": "b"}}})
			}
		}
		surelyEmpty(expr, func(*parser.VectorSelector) bool { return true })
		lowestPeaks(expr)
		if query, err := averaged(expr, time.Hour); err == nil {
			_, err := b.parse(query)
			require.NoError(t, err, query)
		}
	})
}
