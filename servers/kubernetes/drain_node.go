package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

var drainNode = mcpkit.Tool{
	Name:        "k8s_drain_node",
	Title:       "Drain a node",
	Description: "Cordons a node and evicts its pods, as their PodDisruptionBudgets let it, and waits until they are gone. When time runs out it says what is left; call again to go on. k8s_uncordon_node lets pods back.",
	Narrow:      "drain again once more pods have left",
	Rules: append([]mcpkit.Rule{
		{Groups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
		{Groups: []string{""}, Resources: []string{"pods/eviction"}, Verbs: []string{"create"}},
		{Groups: []string{"apps"}, Resources: []string{"daemonsets"}, Verbs: []string{"get"}},
	}, nodeRules...),
	Idempotent: true,
	Timeout:    10 * time.Minute,
}

type DrainNodeIn struct {
	NodeIn
	GracePeriodSeconds *int64          `json:"grace_period_seconds,omitempty" jsonschema:"each pod's own if absent"`
	Timeout            mcpkit.Duration `json:"timeout,omitempty" jsonschema:"as long as a call may take if absent"`
	IgnoreDaemonsets   *bool           `json:"ignore_daemonsets,omitempty" jsonschema:"leave pods of daemon sets; true if absent"`
	DeleteEmptydirData bool            `json:"delete_emptydir_data,omitempty" jsonschema:"evict pods whose emptyDir data is then lost"`
	Force              bool            `json:"force,omitempty" jsonschema:"evict pods that nothing would bring back"`
}

func (DrainNodeIn) Constrain(p mcpkit.Properties) { p["grace_period_seconds"].Minimum = new(0.0) }

// draining is a drain between its plan and its deed, and while it is done.
type draining struct {
	b      *Backend
	c      *clients
	in     DrainNodeIn
	cordon *planned
	pods   []*leaver
	blocks []string // pods that must not go as asked, and why
	stays  []string // pods that a drain leaves, and why
}

// leaver is one pod that is to leave the node.
type leaver struct {
	namespace, name string
	uid             types.UID
	about           string // who brings it back, what is lost
	waits           string // why it could not be evicted yet
	asked           bool   // to leave
	gone            bool
}

func (l *leaver) String() string { return l.namespace + "/" + l.name }

func (b *Backend) planDrain(ctx context.Context, in DrainNodeIn) (mcpkit.Plan, error) {
	ch, err := b.schedulability(ctx, in.Name, cordoned)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	c, err := b.open()
	if err != nil {
		return mcpkit.Plan{}, err
	}
	d := &draining{b: b, c: c, in: in}
	if d.cordon, err = b.rehearse(ctx, ch); err != nil {
		return mcpkit.Plan{}, err
	}
	if err := d.sortPods(ctx); err != nil {
		return mcpkit.Plan{}, err
	}
	if err := d.rehearse(ctx); err != nil {
		return mcpkit.Plan{}, err
	}
	if len(d.blocks) > 0 {
		return mcpkit.Plan{}, d.blocked()
	}
	return d.plan(), nil
}

// sortPods decides, by the rules of kubectl drain, which pods go, which block
// and which stay. kubectl's own package tells them apart only in prose that
// names flags, and evicts whatever pod bears the name by then; a plan needs
// each pod with its reason and its uid.
func (d *draining) sortPods(ctx context.Context) error {
	sets := map[string]error{}
	var failed error
	err := d.b.eachPod(ctx, "", d.selection(), func(pod *corev1.Pod) {
		if failed == nil {
			failed = d.sortPod(ctx, pod, sets)
		}
	})
	slices.SortFunc(d.pods, func(a, b *leaver) int { return cmp.Compare(a.String(), b.String()) })
	slices.Sort(d.blocks)
	slices.Sort(d.stays)
	return cmp.Or(err, failed)
}

// selection picks the pods of the node.
func (d *draining) selection() metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", d.in.Name).String()}
}

