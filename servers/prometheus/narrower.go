package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxCounted is how many labels have their values counted.
const maxCounted = 5

// narrower counts the series of a result that is too long, known may be their
// number already, and proposes expressions with fewer. It says what it can:
// the result itself is there already.
func (b *Backend) narrower(ctx context.Context, expr parser.Expr, sample []model.Metric, known int, at time.Time) (total int, instead []string) {
	e := vectorOf(expr)
	total, values, err := b.spread(ctx, e, labelsOf(sample), at)
	if err != nil {
		total = known
	}
	if nameless(expr) {
		return total, []string{fmt.Sprintf("topk(10, count by (__name__) (%s)): which metrics they are", e)}
	}
	instead = []string{fmt.Sprintf("topk(10, %s): the 10 largest", e)}
	for _, l := range byValues(values) {
		if len(instead) == 3 || values[l]*2 > total {
			break
		}
		instead = append(instead, fmt.Sprintf("sum by (%s) (%s): %d series", labelName(l), e, values[l]))
	}
	return total, instead
}

// nameless reports whether an expression selects series of several metrics.
func nameless(expr parser.Expr) bool {
	return slices.ContainsFunc(selections(expr), func(s selection) bool { return s.name == "" })
}

// labelsOf are the labels of some series, those with the fewest values first.
func labelsOf(sample []model.Metric) []string {
	values := map[string]map[model.LabelValue]bool{}
	for _, m := range sample {
		for l, v := range m {
			if values[string(l)] == nil {
				values[string(l)] = map[model.LabelValue]bool{}
			}
			values[string(l)][v] = true
		}
	}
	out := slices.Collect(maps.Keys(values))
	slices.SortFunc(out, func(x, y string) int {
		return cmp.Or(cmp.Compare(len(values[x]), len(values[y])), cmp.Compare(x, y))
	})
	return out
}

// spread counts in one request the series of an instant vector, and the values
// that some of its labels have in them: the first maxCounted that have several.
func (b *Backend) spread(ctx context.Context, vector string, names []string, at time.Time) (total int, values map[string]int, err error) {
	parts := []string{fmt.Sprintf("count(%s)", vector)}
	for _, l := range names[:min(len(names), 2*maxCounted)] {
		parts = append(parts, fmt.Sprintf(`label_replace(count(group by (%s) (%s)), "by", %q, "", "")`, labelName(l), vector, l))
	}
	e, err := b.evaluate(ctx, strings.Join(parts, " or "), at, len(parts))
	if err != nil {
		return 0, nil, err
	}
	values = map[string]int{}
	v, _ := e.value.(model.Vector)
	for _, s := range v {
		if by := string(s.Metric["by"]); by == "" {
			total = int(s.Value)
		} else if s.Value > 1 {
			values[by] = int(s.Value)
		}
	}
	return total, values, nil
}

// byValues are labels with several values, those with the fewest first.
func byValues(values map[string]int) []string {
	out := slices.Collect(maps.Keys(values))
	slices.SortFunc(out, func(x, y string) int {
		return cmp.Or(cmp.Compare(values[x], values[y]), cmp.Compare(x, y))
	})
	return out
}

func fewest(values map[string]int) string {
	if names := byValues(values); len(names) > 0 {
		return names[0]
	}
	return ""
}
