package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podresource "k8s.io/component-helpers/resource"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// roomiest is how many nodes are looked into for what is left on them.
const roomiest = 3

// nodeSurvey is what a pod that no node takes needs to know of all nodes.
type nodeSurvey struct {
	pod      *corev1.Pod
	scarce   []corev1.ResourceName // what the scheduler says there is too little of
	total    int
	cordoned []string
	taints   map[string][]string // taint the pod does not tolerate, to nodes
	fits     int                 // nodes its selector and affinity allow
	values   map[string]map[string]int
	largest  map[corev1.ResourceName][]roomyNode
}

type roomyNode struct {
	name string
	has  resource.Quantity
}

// judgeScheduling counts the scheduler's reasons and shows for each what of the
// pod and what of the nodes do not meet.
func (d *diagnosis) judgeScheduling(ctx context.Context, s subject, f *Finding) {
	d.events.tell(s.object(), "FailedScheduling")
	if s.message == "" {
		return
	}
	nodes, hurdles := parseScheduling(s.message)
	var counts []string
	survey := &nodeSurvey{pod: s.pod, taints: map[string][]string{}, values: map[string]map[string]int{}, largest: map[corev1.ResourceName][]roomyNode{}}
	for _, h := range hurdles {
		line := plainHurdle(h.reason)
		if h.nodes > 0 {
			line = fmt.Sprintf("%s (%d)", line, h.nodes)
		}
		counts = append(counts, line)
		if name, ok := strings.CutPrefix(h.reason, "Insufficient "); ok {
			survey.scarce = append(survey.scarce, corev1.ResourceName(name))
		}
	}
	f.Evidence = append(f.Evidence, fmt.Sprintf("scheduler: none of %s fits: %s", plural(nodes, "node"), strings.Join(counts, "; ")))
	gather(ctx, &d.gathering, "nodes", d.c.typed.CoreV1().Nodes().List, metav1.ListOptions{}, survey.add)
	if survey.total > 0 {
		f.Evidence = append(f.Evidence, d.shortage(ctx, survey)...)
		f.Evidence = append(f.Evidence, survey.placement()...)
	}
	f.Evidence = append(f.Evidence, d.unboundClaims(ctx, s.pod, hurdles)...)
	f.Next = cmp.Or(f.Next, schedulingNext(hurdles))
	for i := range s.refs {
		if r := &s.refs[i]; r.kind == "PersistentVolumeClaim" && r.problem != "" {
			r.told = true
			f.What, f.Next = s.who+"cannot be scheduled: "+r.problem, r.remedy()
		}
	}
}

// schedulingNext says what would let a pod be scheduled.
func schedulingNext(hurdles []hurdle) string {
	var ways []string
	for _, h := range hurdles {
		way := ""
		switch {
		case strings.HasPrefix(h.reason, "Insufficient "):
			way = "the pod must request less, or a node have more to give"
		case strings.Contains(h.reason, "taint"):
			way = "the pod must tolerate a taint, or a node lose it"
		case strings.Contains(h.reason, "node affinity") || strings.Contains(h.reason, "selector"):
			way = "a node must carry the labels, or the pod ask for others"
		case strings.Contains(h.reason, "were unschedulable"):
			way = "a cordoned node must be uncordoned"
		case strings.Contains(strings.ToLower(h.reason), "persistentvolumeclaim"):
			way = "k8s_diagnose of the PVC says why it is not bound"
		}
		if way != "" && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return strings.Join(ways, "; or ")
}

// add takes from a node what the pod's placement turns on.
func (s *nodeSurvey) add(n *corev1.Node) {
	s.total++
	if n.Spec.Unschedulable && len(s.cordoned) < maxPodRows {
		s.cordoned = append(s.cordoned, n.Name+cordonedBy(n))
	}
	for _, t := range n.Spec.Taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !s.tolerates(&t) && !(n.Spec.Unschedulable && t.Key == corev1.TaintNodeUnschedulable) {
			s.taints[t.ToString()] = append(s.taints[t.ToString()], n.Name)
		}
	}
	if match, err := nodeaffinity.GetRequiredNodeAffinity(s.pod).Match(n); err == nil && match {
		s.fits++
	}
	for key := range s.wanted() {
		if s.values[key] == nil {
			s.values[key] = map[string]int{}
		}
		if value, has := n.Labels[key]; has {
			s.values[key][value]++
		}
	}
	for _, r := range s.scarce {
		list := append(s.largest[r], roomyNode{n.Name, n.Status.Allocatable[r]})
		slices.SortStableFunc(list, func(a, b roomyNode) int { return b.has.Cmp(a.has) })
		s.largest[r] = list[:min(roomiest, len(list))]
	}
}

