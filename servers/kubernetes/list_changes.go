package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var listChanges = mcpkit.Tool{
	Name:        "k8s_list_changes",
	Title:       "List what changed in a Kubernetes cluster",
	Description: "Lists what changed in a time window, newest first: rollouts with image and config diffs, scaling, ConfigMaps, nodes, jobs and other objects, with who wrote them. With at, ranks what changed shortly before that moment: which deployment goes with the regression that began at T.",
	Narrow:      "name a namespace or a shorter window",
	Rules: []mcpkit.Rule{
		readRule("apps", "controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"),
		readRule("", "configmaps", "events", "limitranges", "namespaces", "nodes", "persistentvolumeclaims", "resourcequotas", "services"),
		readRule("batch", "cronjobs", "jobs"),
		readRule("autoscaling", "horizontalpodautoscalers"),
		readRule("networking.k8s.io", "ingresses", "networkpolicies"),
		readRule("policy", "poddisruptionbudgets"),
	},
}

type ListChangesIn struct {
	Namespace string      `json:"namespace,omitempty" jsonschema:"every namespace if absent"`
	Since     mcpkit.When `json:"since,omitzero" jsonschema:"start of the window, such as 1h or an RFC 3339 time; 1h if absent"`
	Until     mcpkit.When `json:"until,omitzero" jsonschema:"end of the window; now if absent"`
	At        mcpkit.When `json:"at,omitzero" jsonschema:"when the trouble began; the window is then the hour before it"`
	Limit     int         `json:"limit,omitempty" jsonschema:"most changes; 40 if absent"`
}

func (ListChangesIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(200.0)
}

type ListChangesOut struct {
	Window  string   `json:"window"`
	Nearest []string `json:"nearest,omitempty" jsonschema:"what changed last before at, nearest first"`
	Found   string   `json:"found" jsonschema:"how many changes, by what they are"`
	mcpkit.Left
	mcpkit.Table
	LookedAt    string   `json:"looked_at"`
	NotLookedAt []string `json:"not_looked_at,omitempty"`
	Notes       []string `json:"notes,omitempty"`
}

// Bounds on what one call follows up and remembers.
const (
	changesListed    = 40  // rows without a limit
	changesKept      = 500 // the newest, while pages go by
	rolloutsCompared = 40  // whose revisions are read
	nearestNamed     = 5
	settling         = 10 * time.Minute // after at, still in the window: clocks differ and effects precede alerts
)

func (b *Backend) listChanges(ctx context.Context, in ListChangesIn) (ListChangesOut, error) {
	w, err := b.window(in)
	if err != nil {
		return ListChangesOut{}, err
	}
	if in.Namespace != "" {
		if err := b.requireNamespace(ctx, in.Namespace); err != nil {
			return ListChangesOut{}, err
		}
	}
	c, err := b.open()
	if err != nil {
		return ListChangesOut{}, err
	}
	mcpkit.SetTarget(ctx, named("changes", in.Namespace, ""))
	h := &history{b: b, c: c, window: w, namespace: in.Namespace, users: map[string][]string{}}
	h.together(ctx, h.sources()...)
	h.compareRollouts(ctx)
	if ctx.Err() != nil {
		return ListChangesOut{}, ctx.Err()
	}
	if err := h.failed(); err != nil {
		return ListChangesOut{}, err
	}
	return h.answer(in), nil
}

// window is the time a call asks about.
type window struct{ since, until, at, now time.Time }

func (b *Backend) window(in ListChangesIn) (window, error) {
	w := window{now: b.now()}
	w.since, w.until = w.now.Add(-time.Hour), w.now
	if !in.At.IsZero() {
		w.at = in.At.Time(w.now)
		w.since, w.until = w.at.Add(-time.Hour), w.at.Add(settling)
	}
	if !in.Since.IsZero() {
		w.since = in.Since.Time(w.now)
	}
	if !in.Until.IsZero() {
		w.until = in.Until.Time(w.now)
	}
	if w.until.After(w.now) {
		w.until = w.now
	}
	if !w.since.Before(w.until) {
		return w, mcpkit.Errorf(mcpkit.Invalid, "the window is empty: it would begin at %s and end at %s", stamp(w.since), stamp(w.until))
	}
	return w, nil
}

// holds reports whether a moment is in the window. The API server's clock has
// whole seconds.
func (w window) holds(t time.Time) bool {
	return !t.Before(w.since.Truncate(time.Second)) && !t.After(w.until)
}

func (w window) String() string {
	return fmt.Sprintf("%s to %s (%s)", stamp(w.since), stamp(w.until), age(w.since, w.until))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// occurrence is one thing that changed.
type occurrence struct {
	at        time.Time
	kind      string // of change: rollout, scaling, config, ...
	namespace string
	object    string // Kind/name
	what      string
	by        string
}

// add remembers a change in the window; the oldest go when there are too many.
func (h *history) add(o occurrence) {
	if !h.window.holds(o.at) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kindsSeen.add(o.kind, o.object)
	h.found++
	at, _ := slices.BinarySearchFunc(h.changes, o, newerFirst)
	if at < changesKept {
		h.changes = slices.Insert(h.changes, at, o)
		h.changes = h.changes[:min(len(h.changes), changesKept)]
	}
}

func newerFirst(a, b occurrence) int {
	return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.object, b.object), cmp.Compare(a.what, b.what))
}

func (h *history) answer(in ListChangesIn) ListChangesOut {
	out := ListChangesOut{Window: h.window.String(), Found: h.summary(), LookedAt: h.lookedAt(), NotLookedAt: h.notLookedAt(), Notes: h.notes()}
	rows, cut := mcpkit.FirstN(h.changes, in.Limit, changesListed)
	out.Table = mcpkit.Table{Columns: []string{"time", "ago", "object", "change", "by"}, Rows: [][]string{}}
	if in.Namespace == "" {
		out.Columns = slices.Insert(out.Columns, 2, "namespace")
	}
	for _, o := range rows {
		cells := []string{stamp(o.at), age(o.at, h.window.now), o.object, o.what, o.by}
		if in.Namespace == "" {
			cells = slices.Insert(cells, 2, o.namespace)
		}
		out.Rows = append(out.Rows, cells)
	}
	if cut {
		out.Truncated = true
		out.LeftOut = fmt.Sprintf("rows: the newest %d of %d changes; raise limit, or name a namespace or a shorter window", len(rows), h.found)
	}
	out.Nearest = h.nearest()
	return out
}

// nearest names what changed last before the moment asked about.
func (h *history) nearest() []string {
	var out []string
	if h.window.at.IsZero() {
		return nil
	}
	for _, o := range h.changes {
		if o.at.After(h.window.at) || len(out) == nearestNamed {
			continue
		}
		name := o.object
		if o.namespace != "" {
			name = o.namespace + "/" + name
		}
		out = append(out, fmt.Sprintf("%s before: %s: %s", age(o.at, h.window.at), name, o.what))
	}
	if out == nil {
		return []string{"nothing changed before it in the window"}
	}
	return out
}
