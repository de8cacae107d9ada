package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

var checkServiceConnectivity = mcpkit.Tool{
	Name:        "k8s_check_service_connectivity",
	Title:       "Whether a Service can be reached",
	Description: "Whether a Service reaches its pods, and from_pod the Service: selector, readiness, endpoints, ports and NetworkPolicies, decided from the API; nothing is sent.",
	Narrow:      "name one port",
	Rules: append([]mcpkit.Rule{
		readRule("", "events", "namespaces", "services"),
		readRule("discovery.k8s.io", "endpointslices"),
		readRule("networking.k8s.io", "networkpolicies"),
	}, workloadReads...),
}

type CheckServiceConnectivityIn struct {
	ServiceName   string `json:"service_name" jsonschema:"its name, or name.namespace"`
	Namespace     string `json:"namespace,omitempty" jsonschema:"default if absent"`
	Port          string `json:"port,omitempty" jsonschema:"number or name; all if absent"`
	FromPod       string `json:"from_pod,omitempty" jsonschema:"pod, or workload: deployment/web"`
	FromNamespace string `json:"from_namespace,omitempty" jsonschema:"the service's if absent"`
}

type CheckServiceConnectivityOut struct {
	Verdict string `json:"verdict" jsonschema:"reachable, broken or not decided, and why"`
	mcpkit.Left
	Checks    mcpkit.Table `json:"checks" jsonschema:"what was checked, in the order traffic passes it"`
	NotLooked []string     `json:"not_looked_at,omitempty"`
}

func (b *Backend) checkServiceConnectivity(ctx context.Context, in CheckServiceConnectivityIn) (CheckServiceConnectivityOut, error) {
	name, ns, port, err := serviceRef(in)
	if err != nil {
		return CheckServiceConnectivityOut{}, err
	}
	obj, _, err := b.get(ctx, Ref{ResourceType: "services", ResourceName: name, Namespace: ns})
	if err != nil {
		return CheckServiceConnectivityOut{}, err
	}
	c, err := b.open()
	if err != nil {
		return CheckServiceConnectivityOut{}, err
	}
	v := &connectivity{b: b, c: c, now: b.now(), ns: obj.GetNamespace()}
	if err := into(obj, &v.service); err != nil {
		return CheckServiceConnectivityOut{}, err
	}
	if err := v.findSource(ctx, in); err != nil {
		return CheckServiceConnectivityOut{}, err
	}
	v.check(ctx, port)
	if ctx.Err() != nil {
		return CheckServiceConnectivityOut{}, ctx.Err()
	}
	return v.answer(), nil
}

// serviceRef reads the ways in which a service is named: web, web.shop,
// web.shop.svc.cluster.local, each with a port behind it or not.
func serviceRef(in CheckServiceConnectivityIn) (name, namespace, port string, err error) {
	host, port, _ := strings.Cut(in.ServiceName, ":")
	port = cmp.Or(in.Port, port)
	name, rest, dotted := strings.Cut(host, ".")
	namespace = in.Namespace
	if dotted {
		named, domain, _ := strings.Cut(rest, ".")
		if domain != "" && domain != "svc" && !strings.HasPrefix(domain, "svc.") {
			return "", "", "", mcpkit.Errorf(mcpkit.Invalid, "%s is not the name of a Service; write its name, or name.namespace", shown(in.ServiceName))
		}
		if namespace != "" && namespace != named {
			return "", "", "", mcpkit.Errorf(mcpkit.Invalid, "service_name says namespace %s and namespace says %s", shown(named), shown(namespace))
		}
		namespace = named
	}
	if name == "" || strings.ContainsAny(host+port, "/ ") {
		return "", "", "", mcpkit.Errorf(mcpkit.Invalid, "%s is not the name of a Service; write its name, or name.namespace", shown(in.ServiceName))
	}
	return name, namespace, port, nil
}

// Results of checks.
const (
	checkOK      = "ok"
	checkFailed  = "FAIL"
	checkWarning = "warning"
	checkUnknown = "not known"
)

