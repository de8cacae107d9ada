package kubernetes

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// policyEnd is one end of a connection as NetworkPolicies see it.
type policyEnd struct {
	name            string
	namespace       string
	namespaceLabels labels.Set
	labels          labels.Set
	ips             []string // none: not known
	hostIPs         []string // of its node
	hostNetwork     bool     // selectors do not see such a pod
	outside         bool     // no pod of the cluster
	ports           []corev1.ContainerPort
}

func podEnd(p *corev1.Pod, namespaceLabels labels.Set) policyEnd {
	e := policyEnd{name: p.Name, namespace: p.Namespace, namespaceLabels: namespaceLabels, labels: p.Labels, hostNetwork: p.Spec.HostNetwork}
	for _, ip := range p.Status.PodIPs {
		e.ips = append(e.ips, ip.IP)
	}
	for _, ip := range p.Status.HostIPs {
		e.hostIPs = append(e.hostIPs, ip.IP)
	}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		e.ports = append(e.ports, c.Ports...)
	}
	return e
}

// policyTraffic is a connection to a port of a pod, after the service's
// address has been translated.
type policyTraffic struct {
	from, to policyEnd
	port     int32
	protocol corev1.Protocol
}

// policyDecision is what policies make of one end of a connection.
type policyDecision struct {
	selecting []string // policies that isolate the end; none: everything is allowed
	by        string   // the policy that allows it
	byAddress bool     // and does so by the pod's address
}

func (d policyDecision) allowed() bool { return len(d.selecting) == 0 || d.by != "" }

// ingress decides by the policies of the target's namespace.
func (t policyTraffic) ingress(policies []*networkingv1.NetworkPolicy) policyDecision {
	return decide(policies, t.to, networkingv1.PolicyTypeIngress, func(p *networkingv1.NetworkPolicy) (allowed, byAddress bool) {
		for _, rule := range p.Spec.Ingress {
			if ok, byAddress := t.admits(p.Namespace, rule.From, rule.Ports, t.from); ok {
				return true, byAddress
			}
		}
		return false, false
	})
}

// egress decides by the policies of the source's namespace. What a pod sends to
// its own node no policy holds back.
func (t policyTraffic) egress(policies []*networkingv1.NetworkPolicy) policyDecision {
	if slices.ContainsFunc(t.to.ips, func(ip string) bool { return slices.Contains(t.from.hostIPs, ip) }) {
		return policyDecision{}
	}
	return decide(policies, t.from, networkingv1.PolicyTypeEgress, func(p *networkingv1.NetworkPolicy) (allowed, byAddress bool) {
		for _, rule := range p.Spec.Egress {
			if ok, byAddress := t.admits(p.Namespace, rule.To, rule.Ports, t.to); ok {
				return true, byAddress
			}
		}
		return false, false
	})
}

func decide(policies []*networkingv1.NetworkPolicy, end policyEnd, direction networkingv1.PolicyType, admits func(*networkingv1.NetworkPolicy) (bool, bool)) policyDecision {
	var d policyDecision
	for _, p := range policies {
		if !isolates(p, end, direction) {
			continue
		}
		d.selecting = append(d.selecting, p.Name)
		if d.by != "" {
			continue
		}
		if ok, byAddress := admits(p); ok {
			d.by, d.byAddress = p.Name, byAddress
		}
	}
	return d
}

// isolates reports whether a policy is about an end in a direction.
func isolates(p *networkingv1.NetworkPolicy, end policyEnd, direction networkingv1.PolicyType) bool {
	if p.Namespace != end.namespace || end.hostNetwork || end.outside || !labelsMatch(&p.Spec.PodSelector, end.labels) {
		return false
	}
	if len(p.Spec.PolicyTypes) == 0 { // the API server fills them in, for those stored before it did
		return direction == networkingv1.PolicyTypeIngress || len(p.Spec.Egress) > 0
	}
	return slices.Contains(p.Spec.PolicyTypes, direction)
}

