package mcpkit

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what a difference shows of one value.
const (
	valueBytes = 120 // a longer value is taken apart, or cut where it cannot be
	textLines  = 12  // of a text of several lines, on either side
)

// Side is one side of a comparison of objects: as it is, which decides, and
// redacted, which is shown.
type Side struct{ Raw, Shown Object }

// SideOf returns o as the server of ctx's call may show it to whoever decides:
// what could not be seen is written out.
func SideOf(ctx context.Context, o Object) Side {
	return Side{o, redactorOf(ctx).InSight().Object(o)}
}

// Difference lists the fields in which after differs from before, one a line:
// "~ spec.replicas: 2 -> 3", "+ spec.paused: true", "- metadata.labels.app: web".
// Of fields at the paths anew it says only that they are set anew. An absent
// object is a Side of empty ones.
func Difference(before, after Side, anew ...string) []string {
	d := differ{anew: anew}
	d.compare("", before.field(), after.field())
	return d.lines
}

func (s Side) field() field { return field{map[string]any(s.Raw), map[string]any(s.Shown), true} }

// field is one field of both forms of a side, if it is there.
type field struct {
	raw, shown any
	there      bool
}

// under is the value of a map's key.
func (v field) under(key string) field {
	raw, there := v.raw.(map[string]any)[key]
	return field{raw, or(v.shown.(map[string]any)[key], raw), there}
}

// at is the i-th item of a list, none for -1.
func (v field) at(i int) field {
	if i < 0 {
		return field{}
	}
	raw := v.raw.([]any)[i]
	return field{raw, or(v.shown.([]any)[i], raw), true}
}

// or is what is shown of raw, which is nothing where redaction changed its form.
// Go's type of a number is no form.
func or(shown, raw any) any {
	_, isMap := shown.(map[string]any)
	list, isList := shown.([]any)
	_, isText := shown.(string)
	same := false
	switch raw := raw.(type) {
	case map[string]any:
		same = isMap
	case []any:
		same = isList && len(list) == len(raw)
	default:
		same = !isMap && !isList && (shown != nil || raw == nil)
	}
	if same || isText {
		return shown
	}
	return "(not shown)"
}

// differ collects the lines of one object's diff.
type differ struct {
	lines []string
	anew  []string
}

func (d *differ) add(sign, path, text string) { d.lines = append(d.lines, sign+" "+path+": "+text) }

func (d *differ) compare(path string, a, b field) {
	switch {
	case a.there && b.there && reflect.DeepEqual(a.raw, b.raw):
	case slices.Contains(d.anew, path):
		d.add("~", path, "(set anew)")
	case bothAre[map[string]any](a, b):
		keys := map[string]bool{}
		for _, m := range []any{a.raw, b.raw} {
			for k := range m.(map[string]any) {
				keys[k] = true
			}
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			d.compare(FieldPath(path, k), a.under(k), b.under(k))
		}
	case !a.there:
		d.whole("+", path, b)
		d.warn(b)
	case !b.there:
		d.whole("-", path, a)
	case bothAre[[]any](a, b) && d.items(path, a, b):
	case bothAre[string](a, b) && (strings.Contains(a.raw.(string), "\n") || strings.Contains(b.raw.(string), "\n")):
		d.text(path, a, b)
		d.warn(b)
	default:
		d.changed(path, Flow(a.shown), Flow(b.shown))
		d.warn(b)
	}
}

// warn says of a new value what nobody could see of it.
func (d *differ) warn(v field) {
	if hidesCommand(v.raw, v.shown) {
		d.lines = append(d.lines, "    (what is not shown of this is more than a word to a shell, which would run it in a command)")
	}
}

func bothAre[T any](a, b field) bool {
	if !a.there || !b.there {
		return false
	}
	_, okA := a.raw.(T)
	_, okB := b.raw.(T)
	_, shownA := a.shown.(T)
	_, shownB := b.shown.(T)
	return okA && okB && shownA && shownB
}

