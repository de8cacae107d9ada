package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// sorter keeps the first rows of an order while pages go by.
type sorter struct {
	field      field
	descending bool
	of         func(metav1.TableRow, *unstructured.Unstructured) string
	ages       bool // the values are ages, such as 5m or 3d4h
	keys       []sortKey
	seen       int
}

func newSorter(by string) (*sorter, error) {
	by, descending := strings.CutPrefix(strings.TrimSpace(by), "-")
	f, err := parseField(by)
	return &sorter{field: f, descending: descending}, err
}

// ageColumns are the built-in types' columns of ages; custom types declare theirs.
var ageColumns = []string{"duration", "last_schedule", "last_seen", "first_seen"}

// bind finds what to sort by, shown or not. The age of an object is known to
// the second, whatever its column says.
func (s *sorter) bind(ctx context.Context, definitions []metav1.TableColumnDefinition) error {
	if s.field.name == "age" {
		s.of = func(_ metav1.TableRow, o *unstructured.Unstructured) string {
			return strconv.FormatInt(-o.GetCreationTimestamp().Unix(), 10)
		}
		return nil
	}
	c, err := s.field.column(ctx, definitions)
	s.of = c.of
	s.ages = slices.Contains(ageColumns, c.name)
	for _, d := range definitions {
		s.ages = s.ages || d.Type == "date" && columnName(d.Name) == c.name
	}
	return err
}

// insert puts a row in its place among the best limit rows.
func (s *sorter) insert(rows [][]string, cells []string, row metav1.TableRow, o *unstructured.Unstructured, limit int) [][]string {
	s.seen++
	key := newSortKey(s.of(row, o), s.ages)
	at, _ := slices.BinarySearchFunc(s.keys, key, func(a, b sortKey) int {
		if c := a.compare(b, s.descending); c != 0 {
			return c
		}
		return -1 // after its equals, in the order they came
	})
	if at >= limit {
		return rows
	}
	s.keys, rows = slices.Insert(s.keys, at, key), slices.Insert(rows, at, cells)
	if len(rows) > limit {
		s.keys, rows = s.keys[:limit], rows[:limit]
	}
	return rows
}

// sortKey is a value in the form it is ordered by: numbers first, then texts,
// and what is absent last whichever way the order goes.
type sortKey struct {
	class  sortClass
	number float64
	text   string
}

type sortClass int

const (
	sortNumber sortClass = iota
	sortText
	sortAbsent
)

// newSortKey reads quantities, percentages and ages as numbers, "3 (5m ago)" as 3.
func newSortKey(s string, age bool) sortKey {
	if s == "" || s == "<none>" || s == "<unknown>" || s == "<unset>" {
		return sortKey{class: sortAbsent}
	}
	if age {
		var d mcpkit.Duration
		if json.Unmarshal([]byte(strconv.Quote(s)), &d) == nil {
			return sortKey{number: time.Duration(d).Seconds()}
		}
	}
	first, _, _ := strings.Cut(s, " ")
	if q, err := resource.ParseQuantity(strings.TrimSuffix(first, "%")); err == nil {
		return sortKey{number: q.AsApproximateFloat64()}
	}
	return sortKey{class: sortText, text: s}
}

func (k sortKey) compare(other sortKey, descending bool) int {
	c := cmp.Or(cmp.Compare(k.number, other.number), cmp.Compare(k.text, other.text))
	if descending && k.class == other.class {
		c = -c
	}
	return cmp.Or(cmp.Compare(k.class, other.class), c)
}