// labelsMatch matches a selector; a selector that cannot be read selects nothing.
func labelsMatch(s *metav1.LabelSelector, set labels.Set) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(set)
}

// admits reports whether a rule allows the traffic with other at its far end.
func (t policyTraffic) admits(namespace string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, other policyEnd) (ok, byAddress bool) {
	if !t.portIn(ports) {
		return false, false
	}
	if len(peers) == 0 {
		return true, false
	}
	for _, peer := range peers {
		if peer.IPBlock != nil {
			if slices.ContainsFunc(other.ips, func(ip string) bool { return inBlock(peer.IPBlock, ip) }) {
				return true, true
			}
			continue
		}
		if other.is(peer, namespace) {
			return true, false
		}
	}
	return false, false
}

// is reports whether a peer of a policy in a namespace means the end.
func (e policyEnd) is(peer networkingv1.NetworkPolicyPeer, namespace string) bool {
	if e.hostNetwork || e.outside {
		return false
	}
	if peer.NamespaceSelector == nil {
		return e.namespace == namespace && labelsMatch(peer.PodSelector, e.labels)
	}
	return labelsMatch(peer.NamespaceSelector, e.namespaceLabels) && (peer.PodSelector == nil || labelsMatch(peer.PodSelector, e.labels))
}

func inBlock(block *networkingv1.IPBlock, ip string) bool {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	contains := func(cidr string) bool {
		p, err := netip.ParsePrefix(cidr)
		return err == nil && p.Contains(addr.Unmap())
	}
	return contains(block.CIDR) && !slices.ContainsFunc(block.Except, contains)
}

// portIn reports whether the ports of a rule include the traffic's.
func (t policyTraffic) portIn(ports []networkingv1.NetworkPolicyPort) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		switch {
		case protocol != t.protocol:
			return false
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			return slices.ContainsFunc(t.to.ports, func(c corev1.ContainerPort) bool {
				return c.Name == p.Port.StrVal && c.ContainerPort == t.port && cmp.Or(c.Protocol, corev1.ProtocolTCP) == protocol
			})
		case p.EndPort != nil:
			return t.port >= p.Port.IntVal && t.port <= *p.EndPort
		}
		return t.port == p.Port.IntVal
	})
}

// welcomes says whom policies let in to the target on the traffic's port.
func (t policyTraffic) welcomes(policies []*networkingv1.NetworkPolicy) []string {
	var out []string
	for _, p := range policies {
		if !isolates(p, t.to, networkingv1.PolicyTypeIngress) {
			continue
		}
		for _, rule := range p.Spec.Ingress {
			if !t.portIn(rule.Ports) {
				continue
			}
			if len(rule.From) == 0 {
				return []string{"everybody (" + p.Name + ")"}
			}
			for _, peer := range rule.From {
				out = append(out, peerText(peer)+" ("+p.Name+")")
			}
		}
	}
	return out
}

// peerText writes a peer in words.
func peerText(p networkingv1.NetworkPolicyPeer) string {
	if p.IPBlock != nil {
		text := "addresses " + p.IPBlock.CIDR
		if len(p.IPBlock.Except) > 0 {
			text += " except " + strings.Join(p.IPBlock.Except, ", ")
		}
		return text
	}
	pods := "all pods"
	if s := selectorText(p.PodSelector); s != "" {
		pods = "pods " + s
	}
	if p.NamespaceSelector == nil {
		return pods + " of its namespace"
	}
	if s := selectorText(p.NamespaceSelector); s != "" {
		return fmt.Sprintf("%s of namespaces %s", pods, s)
	}
	return pods + " of any namespace"
}

func selectorText(s *metav1.LabelSelector) string {
	if s == nil {
		return ""
	}
	return strings.TrimPrefix(metav1.FormatLabelSelector(s), "<none>")
}