func (d *differ) changed(path, a, b string) {
	if a == b {
		d.add("~", path, "(differs in what is not shown)")
		return
	}
	if len(a) > valueBytes || len(b) > valueBytes { // begin where they part
		n := 0
		for n < min(len(a), len(b)) && a[n] == b[n] {
			n++
		}
		if n -= 20; n > 0 {
			a, b = "…"+strings.ToValidUTF8(a[n:], ""), "…"+strings.ToValidUTF8(b[n:], "")
		}
	}
	d.add("~", path, Cut(a)+" -> "+Cut(b))
}

// whole shows a value that only one side has: in one line when it is short.
func (d *differ) whole(sign, path string, v field) {
	line := Flow(v.shown)
	m, isMap := v.shown.(map[string]any)
	l, isList := v.shown.([]any)
	text, isText := v.shown.(string)
	switch {
	case slices.Contains(d.anew, path):
		d.add(sign, path, "(set anew)")
	case isMap && slices.ContainsFunc(d.anew, func(p string) bool { return strings.HasPrefix(p, path) }):
		for _, k := range slices.Sorted(maps.Keys(m)) {
			d.whole(sign, FieldPath(path, k), field{shown: m[k]})
		}
	case isText && strings.Contains(text, "\n"):
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		d.add(sign, path, fmt.Sprintf("(%d lines)", len(lines)))
		d.block(sign, lines)
	case len(line) <= valueBytes || sign == "-":
		d.add(sign, path, Cut(line))
	case isMap:
		for _, k := range slices.Sorted(maps.Keys(m)) {
			d.whole(sign, FieldPath(path, k), field{shown: m[k]})
		}
	case isList:
		key := identity(l)
		for i, item := range l {
			d.whole(sign, path+"["+label(item, key, i)+"]", field{shown: item})
		}
	default:
		d.add(sign, path, Cut(line))
	}
}

// items compares lists of objects by what identifies an item, such as its
// name. It reports false when nothing does, or when their order differs too.
func (d *differ) items(path string, a, b field) bool {
	x, y := a.raw.([]any), b.raw.([]any)
	key := identity(x)
	if key == "" || key != identity(y) {
		return false
	}
	at := map[string]int{}
	for i, item := range x {
		at[label(item, key, i)] = i
	}
	last := -1
	for i, item := range y {
		if j, ok := at[label(item, key, i)]; ok {
			if j < last {
				return false
			}
			last = j
		}
	}
	for i, item := range y {
		name := label(item, key, i)
		j, ok := at[name]
		if !ok {
			j = -1
		}
		d.compare(path+"["+name+"]", a.at(j), b.at(i))
		delete(at, name)
	}
	for i, item := range x {
		name := label(item, key, i)
		if _, gone := at[name]; gone {
			d.compare(path+"["+name+"]", a.at(i), field{})
		}
	}
	return true
}

// identity is the field by which the items of a list are told apart.
func identity(list []any) string {
	for _, key := range []string{"name", "type", "containerPort", "port", "mountPath", "key", "uid", "ip"} {
		seen := map[string]bool{}
		for i, item := range list {
			if m, ok := item.(map[string]any); ok && m[key] != nil {
				seen[label(item, key, i)] = true
			}
		}
		if len(seen) > 0 && len(seen) == len(list) {
			return key
		}
	}
	return ""
}

func label(item any, key string, i int) string {
	if m, ok := item.(map[string]any); ok && key != "" {
		return fmt.Sprint(m[key])
	}
	return strconv.Itoa(i)
}

// text shows which lines of a text change.
func (d *differ) text(path string, a, b field) {
	x, y := strings.Split(a.shown.(string), "\n"), strings.Split(b.shown.(string), "\n")
	from := 0
	for from < min(len(x), len(y)) && x[from] == y[from] {
		from++
	}
	tail := 0
	for tail < min(len(x), len(y))-from && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	x, y = x[from:len(x)-tail], y[from:len(y)-tail]
	if len(x)+len(y) == 0 {
		d.changed(path, "", "")
		return
	}
	d.add("~", path, fmt.Sprintf("(from line %d)", from+1))
	d.block("-", x)
	d.block("+", y)
}

func (d *differ) block(sign string, lines []string) {
	for i, l := range lines {
		if i == textLines {
			d.lines = append(d.lines, fmt.Sprintf("    %s … %d more lines", sign, len(lines)-i))
			return
		}
		d.lines = append(d.lines, "    "+sign+" "+Cut(l))
	}
}
