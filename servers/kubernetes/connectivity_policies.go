package kubernetes

import (
	"cmp"
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubectl/pkg/util/podutils"
)

// checkPolicies holds the connection against the NetworkPolicies at both ends.
func (v *connectivity) checkPolicies(ctx context.Context, ports []corev1.ServicePort) {
	targets := v.policyTargets(ctx)
	if len(targets) == 0 || len(ports) == 0 {
		return
	}
	v.otherPolicies(ctx)
	inbound := v.policies(ctx, v.ns)
	if v.source == nil {
		v.checkOpen(inbound, targets, ports)
		return
	}
	v.source.namespaceLabels = v.namespaceLabels(ctx, v.source.namespace)
	outbound := inbound
	if v.source.namespace != v.ns {
		outbound = v.policies(ctx, v.source.namespace)
	}
	for _, p := range ports {
		v.checkEgress(outbound, targets, p)
		v.checkIngress(inbound, targets, p)
	}
	v.checkNames(ctx, outbound)
}

// policyTargets are the pods behind the service, ready ones where there are
// any, or the addresses that stand in for them.
func (v *connectivity) policyTargets(ctx context.Context) []policyEnd {
	if len(v.targets) == 0 {
		return v.slices.unnamed
	}
	set := v.namespaceLabels(ctx, v.ns)
	var all, serving []policyEnd
	for _, p := range v.targets {
		all = append(all, podEnd(p, set))
		if podutils.IsPodReady(p) {
			serving = append(serving, all[len(all)-1])
		}
	}
	if len(serving) > 0 {
		return serving
	}
	return all
}

// policies reads the NetworkPolicies of a namespace.
func (v *connectivity) policies(ctx context.Context, ns string) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	gather(ctx, &v.gathering, "networkpolicies", v.c.typed.NetworkingV1().NetworkPolicies(ns).List, metav1.ListOptions{}, func(p *networkingv1.NetworkPolicy) {
		out = append(out, p.DeepCopy())
	})
	if v.wasMissed("networkpolicies") {
		v.add("policies", checkUnknown, "RBAC grants no list of NetworkPolicies in namespace %s", ns)
	}
	return out
}

// namespaceLabels are what namespaceSelectors match. Every namespace has its
// name among them, which is all that is known where the rest cannot be read.
func (v *connectivity) namespaceLabels(ctx context.Context, ns string) labels.Set {
	obj, err := v.c.typed.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
	if err != nil {
		v.missedOut("labels of namespace "+ns, err)
		return labels.Set{corev1.LabelMetadataName: ns}
	}
	v.saw("namespaces", 1)
	return obj.Labels
}

// traffic is the connection to one target on one port of the service.
func (v *connectivity) traffic(to policyEnd, p corev1.ServicePort) policyTraffic {
	t := policyTraffic{to: to, protocol: cmp.Or(p.Protocol, corev1.ProtocolTCP), port: p.TargetPort.IntVal}
	if v.source != nil {
		t.from = *v.source
	}
	for _, pod := range v.targets {
		if pod.Name == to.name {
			t.port, _ = targetPort(p, pod)
		}
	}
	if ep, ok := v.slices.ports[p.Name]; ok && ep.Port != nil && to.outside {
		t.port = *ep.Port
	}
	return t
}

// checkOpen says who may connect when nobody in particular is asked about.
func (v *connectivity) checkOpen(policies []*networkingv1.NetworkPolicy, targets []policyEnd, ports []corev1.ServicePort) {
	for _, p := range ports {
		var selecting, welcome []string
		for _, to := range targets {
			t := v.traffic(to, p)
			if d := t.ingress(policies); len(d.selecting) > 0 {
				selecting, welcome = append(selecting, d.selecting...), append(welcome, t.welcomes(policies)...)
			}
		}
		check, by := "policies, "+portText(p), some(unique(selecting), 4)
		switch {
		case len(selecting) == 0:
			v.add(check, checkOK, "no NetworkPolicy restricts who may connect")
		case len(welcome) == 0:
			v.add(check, checkFailed, "NetworkPolicies %s let nobody in", by)
		case strings.HasPrefix(welcome[0], "everybody"):
			v.add(check, checkOK, "NetworkPolicies %s let everybody in", by)
		default:
			v.add(check, checkWarning, "NetworkPolicies %s let in only: %s. Give from_pod to decide for one", by, some(unique(welcome), 6))
		}
	}
}

func (v *connectivity) checkEgress(policies []*networkingv1.NetworkPolicy, targets []policyEnd, p corev1.ServicePort) {
	check := "egress, " + portText(p)
	if v.source.hostNetwork {
		v.add(check, checkOK, "%s uses its node's network, so no NetworkPolicy holds it back", v.source.name)
		return
	}
	v.decided(check, "from "+v.source.name, targets, func(to policyEnd) policyDecision { return v.traffic(to, p).egress(policies) })
}

