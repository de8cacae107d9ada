package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

var getStatus = mcpkit.Tool{
	Name:        "helm_get_status",
	Title:       "How a release is",
	Description: "Says whether a release is well: its status and since when, which of its objects are missing or not ready and why, its hooks' last runs with the log of one that failed. Whether objects were changed by hand: helm_check_drift.",
	Narrow:      "use helm_get_release for one part",
	Rules:       slices.Concat([]mcpkit.Rule{readReleases, {Groups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}}}, readObjects),
}

type GetStatusIn struct{ Release }

type GetStatusOut struct {
	Header
	Objects string `json:"objects" jsonschema:"how many are in which state"`
	mcpkit.Left
	NotReady *mcpkit.Table `json:"not_ready,omitempty"`
	Hooks    *mcpkit.Table `json:"hooks,omitempty" jsonschema:"those that ran, failed ones first"`
	HookLog  string        `json:"hook_log,omitempty" jsonschema:"last lines of the hook that failed or still runs"`
}

func (b *Backend) getStatus(ctx context.Context, in GetStatusIn) (GetStatusOut, error) {
	f, err := b.find(ctx, in.Release, 0)
	if err != nil {
		return GetStatusOut{}, err
	}
	out := GetStatusOut{Header: b.header(f)}
	objects, hooks, unreadable := f.everything()
	for _, bad := range unreadable {
		out.Findings = append(out.Findings, "manifest not readable: "+bad)
	}
	hide := f.hider(ctx, slices.Concat(objects, hooks))
	var all []*live
	err = mcpkit.Together(ctx, 2,
		func(ctx context.Context) (err error) {
			if f.at.status != release.StatusUninstalled {
				all, err = b.look(ctx, objects)
			}
			return err
		},
		func(ctx context.Context) error { return b.hooks(ctx, f, hide, &out) },
	)
	if err != nil {
		return GetStatusOut{}, err
	}
	return out, b.readiness(ctx, all, &out)
}

// readiness puts into the answer which objects are missing or not ready.
func (b *Backend) readiness(ctx context.Context, all []*live, out *GetStatusOut) error {
	table := &mcpkit.Table{Columns: []string{"object", "state", "why"}}
	ready, missing, dark := 0, 0, 0
	for _, l := range all {
		switch {
		case l.unseen != "":
			dark++
		case l.missing():
			missing++
			table.Rows = append(table.Rows, []string{l.String(), "Missing", ""})
		default:
			state, why := stateOf(l)
			if state == status.CurrentStatus {
				ready++
				continue
			}
			if more, err := b.podTrouble(ctx, l); err != nil {
				return err
			} else if more != "" {
				why += "; " + more
			}
			table.Rows = append(table.Rows, []string{l.String(), string(state), why})
		}
	}
	out.Objects = fmt.Sprintf("%d: %d ready", len(all), ready)
	for _, c := range []struct {
		n    int
		what string
	}{{missing, "missing"}, {len(table.Rows) - missing, "not ready"}, {dark, "not looked at"}} {
		if c.n > 0 {
			out.Objects += fmt.Sprintf(", %d %s", c.n, c.what)
		}
	}
	if len(table.Rows) > 0 {
		out.NotReady = table
		out.Findings = append(out.Findings, fmt.Sprintf("%d of %d objects are missing or not ready", len(table.Rows), len(all)))
	}
	out.Findings = append(out.Findings, unseen(all)...)
	return nil
}

func stateOf(l *live) (status.Status, string) {
	result, err := status.Compute(l.is)
	if err != nil {
		return status.UnknownStatus, firstLine(err.Error())
	}
	return result.Status, result.Message
}

// podTrouble is what keeps one pod of a workload from being ready; nothing when none is found, or pods may not be listed.
func (b *Backend) podTrouble(ctx context.Context, l *live) (string, error) {
	selector := podsOf(l.is)
	if selector == nil {
		return "", nil
	}
	c, err := b.open()
	if err != nil {
		return "", err
	}
	pods, err := c.typed.CoreV1().Pods(l.namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector), Limit: 50})
	if err != nil {
		return "", ctx.Err() // what is known of the workload is answer enough
	}
	for _, p := range pods.Items {
		if faults := podFaults(&p); len(faults) > 0 {
			return strings.Join(faults, "; "), nil
		}
	}
	return "", nil
}

