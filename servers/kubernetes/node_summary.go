package kubernetes

import (
	"cmp"
	"fmt"
	stdmaps "maps"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// nodeKind is what nodes have in common.
type nodeKind struct {
	roles, kubelet, os, arch, runtime, instance, zone string
}

// nodeSummary counts nodes by kind and sums up what they have.
type nodeSummary struct {
	total, ready, cordoned int
	kinds                  map[nodeKind]*[2]int // how many, and how many of them are ready
	has, allocatable       corev1.ResourceList
}

func newNodeSummary() nodeSummary {
	return nodeSummary{kinds: map[nodeKind]*[2]int{}, has: corev1.ResourceList{}, allocatable: corev1.ResourceList{}}
}

func (s *nodeSummary) add(n *corev1.Node) {
	info := n.Status.NodeInfo
	kind := nodeKind{
		roles: nodeRoles(n), kubelet: info.KubeletVersion, os: info.OSImage, arch: info.Architecture, runtime: info.ContainerRuntimeVersion,
		instance: n.Labels[corev1.LabelInstanceTypeStable], zone: n.Labels[corev1.LabelTopologyZone],
	}
	if s.kinds[kind] == nil {
		s.kinds[kind] = &[2]int{}
	}
	s.kinds[kind][0]++
	s.total++
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			s.kinds[kind][1]++
			s.ready++
		}
	}
	if n.Spec.Unschedulable {
		s.cordoned++
	}
	sum(s.has, n.Status.Capacity)
	sum(s.allocatable, n.Status.Allocatable)
}

func sum(into, more corev1.ResourceList) {
	for name, q := range more {
		total := into[name]
		total.Add(q)
		into[name] = total
	}
}

func nodeRoles(n *corev1.Node) string {
	var roles []string
	for _, label := range sortedKeys(n.Labels) {
		if role, ok := strings.CutPrefix(label, "node-role.kubernetes.io/"); ok {
			roles = append(roles, role)
		}
	}
	return strings.Join(roles, ",")
}

func (s *nodeSummary) counts() string {
	if s.total == 0 {
		return ""
	}
	out := fmt.Sprintf("%d, %d ready", s.total, s.ready)
	if s.cordoned > 0 {
		out += fmt.Sprintf(", %d cordoned", s.cordoned)
	}
	return out
}

// capacity lists each resource that there is any of, with what pods may use of it.
func (s *nodeSummary) capacity() string {
	var parts []string
	for _, name := range slices.Sorted(stdmaps.Keys(s.has)) {
		if q := s.has[name]; !q.IsZero() {
			parts = append(parts, fmt.Sprintf("%s %s (allocatable %s)", name, amount(name, q), amount(name, s.allocatable[name])))
		}
	}
	return strings.Join(parts, ", ")
}

// amount writes bytes in GiB, which nodes report in KiB.
func amount(name corev1.ResourceName, q resource.Quantity) string {
	if name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage {
		return fmt.Sprintf("%.1fGi", float64(q.Value())/(1<<30))
	}
	return q.String()
}

// table lists the kinds, most nodes first; nil without nodes.
func (s *nodeSummary) table() *mcpkit.Table {
	if s.total == 0 {
		return nil
	}
	t := &mcpkit.Table{Columns: []string{"nodes", "ready", "roles", "kubelet", "os", "arch", "runtime", "instance_type", "zone"}}
	for k, n := range s.kinds {
		t.Rows = append(t.Rows, []string{strconv.Itoa(n[0]), strconv.Itoa(n[1]), k.roles, k.kubelet, k.os, k.arch, k.runtime, k.instance, k.zone})
	}
	slices.SortFunc(t.Rows, func(a, b []string) int {
		x, _ := strconv.Atoi(a[0]) // written a moment ago
		y, _ := strconv.Atoi(b[0])
		return cmp.Or(cmp.Compare(y, x), slices.Compare(a, b))
	})
	return t
}
