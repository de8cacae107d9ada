package kubernetes

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// field is what a column can be asked to show: one of ours by name, a JSONPath,
// or a column of the API server's table.
type field struct {
	name string
	of   func(*unstructured.Unstructured) string // ours
	path *path
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

// parseField reads a field's name. Whether a plain word is a column of the
// table is known only once the API server has sent one.
func parseField(name string) (field, error) {
	name = strings.TrimSpace(name)
	if of, ok := namedFields[name]; ok {
		return field{name: name, of: of}, nil
	}
	if name != "" && !strings.ContainsAny(name, ".{[$@") {
		return field{name: columnName(name)}, nil
	}
	p, err := parsePath(name)
	return field{name: name, path: &p}, err
}

// needsObject reports whether the field is made from the whole object.
func (f field) needsObject() bool { return f.of != nil || f.path != nil }

// column is the field as a column of a table with these definitions. What a
// JSONPath takes out of an object is redacted first: a part does not say any
// more what it is a part of.
func (f field) column(ctx context.Context, definitions []metav1.TableColumnDefinition) (column, error) {
	switch {
	case f.of != nil:
		return column{f.name, func(_ metav1.TableRow, o *unstructured.Unstructured) string { return f.of(o) }}, nil
	case f.path != nil:
		return column{f.name, func(_ metav1.TableRow, o *unstructured.Unstructured) string {
			return f.path.text(mcpkit.Redact(ctx, f.path.around(o.Object)))
		}}, nil
	}
	var names []string
	for i, d := range definitions {
		if names = append(names, columnName(d.Name)); names[i] == f.name {
			return tableColumn(definitions, i), nil
		}
	}
	return column{}, mcpkit.Errorf(mcpkit.Invalid, "no field %s; use one of %s, a column of this type (%s), or a JSONPath like .spec.replicas",
		shown(f.name), strings.Join(sortedKeys(namedFields), ", "), strings.Join(names, ", "))
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

// restarts counts those of every container, init containers too.
func restarts(o *unstructured.Unstructured) int64 {
	var sum int64
	for _, kind := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range maps(o.Object, "status", kind) {
			n, _, _ := unstructured.NestedInt64(c, "restartCount")
			sum += n
		}
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
	for _, path := range [][]string{{"status", "reason"}, {"reason"}} {
		if r := text(o, path...); r != "" {
			return r
		}
	}
	for _, c := range maps(o.Object, "status", "conditions") {
		if r, _ := c["reason"].(string); r != "" && troubled(c) {
			return r
		}
	}
	return ""
}

// troubles are parts of the names of conditions that are bad when they hold.
// Every other condition is bad when it does not.
var troubles = []string{"Pressure", "Unavailable", "Fail", "Degraded", "Stalled", "Limited", "Remaining", "Disruption", "Suspended", "Dangling"}

// troubled reports whether a condition says that something is wrong.
func troubled(condition map[string]any) bool {
	name, _ := condition["type"].(string)
	bad := "False"
	if slices.ContainsFunc(troubles, func(part string) bool { return strings.Contains(name, part) }) {
		bad = "True"
	}
	return condition["status"] == bad || condition["status"] == "Unknown"
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
