package helm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/runtime"
)

// Bounds of what a diff of manifests shows.
const (
	diffLines   = 160 // shared among the objects that differ
	objectLines = 8   // each of them gets at least so many
	alikeFrom   = 3   // objects with the same change, which is then said once
)

// manifestDiff is how one manifest differs from another, object by object.
type manifestDiff struct {
	objects    []objectDiff // in the order of the manifests, what is gone last
	alike      []alikeChange
	unchanged  int
	unreadable []string
}

// objectDiff is what happens to one object.
type objectDiff struct {
	sign   string // + new, - gone, ~ changed
	object string
	lines  []string // as mcpkit.Difference writes them; none when all are alike
}

// alikeChange is what the same many objects share, such as the change of the
// chart's version in their labels.
type alikeChange struct {
	lines   []string
	objects []string
}

// diffManifests compares rendered manifests of a release in namespace. Secrets
// in it are redacted; what is unchanged is only counted.
func diffManifests(ctx context.Context, namespace, before, after string) manifestDiff {
	return diffKind(ctx, namespace, before, after, "")
}

// diffKind is diffManifests for the objects of one kind, of any if it is empty.
func diffKind(ctx context.Context, namespace, before, after, kind string) manifestDiff {
	was, badBefore := parseManifest(before, namespace)
	is, badAfter := parseManifest(after, namespace)
	other := func(o manifestObject) bool { return !o.is(kind, "") }
	was, is = slices.DeleteFunc(was, other), slices.DeleteFunc(is, other)
	var d manifestDiff
	d.note("before", badBefore)
	d.note("after", badAfter)
	old := map[string]manifestObject{}
	for _, o := range was {
		old[o.key()] = o
	}
	kept := map[string]bool{}
	for _, o := range is {
		a, there := old[o.key()]
		if kept[o.key()] {
			a, there = o, true // stated twice: the second changes nothing
		}
		kept[o.key()] = true
		d.compare(ctx, namespace, a, o, there)
	}
	for _, o := range was {
		if !kept[o.key()] {
			kept[o.key()] = true
			d.objects = append(d.objects, objectDiff{sign: "-", object: o.titled(namespace)})
		}
	}
	d.fold()
	return d
}

func (d *manifestDiff) note(side string, bad []string) {
	for _, b := range bad {
		d.unreadable = append(d.unreadable, side+", "+b)
	}
}

func (d *manifestDiff) compare(ctx context.Context, namespace string, before, after manifestObject, there bool) {
	new := objectDiff{sign: "~", object: after.titled(namespace)}
	b := mcpkit.SideOf(ctx, after.Object)
	if there {
		new.lines = mcpkit.Difference(mcpkit.SideOf(ctx, before.Object), b)
	} else {
		new.sign = "+"
		new.lines = mcpkit.Difference(mcpkit.Side{}, mcpkit.Side{Raw: unheaded(b.Raw), Shown: unheaded(b.Shown)})
	}
	if there && len(new.lines) == 0 {
		d.unchanged++
		return
	}
	d.objects = append(d.objects, new)
}

// unheaded is an object without what a heading says of it, and without the
// labels that every object of a chart has.
func unheaded(o mcpkit.Object) mcpkit.Object {
	out := runtime.DeepCopyJSON(o)
	delete(out, "apiVersion")
	delete(out, "kind")
	metadata, ok := out["metadata"].(map[string]any)
	if !ok {
		return out
	}
	delete(metadata, "name")
	delete(metadata, "namespace")
	if labels, ok := metadata["labels"].(map[string]any); ok {
		maps.DeleteFunc(labels, func(k string, _ any) bool { return strings.HasPrefix(k, "app.kubernetes.io/") || k == "helm.sh/chart" })
		if len(labels) == 0 {
			delete(metadata, "labels")
		}
	}
	if len(metadata) == 0 {
		delete(out, "metadata")
	}
	return out
}

// fold takes changes that many objects share out of each of them.
func (d *manifestDiff) fold() {
	at := map[string][]string{}
	for _, o := range d.objects {
		for i, line := range o.lines {
			if o.sign == "~" && single(o.lines, i) {
				at[line] = append(at[line], o.object)
			}
		}
	}
	said := map[string]bool{}
	for i := range d.objects {
		o := &d.objects[i]
		var rest []string
		for j, line := range o.lines {
			if o.sign != "~" || !single(o.lines, j) || len(at[line]) < alikeFrom {
				rest = append(rest, line)
				continue
			}
			if !said[line] {
				said[line] = true
				d.share(line, at[line])
			}
		}
		o.lines = rest
	}
}

// share notes a change that objects share.
func (d *manifestDiff) share(line string, objects []string) {
	i := slices.IndexFunc(d.alike, func(a alikeChange) bool { return slices.Equal(a.objects, objects) })
	if i < 0 {
		i = len(d.alike)
		d.alike = append(d.alike, alikeChange{objects: objects})
	}
	d.alike[i].lines = append(d.alike[i].lines, line)
}

// single reports whether a line of a difference has no block below it.
func single(lines []string, i int) bool {
	return !strings.HasPrefix(lines[i], " ") && (i+1 == len(lines) || !strings.HasPrefix(lines[i+1], " "))
}

// empty reports whether nothing differs.
func (d manifestDiff) empty() bool { return len(d.objects) == 0 && len(d.unreadable) == 0 }

// summary counts what happens to the objects.
func (d manifestDiff) summary() string {
	counts := map[string]int{}
	for _, o := range d.objects {
		counts[o.sign]++
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{counts["+"], "added"}, {counts["~"], "changed"}, {counts["-"], "removed"}, {d.unchanged, "unchanged"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(parts) == 0 {
		return "no objects"
	}
	return strings.Join(parts, ", ")
}

// text is the diff as a person and a model read it, and how many of its lines
// that leaves out. It is empty when nothing differs.
func (d manifestDiff) text() (string, int) {
	var b strings.Builder
	left, shown := 0, 0
	for _, o := range d.objects {
		if o.sign != "~" || len(o.lines) > 0 {
			shown++
		}
	}
	for _, o := range d.objects {
		if o.sign == "~" && len(o.lines) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s %s\n", o.sign, o.object)
		room := max(objectLines, diffLines/shown)
		for i, line := range o.lines {
			if i == room {
				fmt.Fprintf(&b, "    … %d more lines\n", len(o.lines)-i)
				left += len(o.lines) - i
				break
			}
			b.WriteString("    " + line + "\n")
		}
	}
	for _, a := range d.alike {
		fmt.Fprintf(&b, "in each of %d objects (%s):\n    %s\n", len(a.objects), first(a.objects, 3), strings.Join(a.lines, "\n    "))
	}
	for _, bad := range d.unreadable {
		fmt.Fprintf(&b, "! not readable: %s\n", bad)
	}
	return strings.TrimRight(b.String(), "\n"), left
}

// first lists the first most of names.
func first(names []string, most int) string {
	text := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}
