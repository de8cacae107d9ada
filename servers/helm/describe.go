package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
)

// describe adds to the notes what was found when the objects were tried.
func (w *write) describe() {
	var blind, keeps []string
	for _, s := range w.steps {
		switch {
		case s.blind && !w.newSpace:
			blind = append(blind, s.String())
		case s.deed == keeping:
			keeps = append(keeps, s.String())
		}
	}
	if len(keeps) > 0 {
		w.notes = append(w.notes, "these stay, by their resource policy, and belong to no release any more: "+strings.Join(firstLines(keeps, linesShown), ", "))
	}
	if len(blind) > 0 && w.types == nil {
		w.notes = append(w.notes, "these could not be tried beforehand: "+strings.Join(firstLines(blind, linesShown), ", "))
	}
	w.notes = append(w.notes, kept(w.steps)...)
}

// objectLines say what happens to the objects.
func (w *write) objectLines(ctx context.Context) []string {
	var lines []string
	if w.op == removing {
		for _, s := range w.steps {
			if s.deed == deleting {
				lines = append(lines, "- "+s.String())
			}
		}
		return lines
	}
	after := w.after
	if w.outline != nil {
		after = w.outline.release(after)
	}
	diff := diffManifests(ctx, w.Namespace, stated(w.before, w.op), stated(after, w.op))
	slices.SortStableFunc(diff.objects, func(a, b objectDiff) int { // what goes stands first, where nothing is cut
		return strings.Index("-~+", a.sign) - strings.Index("-~+", b.sign)
	})
	if text, _ := diff.text(); text != "" {
		lines = append(lines, strings.Split(text, "\n")...)
	}
	for _, s := range w.steps {
		switch {
		case s.deed == restoring:
			lines = append(lines, "~ "+s.String()+": somebody changed it since; it is made as the chart has it")
		case s.deed == creating && s.known:
			lines = append(lines, "+ "+s.String()+": it is gone and is created again")
		}
	}
	if len(lines) > 1 && !diff.empty() {
		lines = append([]string{"objects: " + diff.summary()}, lines...)
	}
	return lines
}

// diffBytes bounds the diff of a plan, so that its notes are read too.
const diffBytes = 6 << 10

// bounded is a diff of not too many lines, which says what is left out.
func bounded(lines []string) []string {
	size := 0
	for i, line := range lines {
		if size += len(line) + 1; size > diffBytes {
			return append(lines[:i:i], fmt.Sprintf("… %d more lines are not shown, and approved all the same; helm_diff_release or helm_template shows all", len(lines)-i))
		}
	}
	return lines
}

// stated are the objects and the hooks that a revision states, of hooks at an
// install only those that run.
func stated(r *release.Release, op operation) string {
	if r == nil {
		return ""
	}
	documents := []string{r.Manifest}
	for _, h := range r.Hooks {
		runs := slices.Contains(h.Events, release.HookPreInstall) || slices.Contains(h.Events, release.HookPostInstall)
		if op == installing && runs || op != installing && !slices.Contains(h.Events, release.HookTest) {
			documents = append(documents, h.Manifest)
		}
	}
	return strings.Join(documents, "\n---\n")
}

// valuesLines say how the chart and the values that were set change.
func (w *write) valuesLines(ctx context.Context) []string {
	var lines []string
	if was, is := chartOf(w.before), chartOf(w.after); was != is {
		lines = append(lines, "~ chart: "+was+" -> "+is)
	}
	for _, line := range mcpkit.Difference(mcpkit.SideOf(ctx, chartValues(w.before.Config)), mcpkit.SideOf(ctx, chartValues(w.after.Config))) {
		if lines == nil || !strings.HasPrefix(line, " ") {
			line = line[:min(2, len(line))] + "values." + line[min(2, len(line)):]
		}
		lines = append(lines, line)
	}
	if last := w.history[0]; last.Info.Status != release.StatusDeployed {
		lines = append(lines, fmt.Sprintf("~ revision %d is %s, so everything is applied again", last.Version, last.Info.Status))
	}
	return lines
}
