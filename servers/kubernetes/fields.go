package kubernetes

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"
)

// field is a column computed from an object: one of ours by name, or a JSONPath.
type field struct {
	name string
	of   func(*unstructured.Unstructured) string
}

// namedFields are what people ask of objects that tables leave out.
var namedFields = map[string]func(*unstructured.Unstructured) string{
	"images":    func(o *unstructured.Unstructured) string { return strings.Join(images(o), ",") },
	"restarts":  func(o *unstructured.Unstructured) string { return strconv.FormatInt(restarts(o), 10) },
	"reason":    reasonOf,
	"node":      func(o *unstructured.Unstructured) string { return text(o, "spec", "nodeName") },
	"owner":     ownerOf,
	"labels":    func(o *unstructured.Unstructured) string { return pairs(o.GetLabels()) },
	"namespace": func(o *unstructured.Unstructured) string { return o.GetNamespace() },
	"phase":     func(o *unstructured.Unstructured) string { return text(o, "status", "phase") },
}

func parseField(name string) (field, error) {
	if of, ok := namedFields[name]; ok {
		return field{name, of}, nil
	}
	if !strings.ContainsAny(name, ".{[") {
		return field{}, mcpkit.Errorf(mcpkit.Invalid, "no field %q; use one of %s, or a JSONPath like .spec.replicas", name, strings.Join(sortedKeys(namedFields), ", "))
	}
	expression := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(name), "{"), "}")
	path := jsonpath.New(name).AllowMissingKeys(true)
	if err := path.Parse("{" + "." + strings.TrimPrefix(expression, ".") + "}"); err != nil {
		return field{}, mcpkit.Errorf(mcpkit.Invalid, "field %q is not a JSONPath: %w; write it like .spec.replicas or .status.conditions[?(@.type==\"Ready\")].status", name, err)
	}
	return field{name, func(o *unstructured.Unstructured) string {
		var b bytes.Buffer
		if err := path.Execute(&b, o.Object); err != nil {
			return ""
		}
		return b.String()
	}}, nil
}

// text is the string at a path, empty when there is none.
func text(o *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}

// maps lists the objects in the list at a path.
func maps(o map[string]any, path ...string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(o, path...)
	var out []map[string]any
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// podSpecPath is where an object keeps its pod's spec, nil when it has none.
func podSpecPath(o *unstructured.Unstructured) []string {
	switch o.GetKind() {
	case "Pod":
		return []string{"spec"}
	case "CronJob":
		return []string{"spec", "jobTemplate", "spec", "template", "spec"}
	}
	return []string{"spec", "template", "spec"}
}

// images lists the images of a pod or a workload, init containers first.
func images(o *unstructured.Unstructured) []string {
	var out []string
	for _, kind := range []string{"initContainers", "containers"} {
		for _, c := range maps(o.Object, append(podSpecPath(o), kind)...) {
			if image, ok := c["image"].(string); ok && !slices.Contains(out, image) {
				out = append(out, image)
			}
		}
	}
	return out
}

func restarts(o *unstructured.Unstructured) int64 {
	var sum int64
	for _, c := range maps(o.Object, "status", "containerStatuses") {
		n, _, _ := unstructured.NestedInt64(c, "restartCount")
		f, _, _ := unstructured.NestedFloat64(c, "restartCount")
		sum += n + int64(f)
	}
	return sum
}

// reasonOf is the most telling reason an object gives for its state.
func reasonOf(o *unstructured.Unstructured) string {
	for _, kind := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range maps(o.Object, "status", kind) {
			for _, state := range []string{"waiting", "terminated"} {
				if r, _, _ := unstructured.NestedString(c, "state", state, "reason"); r != "" && r != "Completed" {
					return r
				}
			}
		}
	}
	if r := text(o, "status", "reason"); r != "" {
		return r
	}
	for _, c := range maps(o.Object, "status", "conditions") {
		if r, _ := c["reason"].(string); c["status"] == "False" && r != "" {
			return r
		}
	}
	return ""
}

func ownerOf(o *unstructured.Unstructured) string {
	for _, r := range o.GetOwnerReferences() {
		return r.Kind + "/" + r.Name
	}
	return ""
}

func pairs(m map[string]string) string {
	var out []string
	for _, k := range sortedKeys(m) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ",")
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// sorter keeps the first rows of an order while pages go by.
type sorter struct {
	by         string
	descending bool
	field      *field // nil: a column of the table
	keys       []string
	seen       int
}

func newSorter(by string) (*sorter, error) {
	s := &sorter{by: strings.TrimPrefix(by, "-"), descending: strings.HasPrefix(by, "-")}
	if _, named := namedFields[s.by]; named || strings.ContainsAny(s.by, ".{[") {
		f, err := parseField(s.by)
		if err != nil {
			return nil, err
		}
		s.field = &f
	}
	return s, nil
}

// insert puts a row in its place among the best limit rows.
func (s *sorter) insert(rows [][]string, columns, cells []string, o *unstructured.Unstructured, limit int) [][]string {
	s.seen++
	key := ""
	if s.field != nil {
		key = s.field.of(o)
	} else if i := slices.Index(columns, strings.ToLower(s.by)); i >= 0 {
		key = cells[i]
	}
	at, _ := slices.BinarySearchFunc(s.keys, key, func(a, b string) int {
		if c := s.compare(a, b); c != 0 {
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

// compare orders numbers and quantities by value, everything else as text.
func (s *sorter) compare(a, b string) int {
	x, errX := resource.ParseQuantity(a)
	y, errY := resource.ParseQuantity(b)
	c := cmp.Compare(a, b)
	if errX == nil && errY == nil {
		c = x.Cmp(y)
	}
	if s.descending {
		return -c
	}
	return c
}

// count answers how many objects there are by one field, holding counts alone.
func (l *listing) count(ctx context.Context) (GetResourcesOut, error) {
	f, err := parseField(l.in.CountBy)
	if err != nil {
		return GetResourcesOut{}, err
	}
	counts, where := map[string]int{}, map[string]map[string]bool{}
	for token := ""; ; {
		page, err := l.page(ctx, token)
		if err != nil {
			return GetResourcesOut{}, err
		}
		for _, row := range page.Rows {
			o := rowObject(row)
			for _, value := range l.values(f, o) {
				counts[value]++
				if where[value] == nil {
					where[value] = map[string]bool{}
				}
				where[value][o.GetNamespace()] = true
			}
			l.out.Total++
		}
		if token = page.Continue; token == "" {
			return l.counted(f, counts, where), nil
		}
	}
}

// values are what one object counts under: each image by itself.
func (l *listing) values(f field, o *unstructured.Unstructured) []string {
	if f.name == "images" {
		return images(o)
	}
	return []string{f.of(o)}
}

func (l *listing) counted(f field, counts map[string]int, where map[string]map[string]bool) GetResourcesOut {
	values := sortedKeys(counts)
	slices.SortStableFunc(values, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	out := GetResourcesOut{Total: l.out.Total, Table: mcpkit.Table{Columns: []string{f.name, "count", "namespaces"}, Rows: [][]string{}}}
	shown, cut := mcpkit.FirstN(values, l.in.Limit, 100)
	for _, v := range shown {
		in := sortedKeys(where[v])
		list := strings.Join(in[:min(5, len(in))], ",") + more(len(in)-5)
		out.Rows = append(out.Rows, []string{v, strconv.Itoa(counts[v]), list})
	}
	if cut {
		out.Truncated, out.LeftOut = true, fmt.Sprintf("rows: %d of %d values; raise limit or narrow the selection", len(shown), len(values))
	}
	return out
}
