package kubernetes

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Bounds of what a diff shows of one value and of one object.
const (
	valueBytes  = 120 // a longer value is taken apart, or cut where it cannot be
	textLines   = 12  // of a text of several lines, on either side
	planLines   = 160 // of a plan, shared among its objects
	objectLines = 8   // each object gets at least so many
)

// difference lists the fields in which after differs from what p found. What
// is new is shown as far as p's object states it, without the defaults.
func difference(ctx context.Context, p *planned, after *unstructured.Unstructured) []string {
	if after == nil {
		return nil
	}
	d := differ{changing: p.changing}
	b := p.essence(after)
	if p.before != nil {
		a := p.essence(p.before)
		d.compare("", value{a, redacted(ctx, a), true}, value{b, redacted(ctx, b), true})
		return d.lines
	}
	given, _ := stated(p.object, b).(map[string]any)
	b = p.essence(&unstructured.Unstructured{Object: given})
	shown, _ := redacted(ctx, b).(map[string]any)
	for _, m := range []map[string]any{b, shown} { // the heading says these
		delete(m, "apiVersion")
		delete(m, "kind")
		if metadata, ok := m["metadata"].(map[string]any); ok {
			delete(metadata, "name")
			delete(metadata, "namespace")
			if len(metadata) == 0 {
				delete(m, "metadata")
			}
		}
	}
	d.compare("", value{map[string]any{}, map[string]any{}, true}, value{b, shown, true})
	return d.lines
}

func redacted(ctx context.Context, o map[string]any) any {
	return map[string]any(mcpkit.Redact(ctx, o))
}

// stated is the part of full that given has too, with full's values, and what
// given alone has, such as a Secret's stringData.
func stated(given, full any) any {
	switch g := given.(type) {
	case map[string]any:
		f, ok := full.(map[string]any)
		if !ok {
			return given
		}
		out := map[string]any{}
		for k, v := range g {
			out[k] = stated(v, f[k])
		}
		return out
	case []any:
		f, ok := full.([]any)
		if !ok || len(f) != len(g) {
			return given
		}
		out := make([]any, len(g))
		for i := range g {
			out[i] = stated(g[i], f[i])
		}
		return out
	}
	if full == nil {
		return given
	}
	return full
}

// value is one side of a comparison: as it is, which decides, and redacted,
// which is shown.
type value struct {
	raw, shown any
	there      bool
}

// under is the value of a map's key.
func (v value) under(key string) value {
	raw, there := v.raw.(map[string]any)[key]
	return value{raw, or(v.shown.(map[string]any)[key], raw), there}
}

// at is the i-th item of a list, none for -1.
func (v value) at(i int) value {
	if i < 0 {
		return value{}
	}
	raw := v.raw.([]any)[i]
	return value{raw, or(v.shown.([]any)[i], raw), true}
}

// or is what is shown of raw, which is nothing where redaction changed its form.
func or(shown, raw any) any {
	a, b := reflect.TypeOf(shown), reflect.TypeOf(raw)
	if l, ok := raw.([]any); ok && a == b && len(l) != len(shown.([]any)) || a != b && !isString(shown) {
		return "(not shown)"
	}
	return shown
}

func isString(v any) bool { _, ok := v.(string); return ok }

// differ collects the lines of one object's diff.
type differ struct {
	lines    []string
	changing []string
}

func (d *differ) add(sign, path, text string) { d.lines = append(d.lines, sign+" "+path+": "+text) }

func (d *differ) compare(path string, a, b value) {
	switch {
	case a.there && b.there && reflect.DeepEqual(a.raw, b.raw):
	case slices.Contains(d.changing, path):
		d.add("~", path, "(set anew)")
	case bothAre[map[string]any](a, b):
		keys := map[string]bool{}
		for _, m := range []any{a.raw, b.raw} {
			for k := range m.(map[string]any) {
				keys[k] = true
			}
		}
		for _, k := range sortedKeys(keys) {
			d.compare(below(path, k), a.under(k), b.under(k))
		}
	case !a.there:
		d.whole("+", path, b)
	case !b.there:
		d.whole("-", path, a)
	case bothAre[[]any](a, b) && d.items(path, a, b):
	case bothAre[string](a, b) && (strings.Contains(a.raw.(string), "\n") || strings.Contains(b.raw.(string), "\n")):
		d.text(path, a, b)
	default:
		d.changed(path, flow(a.shown), flow(b.shown))
	}
}

func bothAre[T any](a, b value) bool {
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
	d.add("~", path, cut(a)+" -> "+cut(b))
}

// whole shows a value that only one side has: in one line when it is short.
func (d *differ) whole(sign, path string, v value) {
	line := flow(v.shown)
	m, isMap := v.shown.(map[string]any)
	l, isList := v.shown.([]any)
	text, isText := v.shown.(string)
	switch {
	case slices.Contains(d.changing, path):
		d.add(sign, path, "(set anew)")
	case isMap && slices.ContainsFunc(d.changing, func(p string) bool { return strings.HasPrefix(p, path) }):
		for _, k := range sortedKeys(m) {
			d.whole(sign, below(path, k), value{shown: m[k]})
		}
	case isText && strings.Contains(text, "\n"):
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		d.add(sign, path, fmt.Sprintf("(%d lines)", len(lines)))
		d.block(sign, lines)
	case len(line) <= valueBytes || sign == "-":
		d.add(sign, path, cut(line))
	case isMap:
		for _, k := range sortedKeys(m) {
			d.whole(sign, below(path, k), value{shown: m[k]})
		}
	case isList:
		key := identity(l)
		for i, item := range l {
			d.whole(sign, path+"["+label(item, key, i)+"]", value{shown: item})
		}
	default:
		d.add(sign, path, cut(line))
	}
}

// items compares lists of objects by what identifies an item, such as its
// name. It reports false when nothing does, or when their order differs too.
func (d *differ) items(path string, a, b value) bool {
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
			d.compare(path+"["+name+"]", a.at(i), value{})
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
func (d *differ) text(path string, a, b value) {
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
		d.lines = append(d.lines, "    "+sign+" "+cut(l))
	}
}

// diffText is the diff of a whole plan, and how many of its lines that leaves
// out. It says of every object what happens to it.
func diffText(all []*planned) (string, int) {
	var b strings.Builder
	left := 0
	var changed []*planned
	for _, p := range all {
		if p.changes() {
			changed = append(changed, p)
		}
	}
	for _, p := range changed {
		indent := ""
		if sign := p.sign(); len(all) > 1 || sign != "~" {
			indent = "    "
			fmt.Fprintf(&b, "%s %s\n", sign, p)
		}
		room := max(objectLines, planLines/len(changed))
		for i, line := range p.diff {
			if i == room {
				fmt.Fprintf(&b, "%s… %d more lines\n", indent, len(p.diff)-i)
				left += len(p.diff) - i
				break
			}
			b.WriteString(indent + line + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n"), left
}

// sign is how a diff marks what happens to the object as a whole.
func (p *planned) sign() string {
	switch {
	case p.action == deleting:
		return "-"
	case p.before == nil:
		return "+"
	}
	return "~"
}