// hooks puts into the answer which hooks ran, and the log of one that did not
// end well.
func (b *Backend) hooks(ctx context.Context, f *found, hide *hider, out *GetStatusOut) error {
	ran := slices.DeleteFunc(slices.Clone(f.Hooks), func(h *release.Hook) bool { return h.LastRun.StartedAt.IsZero() })
	if len(ran) == 0 {
		return nil
	}
	slices.SortStableFunc(ran, func(x, y *release.Hook) int {
		if succeeded(x) != succeeded(y) {
			return map[bool]int{false: -1, true: 1}[succeeded(x)]
		}
		return y.LastRun.StartedAt.Time.Compare(x.LastRun.StartedAt.Time)
	})
	out.Hooks = &mcpkit.Table{Columns: []string{"hook", "events", "phase", "started", "took"}}
	for _, h := range ran {
		var events []string
		for _, e := range h.Events {
			events = append(events, string(e))
		}
		took := ""
		if !h.LastRun.CompletedAt.IsZero() {
			took = duration.HumanDuration(h.LastRun.CompletedAt.Time.Sub(h.LastRun.StartedAt.Time))
		}
		out.Hooks.Rows = append(out.Hooks.Rows, []string{h.Kind + "/" + h.Name, strings.Join(events, ","), string(h.LastRun.Phase), stamp(h.LastRun.StartedAt.Time), took})
	}
	worst := ran[0]
	if succeeded(worst) {
		return nil
	}
	what := "failed"
	if worst.LastRun.Phase != release.HookPhaseFailed {
		what = "has not ended since " + stamp(worst.LastRun.StartedAt.Time)
	}
	out.Findings = append(out.Findings, fmt.Sprintf("hook %s/%s %s", worst.Kind, worst.Name, what))
	log, why := b.hookLog(ctx, f.at.namespace, worst)
	if why != "" {
		out.Findings = append(out.Findings, "no log of that hook: "+why)
	}
	out.HookLog = hide.text(log)
	return ctx.Err()
}

func succeeded(h *release.Hook) bool { return h.LastRun.Phase == release.HookPhaseSucceeded }

// hookLogLines is how much of a hook's log is shown.
const hookLogLines = 15

// hookLog is the end of the log of a hook's newest pod, or why there is none.
func (b *Backend) hookLog(ctx context.Context, namespace string, h *release.Hook) (log, why string) {
	c, err := b.open()
	if err != nil {
		return "", textOf(err)
	}
	options := metav1.ListOptions{LabelSelector: "job-name=" + h.Name}
	if h.Kind == "Pod" {
		options = metav1.ListOptions{FieldSelector: "metadata.name=" + h.Name}
	}
	pods, err := c.typed.CoreV1().Pods(namespace).List(ctx, options)
	if err != nil {
		return "", textOf(translate(err, "list the hook's pods"))
	}
	const clocks = time.Minute // those of Helm's machine and of the cluster differ
	items := slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.CreationTimestamp.Time.Before(h.LastRun.StartedAt.Time.Add(-clocks)) })
	if len(items) == 0 {
		return "", "its pod is gone"
	}
	newest := slices.MaxFunc(items, func(x, y corev1.Pod) int { return x.CreationTimestamp.Time.Compare(y.CreationTimestamp.Time) })
	raw, err := c.typed.CoreV1().Pods(namespace).GetLogs(newest.Name, &corev1.PodLogOptions{TailLines: new(int64(hookLogLines)), LimitBytes: new(int64(16 << 10))}).DoRaw(ctx)
	if err != nil {
		return "", textOf(translate(err, "read the log of pod "+newest.Name))
	}
	return string(raw), ""
}
