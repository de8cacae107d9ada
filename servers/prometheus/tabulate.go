package prometheus

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// selector writes a series as PromQL reads it back: up{job="web"}, and
// {"my.metric", a="b"} where a name needs quotes. A series without labels is {}.
func selector(m model.Metric) string {
	var parts []string
	name := string(m[model.MetricNameLabel])
	bare := name == "" || model.LegacyValidation.IsValidMetricName(name)
	if !bare {
		parts = append(parts, strconv.Quote(name))
		name = ""
	}
	for _, l := range slices.Sorted(maps.Keys(m)) {
		if l != model.MetricNameLabel {
			parts = append(parts, labelName(string(l))+"="+strconv.Quote(string(m[l])))
		}
	}
	if len(parts) == 0 && name != "" {
		return name
	}
	return name + "{" + strings.Join(parts, ", ") + "}"
}

// labelName quotes a label name where PromQL needs it.
func labelName(l string) string {
	if model.LegacyValidation.IsValidLabelName(l) {
		return l
	}
	return strconv.Quote(l)
}

// common returns the labels that all series have with the same value; the
// labels of a single series are its own.
func common(metrics []model.Metric) model.Metric {
	out := model.Metric{}
	if len(metrics) < 2 {
		return out
	}
	maps.Copy(out, metrics[0])
	for _, m := range metrics[1:] {
		for l, v := range out {
			if m[l] != v {
				delete(out, l)
			}
		}
	}
	return out
}

// tabulate makes a table with one row per series: its labels, then its cells,
// which columns name. The labels that all series share are returned apart, as a
// selector, empty if there are none. Each other label is a column, unless so
// many series lack it that one column of selectors is shorter.
func tabulate(metrics []model.Metric, columns []string, cells [][]string) (same string, t mcpkit.Table) {
	shared := common(metrics)
	if len(shared) > 0 {
		same = selector(shared)
	}
	names := varying(metrics, shared)
	t = mcpkit.Table{Columns: slices.Concat(names, columns), Rows: [][]string{}}
	wide, narrow := 0, 0
	for _, m := range metrics {
		for _, l := range names {
			wide += len(m[model.LabelName(l)]) + len(`"",`)
		}
		narrow += len(selector(without(m, shared))) + len(`"",`)
	}
	whole := len(metrics) < 2 || wide > narrow
	if whole {
		names, t.Columns = nil, slices.Concat([]string{"series"}, columns)
	}
	for i, m := range metrics {
		row := make([]string, 0, len(t.Columns))
		for _, l := range names {
			row = append(row, string(m[model.LabelName(l)]))
		}
		if whole {
			row = append(row, selector(without(m, shared)))
		}
		t.Rows = append(t.Rows, append(row, cells[i]...))
	}
	return same, t
}

// varying are the labels, sorted, that the series have beside the shared ones.
func varying(metrics []model.Metric, shared model.Metric) []string {
	set := map[string]bool{}
	for _, m := range metrics {
		for l := range m {
			if _, ok := shared[l]; !ok {
				set[string(l)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func without(m, shared model.Metric) model.Metric {
	out := maps.Clone(m)
	for l := range shared {
		delete(out, l)
	}
	return out
}
