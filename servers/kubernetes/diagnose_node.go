package kubernetes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	podresource "k8s.io/component-helpers/resource"
)

// nodeFaults reads what is wrong with a node from the node alone.
func nodeFaults(n *corev1.Node, now time.Time) []Finding {
	var out []Finding
	for _, c := range n.Status.Conditions {
		since := age(c.LastTransitionTime.Time, now)
		switch {
		case c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue:
			f := Finding{Severity: critical, cause: "node not ready: " + c.Reason, What: fmt.Sprintf("node %s is not ready since %s: %s", n.Name, since, c.Reason), Evidence: lines(abridge(c.Message, 300)),
				Next: "its kubelet must be brought back, or the node replaced"}
			if c.Status == corev1.ConditionUnknown {
				f.Evidence = append(f.Evidence, "last heard of "+age(c.LastHeartbeatTime.Time, now)+" ago")
			}
			out = append(out, f)
		case c.Type != corev1.NodeReady && c.Status == corev1.ConditionTrue:
			out = append(out, Finding{Severity: warning, cause: "node has " + string(c.Type), What: fmt.Sprintf("node %s has %s since %s: %s", n.Name, c.Type, since, c.Reason), Evidence: lines(abridge(c.Message, 300)),
				Next: "what the node runs short of must be freed; the kubelet evicts pods until then"})
		}
	}
	if n.Spec.Unschedulable {
		out = append(out, Finding{Severity: warning, cause: "node cordoned", What: "node " + n.Name + " is cordoned" + cordonedBy(n), Next: "no new pod is placed on it until it is uncordoned"})
	}
	for _, t := range n.Spec.Taints {
		if t.Key != corev1.TaintNodeUnschedulable && t.Key != corev1.TaintNodeNotReady && t.Key != corev1.TaintNodeUnreachable {
			out = append(out, Finding{Severity: info, What: "node " + n.Name + " has taint " + t.ToString() + ": only pods that tolerate it are placed on it"})
		}
	}
	return out
}

// cordonedBy says who made a node unschedulable and when, where it is recorded.
func cordonedBy(n *corev1.Node) string {
	if e := lastWriter(n.ManagedFields, "f:spec", "f:unschedulable"); e != nil {
		return fmt.Sprintf(" (by %s at %s)", writer(e), e.Time.UTC().Format(time.RFC3339))
	}
	return ""
}

// node diagnoses a node: its conditions, what it has promised, and its pods.
func (d *diagnosis) node(ctx context.Context, n *corev1.Node) {
	d.findings = append(d.findings, nodeFaults(n, d.now)...)
	census := newPodCensus(d.now)
	asked := corev1.ResourceList{}
	d.together(ctx,
		func(ctx context.Context) {
			gather(ctx, &d.gathering, "pods", d.c.typed.CoreV1().Pods("").List, metav1.ListOptions{FieldSelector: "spec.nodeName=" + n.Name}, func(p *corev1.Pod) {
				census.add(p)
				if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
					addResources(asked, podresource.PodRequests(p, podresource.PodResourcesOptions{}))
				}
			})
		},
		func(ctx context.Context) {
			d.eventsWhere(ctx, fields.Set{"involvedObject.kind": "Node", "involvedObject.name": n.Name})
		},
	)
	d.state = census.state() + "; kubelet " + n.Status.NodeInfo.KubeletVersion
	d.promised(n, asked, census.total)
	d.podsOn(census)
}

// podsOn tells which pods of a node have faults; those are the pods' own unless
// the node's conditions say otherwise.
func (d *diagnosis) podsOn(census *podCensus) {
	var causes []string
	pods := 0
	for _, g := range census.worst() {
		if g.severity != info {
			pods += g.count
			causes = append(causes, fmt.Sprintf("%d: %s, such as %s/%s", g.count, g.cause, g.sample.Namespace, g.names[0]))
		}
	}
	if pods == 0 {
		return
	}
	if len(causes) > maxPodRows {
		causes = append(causes[:maxPodRows], fmt.Sprintf("%d more causes", len(causes)-maxPodRows))
	}
	d.find(info, plural(pods, "fault")+" of pods on it", "k8s_diagnose of a pod or its workload looks closer", causes...)
}

func addResources(sum, more corev1.ResourceList) {
	for name, q := range more {
		total := sum[name]
		total.Add(q)
		sum[name] = total
	}
}

// promised compares what the node's pods request with what it has to give.
func (d *diagnosis) promised(n *corev1.Node, asked corev1.ResourceList, pods int) {
	asked[corev1.ResourcePods] = *resource.NewQuantity(int64(pods), resource.DecimalSI)
	line := "requested:"
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods} {
		want, has := asked[name], n.Status.Allocatable[name]
		line += fmt.Sprintf(" %s %s of %s", name, want.String(), has.String())
		if !has.IsZero() && want.AsApproximateFloat64() > 0.95*has.AsApproximateFloat64() {
			d.find(warning, fmt.Sprintf("node %s has next to no %s left: pods request %s of %s", n.Name, name, want.String(), has.String()), "pods that request more wait until some end")
		}
	}
	d.chain = append(d.chain, line)
}
