package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxCounted is how many different values are counted one by one. Those that
// come later are counted together.
const maxCounted = 5000

// otherValues stands for the values beyond maxCounted.
const otherValues = "(other values)"

// tally is how many objects have one value, and in which namespaces they are.
type tally struct {
	count      int
	namespaces map[string]bool
}

// count answers how many objects there are by one field, holding counts alone.
func (l *listing) count(ctx context.Context) error {
	counts := map[string]*tally{}
	var values func(metav1.TableRow) (values []string, namespace string)
	for from := (resumeToken{}); ; {
		page, err := l.page(ctx, from)
		if err != nil {
			return err
		}
		if values == nil {
			if values, err = l.counted(ctx, page.ColumnDefinitions); err != nil {
				return err
			}
		}
		for _, row := range page.Rows {
			l.out.Total++
			found, namespace := values(row)
			for _, v := range found {
				tallied(counts, v).add(namespace)
			}
		}
		if from.Token = page.Continue; from.Token == "" {
			l.answerCounts(counts)
			return nil
		}
	}
}

func tallied(counts map[string]*tally, value string) *tally {
	if counts[value] == nil && len(counts) >= maxCounted {
		value = otherValues
	}
	if counts[value] == nil {
		counts[value] = &tally{namespaces: map[string]bool{}}
	}
	return counts[value]
}

func (t *tally) add(namespace string) {
	t.count++
	t.namespaces[namespace] = true
}

// counted returns what one row counts under: each image by itself, anything
// else as one value.
func (l *listing) counted(ctx context.Context, definitions []metav1.TableColumnDefinition) (func(metav1.TableRow) ([]string, string), error) {
	c, err := l.countBy.column(ctx, definitions)
	return func(row metav1.TableRow) ([]string, string) {
		o := rowObject(row)
		if l.countBy.name == "images" {
			return images(o), o.GetNamespace()
		}
		return []string{c.of(row, o)}, o.GetNamespace()
	}, err
}

// answerCounts lists the values, most frequent first.
func (l *listing) answerCounts(counts map[string]*tally) {
	values := sortedKeys(counts)
	slices.SortStableFunc(values, func(a, b string) int { return cmp.Compare(counts[b].count, counts[a].count) })
	l.out.Columns = []string{l.countBy.name, "count"}
	across := l.t.Namespaced && l.namespace == ""
	if across {
		l.out.Columns = append(l.out.Columns, "namespaces")
	}
	shown, cut := mcpkit.FirstN(values, l.in.Limit, 100)
	for _, v := range shown {
		cells := []string{v, strconv.Itoa(counts[v].count)}
		if across {
			in := sortedKeys(counts[v].namespaces)
			cells = append(cells, strings.Join(in[:min(5, len(in))], ",")+more(len(in)-5))
		}
		l.out.Rows = append(l.out.Rows, cells)
	}
	if cut {
		l.out.Truncated, l.out.LeftOut = true, fmt.Sprintf("rows: %d of %d values; raise limit or narrow the selection", len(shown), len(values))
	}
}