// connectivity is one call on its way: what is looked at, then the checks in
// the order in which traffic passes them.
type connectivity struct {
	gathering
	b       *Backend
	c       *clients
	now     time.Time
	ns      string
	service corev1.Service

	source   *policyEnd // nil: from anywhere
	from     string     // how the source is called
	nodeName string     // of the source

	targets  []*corev1.Pod // selected, at most targetPods
	selected int
	ready    int
	slices   endpoints

	rows [][]string
}

// add notes a check; what is the same for several ports is said once.
func (v *connectivity) add(check, result, format string, args ...any) {
	evidence := fmt.Sprintf(format, args...)
	what, port, ported := strings.Cut(check, ", port ")
	for _, row := range v.rows {
		if ported && strings.HasPrefix(row[0], what+", port ") && row[1] == result && row[2] == evidence {
			row[0] += ", " + port
			return
		}
	}
	v.rows = append(v.rows, []string{check, result, evidence})
}

// check goes the way of a connection: name, address, endpoints, ports, policies.
func (v *connectivity) check(ctx context.Context, port string) {
	if v.service.Spec.Type == corev1.ServiceTypeExternalName {
		v.checkAlias(ctx)
		return
	}
	v.checkAddress()
	ports := v.choosePorts(port)
	v.look(ctx)
	if len(v.service.Spec.Selector) > 0 {
		v.checkSelector(ctx)
		v.checkReadiness(ctx)
	} else {
		v.add("selector", checkOK, "none: its endpoints are kept by somebody else, not by the cluster")
	}
	v.checkEndpoints()
	for _, p := range ports {
		v.checkPort(p)
	}
	v.checkRouting()
	v.checkPolicies(ctx, ports)
}

// answer puts the verdict before the checks: the first failure decides, since
// those after it often follow from it.
func (v *connectivity) answer() CheckServiceConnectivityOut {
	out := CheckServiceConnectivityOut{NotLooked: v.notLookedAt()}
	out.Checks = mcpkit.Table{Columns: []string{"check", "result", "evidence"}, Rows: v.rows}
	by := map[string][]string{}
	for _, row := range v.rows {
		by[row[1]] = append(by[row[1]], row[2])
	}
	to := "service " + v.service.Name + " of namespace " + v.ns
	if v.from != "" {
		to += " from " + v.from
	}
	switch fails := by[checkFailed]; {
	case len(fails) > 0:
		out.Verdict = fmt.Sprintf("broken: %s: %s", to, fails[0])
		if len(fails) > 1 {
			out.Verdict += fmt.Sprintf(" (and %s failed)", plural(len(fails)-1, "more check"))
		}
	case len(by[checkUnknown]) > 0:
		out.Verdict = fmt.Sprintf("not decided: %s: %s", to, by[checkUnknown][0])
	case len(by[checkWarning]) > 0:
		out.Verdict = fmt.Sprintf("reachable as far as the API shows: %s; but: %s", to, by[checkWarning][0])
	default:
		out.Verdict = "reachable as far as the API shows: " + to
	}
	return out
}

// checkAlias is all there is to say of an ExternalName service.
func (v *connectivity) checkAlias(ctx context.Context) {
	target := strings.TrimSuffix(v.service.Spec.ExternalName, ".")
	v.add("address", checkOK, "ExternalName: its DNS name is an alias of %s; ports, endpoints and NetworkPolicies of this cluster's pods do not apply to it", target)
	parts := strings.Split(target, ".")
	if len(parts) >= 3 && parts[2] == "svc" {
		_, _, err := v.b.get(ctx, Ref{ResourceType: "services", ResourceName: parts[0], Namespace: parts[1]})
		if isKind(err, mcpkit.NotFound) {
			v.add("target", checkFailed, "there is no service %s in namespace %s", parts[0], parts[1])
		} else if err != nil {
			v.missedOut("services", err)
		} else {
			v.add("target", checkOK, "it is a service of this cluster: check %s.%s next", parts[0], parts[1])
		}
		return
	}
	v.add("target", checkUnknown, "%s lies outside the cluster, so the API does not tell whether it answers", target)
}