func (d *draining) sortPod(ctx context.Context, pod *corev1.Pod, sets map[string]error) error {
	l := &leaver{namespace: pod.Namespace, name: pod.Name, uid: pod.UID, about: "nothing brings it back"}
	finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	owner := metav1.GetControllerOf(pod)
	if owner != nil {
		l.about = owner.Kind + " " + owner.Name
	}
	if _, static := pod.Annotations[corev1.MirrorPodAnnotationKey]; static {
		d.stays = append(d.stays, l.String()+" (static pod of the node)")
		return nil
	}
	if owner != nil && owner.Kind == "DaemonSet" && owner.APIVersion == appsv1.SchemeGroupVersion.String() && !finished {
		return d.sortDaemon(ctx, l, owner.Name, sets)
	}
	local := slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.EmptyDir != nil })
	switch {
	case finished:
		l.about = "finished"
	case local && !d.in.DeleteEmptydirData:
		d.blocks = append(d.blocks, l.String()+": its emptyDir data would be lost; delete_emptydir_data=true accepts that")
		return nil
	case owner == nil && !d.in.Force:
		d.blocks = append(d.blocks, l.String()+": nothing would bring it back; force=true removes it for good")
		return nil
	case local:
		l.about += ", its emptyDir data is lost"
	}
	d.pods = append(d.pods, l)
	return nil
}

// sortDaemon is sortPod for a pod of a daemon set, which would only come back
// to the node, unless its set is gone.
func (d *draining) sortDaemon(ctx context.Context, l *leaver, set string, sets map[string]error) error {
	key := l.namespace + "/" + set
	err, known := sets[key]
	if !known {
		_, err = d.c.typed.AppsV1().DaemonSets(l.namespace).Get(ctx, set, metav1.GetOptions{})
		sets[key] = err
	}
	switch {
	case apierrors.IsNotFound(err) && d.in.Force:
		l.about = "its DaemonSet is gone, nothing brings it back"
		d.pods = append(d.pods, l)
	case apierrors.IsNotFound(err):
		d.blocks = append(d.blocks, l.String()+": its DaemonSet is gone, so nothing would bring it back; force=true removes it for good")
	case err != nil:
		return translate(err, "get "+named("daemonset", l.namespace, set))
	case d.in.IgnoreDaemonsets != nil && !*d.in.IgnoreDaemonsets:
		d.blocks = append(d.blocks, l.String()+": DaemonSet "+set+" would bring it right back; ignore_daemonsets=true leaves it")
	default:
		d.stays = append(d.stays, l.String()+" (DaemonSet)")
	}
	return nil
}

// podsShown is how many pods a plan or an answer names.
const podsShown = 100

// blocked says which pods stand in the way.
func (d *draining) blocked() error {
	text := fmt.Sprintf("cannot drain node %q as asked, and nothing was changed. These pods block:\n- %s",
		d.in.Name, strings.Join(firstLines(d.blocks, podsShown), "\n- "))
	if len(d.pods) > 0 {
		text += fmt.Sprintf("\n%d would go: %s", len(d.pods), strings.Join(firstLines(names(d.pods), 20), ", "))
	}
	return mcpkit.Errorf(mcpkit.Invalid, "%s", text)
}

func (d *draining) plan() mcpkit.Plan {
	p := planOf([]*planned{d.cordon})
	p.State = d
	var lines, waits []string
	for _, l := range d.pods {
		lines = append(lines, "- "+l.String()+" ("+l.about+")")
		p.Seen = append(p.Seen, "pod "+l.String()+" "+string(l.uid))
		if l.waits != "" {
			waits = append(waits, l.String()+" cannot go yet and is asked again until it can: "+l.waits)
		}
	}
	if len(lines) > 0 {
		p.Diff = strings.TrimPrefix(fmt.Sprintf("%s\nevict %s\n%s", p.Diff, counted(len(lines), "pod"), strings.Join(firstLines(lines, podsShown), "\n")), "\n")
	}
	if len(lines) > 0 && d.cordon.changes() {
		p.Notes = append(p.Notes, "until it is cordoned, a pod that comes or goes makes this plan stale; on a busy node use k8s_cordon_node first")
	}
	p.Now = append(p.Now, firstLines(waits, 20)...)
	if len(d.stays) > 0 {
		p.Now = append(p.Now, "these stay: "+strings.Join(firstLines(d.stays, 20), ", "))
	}
	return p
}

// counted is a number of things in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func names(pods []*leaver) []string {
	var out []string
	for _, l := range pods {
		out = append(out, l.String())
	}
	return out
}

// firstLines is the beginning of a list, saying how many more there are.
func firstLines(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	return append(lines[:most:most], fmt.Sprintf("… %d more", len(lines)-most))
}