func (s *nodeSurvey) tolerates(t *corev1.Taint) bool {
	return schedulinghelper.TolerationsTolerateTaint(klog.Background(), s.pod.Spec.Tolerations, t, false)
}

// wanted are the node labels a pod asks for, with the values it would take.
func (s *nodeSurvey) wanted() map[string][]string {
	out := map[string][]string{}
	for key, value := range s.pod.Spec.NodeSelector {
		out[key] = []string{value}
	}
	a := s.pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return out
	}
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, e := range term.MatchExpressions {
			out[e.Key] = append(out[e.Key], string(e.Operator)+" "+strings.Join(e.Values, ","))
		}
	}
	return out
}

// placement shows labels, taints and cordons against what the pod allows.
func (s *nodeSurvey) placement() []string {
	var out []string
	if s.fits < s.total {
		for _, key := range sortedKeys(s.wanted()) {
			var there []string
			for _, value := range sortedKeys(s.values[key]) {
				there = append(there, fmt.Sprintf("%s (%s)", value, plural(s.values[key][value], "node")))
			}
			out = append(out, fmt.Sprintf("the pod asks for node label %s = %s; nodes have: %s", key, some(s.wanted()[key], 4), orNone(some(there, 6))))
		}
	}
	for _, taint := range sortedKeys(s.taints) {
		if len(out) > 6 {
			break
		}
		out = append(out, fmt.Sprintf("taint %s, which the pod does not tolerate, is on %s: %s", taint, plural(len(s.taints[taint]), "node"), some(s.taints[taint], 3)))
	}
	if len(s.cordoned) > 0 {
		out = append(out, "cordoned: "+some(s.cordoned, 4))
	}
	return out
}

// shortage compares what the pod requests with what the roomiest nodes have left.
func (d *diagnosis) shortage(ctx context.Context, s *nodeSurvey) []string {
	asks := podresource.PodRequests(s.pod, podresource.PodResourcesOptions{})
	var out []string
	for _, r := range s.scarce {
		want := asks[r]
		line := fmt.Sprintf("the pod requests %s %s", r, want.String())
		for _, n := range s.largest[r] {
			if n.has.Cmp(want) < 0 {
				line += fmt.Sprintf("; node %s has %s in all", n.name, n.has.String())
				continue
			}
			left, pods := d.leftOn(ctx, n, r)
			line += fmt.Sprintf("; node %s has %s, of which %s requested leave %s", n.name, n.has.String(), plural(pods, "pod"), left)
		}
		out = append(out, line)
	}
	return out
}

// leftOn is what the pods of a node leave unrequested of a resource.
func (d *diagnosis) leftOn(ctx context.Context, n roomyNode, r corev1.ResourceName) (string, int) {
	left, pods := n.has.DeepCopy(), 0
	gather(ctx, &d.gathering, "pods", d.c.typed.CoreV1().Pods("").List,
		metav1.ListOptions{FieldSelector: "spec.nodeName=" + n.name + ",status.phase!=Succeeded,status.phase!=Failed"},
		func(p *corev1.Pod) {
			pods++
			left.Sub(podresource.PodRequests(p, podresource.PodResourcesOptions{})[r])
		})
	return left.String(), pods
}

// unboundClaims says which of a pod's claims hold it up, and why.
func (d *diagnosis) unboundClaims(ctx context.Context, p *corev1.Pod, hurdles []hurdle) []string {
	if !slices.ContainsFunc(hurdles, func(h hurdle) bool {
		return strings.Contains(strings.ToLower(h.reason), "persistentvolume") || strings.Contains(h.reason, "volume")
	}) {
		return nil
	}
	var out []string
	for _, v := range p.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		claim, err := d.c.typed.CoreV1().PersistentVolumeClaims(p.Namespace).Get(ctx, v.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
		if err != nil || claim.Status.Phase == corev1.ClaimBound {
			continue // its absence has been told by the references
		}
		out = append(out, fmt.Sprintf("PVC %s is %s: %s", claim.Name, claim.Status.Phase, d.unbound(ctx, claim).What))
	}
	return out
}
