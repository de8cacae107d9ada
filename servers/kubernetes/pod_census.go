package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/podutils"
)

// maxPodRows is how many pods with faults are shown by name.
const maxPodRows = 6

// podCensus counts pods while pages of them go by, and keeps of the ones with
// faults a sample per cause.
type podCensus struct {
	now       time.Time
	total     int // without those that ended well
	ready     int
	completed int
	groups    map[string]*podGroup
	revisions map[string]*readiness // by pod-template-hash or controller-revision-hash
	rows      [][]string
}

type readiness struct{ total, ready int }

// podGroup is the pods that share a cause.
type podGroup struct {
	fault
	count    int
	restarts int
	names    []string // the first few
	sample   *corev1.Pod
}

func newPodCensus(now time.Time) *podCensus {
	return &podCensus{now: now, groups: map[string]*podGroup{}, revisions: map[string]*readiness{}}
}

// add counts a pod. It keeps copies alone, since p is part of a whole page.
func (c *podCensus) add(p *corev1.Pod) {
	if p.Status.Phase == corev1.PodSucceeded {
		c.completed++
		return
	}
	c.total++
	revision := c.revisions[revisionOf(p)]
	if revision == nil {
		revision = &readiness{}
		c.revisions[revisionOf(p)] = revision
	}
	revision.total++
	if podutils.IsPodReady(p) && p.DeletionTimestamp == nil {
		c.ready++
		revision.ready++
	}
	faults := podFaults(p, c.now)
	for _, f := range faults {
		c.join(p, f)
	}
	if len(faults) > 0 && len(c.rows) < maxPodRows {
		c.rows = append(c.rows, podRow(p, faults[0], c.now))
	}
}

func (c *podCensus) join(p *corev1.Pod, f fault) {
	g := c.groups[f.cause]
	if g == nil {
		g = &podGroup{fault: f, sample: p.DeepCopy()}
		c.groups[f.cause] = g
	}
	g.count++
	g.restarts += int(f.restarts)
	if len(g.names) < 3 {
		g.names = append(g.names, p.Name)
	}
	if f.restarts > g.fault.restarts {
		g.fault, g.sample = f, p.DeepCopy()
	}
}

// worst lists the groups, worst and largest first.
func (c *podCensus) worst() []*podGroup {
	var out []*podGroup
	for _, cause := range sortedKeys(c.groups) {
		out = append(out, c.groups[cause])
	}
	slices.SortStableFunc(out, func(a, b *podGroup) int {
		return cmp.Or(cmp.Compare(severityRank(a.severity), severityRank(b.severity)), cmp.Compare(b.count, a.count))
	})
	return out
}

// state is the census in a few words.
func (c *podCensus) state() string {
	return fmt.Sprintf("%d of %s ready", c.ready, plural(c.total, "pod"))
}

// table shows the pods with faults; a single pod is told by its findings.
func (c *podCensus) table() mcpkit.Table {
	if c.total < 2 || len(c.rows) == 0 {
		return mcpkit.Table{}
	}
	return mcpkit.Table{Columns: []string{"pod", "state", "ready", "restarts", "age", "node"}, Rows: c.rows}
}

func podRow(p *corev1.Pod, f fault, now time.Time) []string {
	ready, restarts := 0, 0
	for _, s := range p.Status.ContainerStatuses {
		restarts += int(s.RestartCount)
		if s.Ready {
			ready++
		}
	}
	return []string{
		p.Name, abridge(f.cause, 60), fmt.Sprintf("%d/%d", ready, len(p.Spec.Containers)),
		strconv.Itoa(restarts), age(p.CreationTimestamp.Time, now), cmp.Or(p.Spec.NodeName, "-"),
	}
}

// revisionOf is the revision of its workload's template that a pod was made from.
func revisionOf(p *corev1.Pod) string {
	return cmp.Or(p.Labels["pod-template-hash"], p.Labels["controller-revision-hash"])
}
