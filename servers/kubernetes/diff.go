package kubernetes

import (
	"context"
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Bounds of what a diff shows of one object.
const (
	planLines   = 160 // of a plan, shared among its objects
	objectLines = 8   // each object gets at least so many
)

// difference lists the fields in which after differs from what p found. What
// is new is shown as far as p's object states it, without the defaults.
func difference(ctx context.Context, p *planned, after *unstructured.Unstructured) []string {
	if after == nil {
		return nil
	}
	b := p.essence(after)
	if p.before != nil {
		a := p.essence(p.before)
		return mcpkit.Difference(mcpkit.SideOf(ctx, a), mcpkit.SideOf(ctx, b), p.changing...)
	}
	given, _ := stated(p.object, b).(map[string]any)
	b = p.essence(&unstructured.Unstructured{Object: given})
	new := mcpkit.SideOf(ctx, b)
	for _, m := range []mcpkit.Object{new.Raw, new.Shown} { // the heading says these
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
	return mcpkit.Difference(mcpkit.Side{}, new, p.changing...)
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
