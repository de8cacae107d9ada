package prometheus

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func TestSelectorReadsBack(t *testing.T) {
	parser := newParser()
	for want, m := range map[string]model.Metric{
		"{}":                       {},
		"up":                       {"__name__": "up"},
		`up{job="a\"b\n"}`:         {"__name__": "up", "job": "a\"b\n"},
		`{job="web", zone="eu"}`:   {"zone": "eu", "job": "web"},
		`{"my.metric", a="1"}`:     {"__name__": "my.metric", "a": "1"},
		`up{"my.label"="<x> | y"}`: {"__name__": "up", "my.label": "<x> | y"},
	} {
		require.Equal(t, want, selector(m))
		if len(m) > 0 {
			_, err := parser.ParseMetricSelector(want)
			require.NoError(t, err)
		}
	}
}

func TestTabulate(t *testing.T) {
	up := func(job, instance string) model.Metric {
		return model.Metric{"__name__": "up", "job": model.LabelValue(job), "instance": model.LabelValue(instance), "cluster": "c"}
	}
	cells := [][]string{{"1"}, {"0"}}
	same, table := tabulate([]model.Metric{up("a", "1"), up("b", "2")}, []string{"value"}, cells)
	require.Equal(t, `up{cluster="c"}`, same)
	require.Equal(t, []string{"instance", "job", "value"}, table.Columns)
	require.Equal(t, [][]string{{"1", "a", "1"}, {"2", "b", "0"}}, table.Rows)

	same, table = tabulate([]model.Metric{up("a", "1")}, []string{"value"}, cells)
	require.Empty(t, same)
	require.Equal(t, [][]string{{`up{cluster="c", instance="1", job="a"}`, "1"}}, table.Rows)

	odd := []model.Metric{{"a": "1"}, {"b": "2"}, {"c": "3"}, {"d": "4"}, {"e": "5"}, {"f": "6"}, {"g": "7"}, {"h": "8"}}
	_, table = tabulate(odd, []string{"value"}, make([][]string, len(odd)))
	require.Equal(t, []string{"series", "value"}, table.Columns)
	require.Equal(t, []string{`{a="1"}`}, table.Rows[0])

	same, table = tabulate(nil, []string{"value"}, nil)
	require.Empty(t, same)
	require.Empty(t, table.Rows)
}

func TestChooseStep(t *testing.T) {
	for over, want := range map[time.Duration]time.Duration{
		0: time.Second, time.Minute: time.Second, time.Hour: time.Minute, 6 * time.Hour: 5 * time.Minute,
		day: 15 * time.Minute, 7 * day: 2 * time.Hour, 90 * day: day, 365 * day: 4 * day,
	} {
		require.Equal(t, want, chooseStep(over, 100), "over %s", over)
		require.LessOrEqual(t, pointsOf(over, want), 101)
	}
	require.Equal(t, "1h30m", span(90*time.Minute))
}
