package kubernetes

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resources "k8s.io/component-helpers/resource"
)

// nodes answers for nodes: use against what they have, and what their pods
// have asked for of it.
func (t *topTally) nodes(ctx context.Context) (TopOut, error) {
	used := map[string]amounts{}
	err := t.b.eachUsage(ctx, "nodes", "", t.in.LabelSelector, func(item usageItem) {
		used[item.Metadata.Name] = item.Usage.amounts()
	})
	if err != nil {
		return TopOut{}, err
	}
	if _, known := used[t.in.ResourceName]; t.in.ResourceName != "" && !known {
		return TopOut{}, t.notFound(ctx, "nodes")
	}
	asked, most, err := t.claims(ctx)
	if err != nil {
		return TopOut{}, err
	}
	err = t.eachNode(ctx, func(node *corev1.Node) {
		if t.in.ResourceName != "" && node.Name != t.in.ResourceName {
			return
		}
		u, known := used[node.Name]
		if !known {
			t.blind++
			return
		}
		room := amountsOf(node.Status.Allocatable)
		t.sum.add(u)
		t.near("node "+node.Name, u, room, "allocatable %s")
		t.add(topRow{names: []string{node.Name}, used: u, asked: asked[node.Name], most: most[node.Name], room: room, state: nodeTrouble(node)})
	})
	if err != nil {
		return TopOut{}, err
	}
	columns := []string{"node", "cpu", "cpu_requested", "cpu_limits", "memory", "memory_requested", "memory_limits", "trouble"}
	return t.answer("nodes", columns, t.nodeCells)
}

func (t *topTally) nodeCells(r topRow) []string {
	claimed := func(n, room int64, text func(int64) string) string {
		if t.denied != "" {
			return "not known"
		}
		return text(n) + " (" + percent(n, room) + ")"
	}
	return []string{
		share(r.used.cpu, r.room.cpu, cores), claimed(r.asked.cpu, r.room.cpu, cores), claimed(r.most.cpu, r.room.cpu, cores),
		share(r.used.memory, r.room.memory, inBytes), claimed(r.asked.memory, r.room.memory, inBytes), claimed(r.most.memory, r.room.memory, inBytes),
		r.state,
	}
}

// claims sums what the pods of each node asked for and may use.
func (t *topTally) claims(ctx context.Context) (asked, most map[string]amounts, err error) {
	asked, most = map[string]amounts{}, map[string]amounts{}
	o := metav1.ListOptions{FieldSelector: "status.phase!=Succeeded,status.phase!=Failed"}
	if t.in.ResourceName != "" {
		o.FieldSelector += ",spec.nodeName=" + t.in.ResourceName
	}
	err = t.b.eachPod(ctx, "", o, func(pod *corev1.Pod) {
		a, m := asked[pod.Spec.NodeName], most[pod.Spec.NodeName]
		a.add(amountsOf(resources.PodRequests(pod, resources.PodResourcesOptions{})))
		m.add(amountsOf(resources.PodLimits(pod, resources.PodResourcesOptions{})))
		asked[pod.Spec.NodeName], most[pod.Spec.NodeName] = a, m
	})
	if err != nil {
		err = t.partDenied(err, "what pods have requested")
	}
	return asked, most, err
}

// eachNode gives do every node, page by page.
func (t *topTally) eachNode(ctx context.Context, do func(*corev1.Node)) error {
	c, err := t.b.open()
	if err != nil {
		return err
	}
	o := metav1.ListOptions{LabelSelector: t.in.LabelSelector}
	return translate(each(ctx, c.typed.CoreV1().Nodes().List, o, do), "list nodes")
}

// nodeTrouble names the conditions in which a node is not as it should be.
func nodeTrouble(node *corev1.Node) string {
	var bad []string
	for _, c := range node.Status.Conditions {
		if ready := c.Type == corev1.NodeReady; ready && c.Status != corev1.ConditionTrue {
			bad = append(bad, "NotReady")
		} else if !ready && c.Status == corev1.ConditionTrue {
			bad = append(bad, string(c.Type))
		}
	}
	if node.Spec.Unschedulable {
		bad = append(bad, "cordoned")
	}
	slices.Sort(bad)
	return strings.Join(bad, ", ")
}