func (v *connectivity) checkAddress() {
	s := &v.service
	if s.DeletionTimestamp != nil {
		v.add("address", checkFailed, "the service is being deleted since %s", age(s.DeletionTimestamp.Time, v.now))
		return
	}
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		for _, p := range s.Spec.Ports {
			if n := p.TargetPort.IntValue(); n != 0 && int32(n) != p.Port {
				v.add("address", checkWarning, "headless: its DNS name stands for the pods' own addresses, so nothing turns port %d into target port %d, and clients must connect to %d", p.Port, n, n)
				return
			}
		}
		v.add("address", checkOK, "headless: its DNS name stands for the pods' own addresses")
		return
	}
	v.add("address", checkOK, "%s %s, ports %s", s.Spec.Type, s.Spec.ClusterIP, servicePorts(s))
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer && len(s.Status.LoadBalancer.Ingress) == 0 {
		v.add("load balancer", checkWarning, "no address from outside yet, since %s; inside the cluster it works without", age(s.CreationTimestamp.Time, v.now))
	}
}

// choosePorts are the ports of the service that are asked about.
func (v *connectivity) choosePorts(port string) []corev1.ServicePort {
	if port == "" {
		return v.service.Spec.Ports
	}
	for _, p := range v.service.Spec.Ports {
		if p.Name == port || strconv.Itoa(int(p.Port)) == port {
			return []corev1.ServicePort{p}
		}
	}
	hint := ""
	for _, p := range v.service.Spec.Ports {
		if p.TargetPort.String() == port {
			hint = fmt.Sprintf("; %s is the target port of port %d", port, p.Port)
		}
	}
	v.add("port "+port, checkFailed, "the service has no port %s%s; it has %s", port, hint, servicePorts(&v.service))
	return nil
}

// findSource reads who connects.
func (v *connectivity) findSource(ctx context.Context, in CheckServiceConnectivityIn) error {
	if in.FromPod == "" && in.FromNamespace == "" {
		return nil
	}
	ns := cmp.Or(in.FromNamespace, v.ns)
	if in.FromPod == "" {
		_, _, err := v.b.get(ctx, Ref{ResourceType: "namespaces", ResourceName: ns})
		if isKind(err, mcpkit.NotFound) {
			return err
		}
		v.source = &policyEnd{name: "a pod without labels", namespace: ns}
		v.from = "a pod without labels in namespace " + ns
		return nil
	}
	var pod *corev1.Pod
	err := v.b.podsOf(ctx, podRef(in.FromPod, ns), func(p *corev1.Pod) {
		if pod == nil || tellsMore(pod, p) < 0 {
			pod = p.DeepCopy() // a healthy one stands for the others
		}
	})
	if err != nil {
		return err
	}
	if pod == nil {
		return mcpkit.Errorf(mcpkit.NotFound, "%s in namespace %q has no pods now, so there is none to connect from", in.FromPod, ns)
	}
	end := podEnd(pod, nil)
	v.source, v.nodeName = &end, pod.Spec.NodeName
	v.from = fmt.Sprintf("pod %s of namespace %s", pod.Name, ns)
	return nil
}

// checkRouting is how traffic is spread, and where it is not sent.
func (v *connectivity) checkRouting() {
	s := &v.service
	if s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		timeout := int32(10800)
		if c := s.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
			timeout = *c.ClientIP.TimeoutSeconds
		}
		v.add("affinity", checkOK, "ClientIP: a client stays with one pod for %s after its last connection", duration.HumanDuration(time.Duration(timeout)*time.Second))
	}
	if policy := s.Spec.InternalTrafficPolicy; policy != nil && *policy == corev1.ServiceInternalTrafficPolicyLocal && s.Spec.ClusterIP != corev1.ClusterIPNone {
		nodes := sortedKeys(v.slices.nodes)
		switch {
		case v.nodeName != "" && !slices.Contains(nodes, v.nodeName):
			v.add("routing", checkFailed, "internalTrafficPolicy Local: node %s of the source has no ready endpoint, and others are not used", v.nodeName)
		case v.nodeName != "":
			v.add("routing", checkOK, "internalTrafficPolicy Local: node %s of the source has a ready endpoint", v.nodeName)
		default:
			v.add("routing", checkWarning, "internalTrafficPolicy Local: it works from nodes with a ready endpoint alone: %s", orNone(some(nodes, 5)))
		}
	}
}