func (v *connectivity) checkIngress(policies []*networkingv1.NetworkPolicy, targets []policyEnd, p corev1.ServicePort) {
	v.decided("ingress, "+portText(p), "to the pods", targets, func(to policyEnd) policyDecision { return v.traffic(to, p).ingress(policies) })
}

// decided sums up one direction over all targets.
func (v *connectivity) decided(check, what string, targets []policyEnd, decide func(policyEnd) policyDecision) {
	var blocked, selecting, by []string
	byAddress, isolated := false, false
	for _, to := range targets {
		d := decide(to)
		isolated = isolated || len(d.selecting) > 0
		if d.by != "" {
			by, byAddress = append(by, d.by), byAddress || d.byAddress
		}
		if !d.allowed() {
			blocked, selecting = append(blocked, to.name), append(selecting, d.selecting...)
		}
	}
	uncertain := ""
	if v.source.hostNetwork {
		uncertain = "; the source has its node's address, which policies see in ways that differ between network plugins"
	} else if len(v.source.ips) == 0 {
		uncertain = "; rules by address were not counted, since the source has none"
	}
	switch {
	case !isolated:
		v.add(check, checkOK, "no NetworkPolicy restricts traffic %s", what)
	case len(blocked) == 0 && byAddress:
		v.add(check, checkOK, "allowed by %s, by address (not every network plugin counts pods' addresses)", some(unique(by), 3))
	case len(blocked) == 0:
		v.add(check, checkOK, "allowed by %s", some(unique(by), 3))
	case v.source.hostNetwork:
		v.add(check, checkUnknown, "NetworkPolicies %s restrict it and no rule names the source%s", some(unique(selecting), 4), uncertain)
	case len(blocked) < len(targets):
		v.add(check, checkWarning, "NetworkPolicies %s block %d of %s: %s%s", some(unique(selecting), 4), len(blocked), plural(len(targets), "pod"), some(blocked, 3), uncertain)
	default:
		v.add(check, checkFailed, "NetworkPolicies %s restrict it and no rule of theirs allows it%s", some(unique(selecting), 4), uncertain)
	}
}

// checkNames follows the source to the cluster's DNS, which policies for
// egress often forget.
func (v *connectivity) checkNames(ctx context.Context, policies []*networkingv1.NetworkPolicy) {
	if len((policyTraffic{from: *v.source}).egress(policies).selecting) == 0 {
		return // nothing holds it back
	}
	servers, err := v.nameServers(ctx)
	if err != nil {
		v.missedOut("the cluster's DNS", err)
		return
	}
	if len(servers) == 0 {
		v.add("dns", checkWarning, "egress of the source is restricted; no service kube-dns in kube-system tells whether it may still ask the cluster's DNS")
		return
	}
	for _, to := range servers {
		to.from = *v.source
		if d := to.egress(policies); !d.allowed() {
			v.add("dns", checkFailed, "NetworkPolicies %s do not allow UDP port %d to the cluster's DNS (%s): the source cannot resolve the service's name", some(d.selecting, 4), to.port, to.to.name)
			return
		}
	}
	v.add("dns", checkOK, "policies allow the source to ask the cluster's DNS")
}

// nameServers is the traffic to whatever is behind the cluster's DNS service.
func (v *connectivity) nameServers(ctx context.Context) ([]policyTraffic, error) {
	dns := &connectivity{b: v.b, c: v.c, now: v.now, ns: metav1.NamespaceSystem}
	service, err := v.c.typed.CoreV1().Services(dns.ns).Get(ctx, "kube-dns", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	dns.service = *service
	dns.look(ctx)
	var out []policyTraffic
	for _, p := range service.Spec.Ports {
		if p.Port != 53 || p.Protocol != corev1.ProtocolUDP {
			continue
		}
		for _, to := range dns.policyTargets(ctx) {
			out = append(out, dns.traffic(to, p))
		}
	}
	return out, nil
}

// otherPolicies are the types of policy this check does not know, where the
// cluster has them.
func (v *connectivity) otherPolicies(ctx context.Context) {
	types, _, err := v.b.allTypes(ctx, false)
	if err != nil {
		return // it was just there for the service
	}
	for _, t := range types {
		for _, other := range []string{
			"ciliumnetworkpolicies.cilium.io", "ciliumclusterwidenetworkpolicies.cilium.io", "adminnetworkpolicies.policy.networking.k8s.io",
			"baselineadminnetworkpolicies.policy.networking.k8s.io", "clusternetworkpolicies.policy.networking.k8s.io",
			"networkpolicies.crd.projectcalico.org", "globalnetworkpolicies.crd.projectcalico.org", "authorizationpolicies.security.istio.io",
		} {
			if t.String() == other {
				v.mu.Lock()
				v.missed = append(v.missed, other+": another kind of policy, not decided here")
				v.mu.Unlock()
			}
		}
	}
}
