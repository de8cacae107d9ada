package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubectl/pkg/util/podutils"
)

// targetPods is how many of the pods behind a service are looked at one by one.
const targetPods = 100

// endpoints is what a service's EndpointSlices add up to.
type endpoints struct {
	endpointCount
	nodes   map[string]bool                     // with a ready endpoint
	ports   map[string]discoveryv1.EndpointPort // by the service port's name
	unnamed []policyEnd                         // ready endpoints that are no pods
	seen    int                                 // slices
}

// look reads the pods and endpoint slices behind the service.
func (v *connectivity) look(ctx context.Context) {
	v.slices = endpoints{nodes: map[string]bool{}, ports: map[string]discoveryv1.EndpointPort{}}
	v.together(ctx,
		func(ctx context.Context) {
			gather(ctx, &v.gathering, "endpointslices", v.c.typed.DiscoveryV1().EndpointSlices(v.ns).List,
				metav1.ListOptions{LabelSelector: labels.Set{discoveryv1.LabelServiceName: v.service.Name}.String()}, v.slices.take)
		},
		func(ctx context.Context) {
			if len(v.service.Spec.Selector) == 0 {
				return
			}
			gather(ctx, &v.gathering, "pods", v.c.typed.CoreV1().Pods(v.ns).List,
				metav1.ListOptions{LabelSelector: labels.SelectorFromSet(v.service.Spec.Selector).String()}, v.take)
		})
}

func (e *endpoints) take(s *discoveryv1.EndpointSlice) {
	e.add(s)
	e.seen++
	for _, p := range s.Ports {
		if p.Name != nil {
			e.ports[*p.Name] = p
		}
	}
	for _, one := range s.Endpoints {
		if one.Conditions.Ready != nil && !*one.Conditions.Ready {
			continue
		}
		if one.NodeName != nil {
			e.nodes[*one.NodeName] = true
		}
		if (one.TargetRef == nil || one.TargetRef.Kind != "Pod") && len(e.unnamed) < targetPods {
			e.unnamed = append(e.unnamed, policyEnd{name: strings.Join(one.Addresses, ","), ips: one.Addresses, outside: true})
		}
	}
}

// take counts a selected pod; those that have ended serve nobody.
func (v *connectivity) take(p *corev1.Pod) {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return
	}
	v.selected++
	if podutils.IsPodReady(p) && p.DeletionTimestamp == nil {
		v.ready++
	}
	if len(v.targets) < targetPods {
		v.targets = append(v.targets, p.DeepCopy())
	}
}

func (v *connectivity) checkSelector(ctx context.Context) {
	selector := pairs(v.service.Spec.Selector)
	switch {
	case v.selected > 0:
		v.add("selector", checkOK, "%s selects %s, such as %s", selector, plural(v.selected, "pod"), v.targets[0].Name)
		return
	case v.wasMissed("pods"):
		v.add("selector", checkUnknown, "whether %s selects any pod is not known: RBAC grants no list of them", selector)
		return
	}
	near := &labelMatch{selector: v.service.Spec.Selector}
	gather(ctx, &v.gathering, "pods", v.c.typed.CoreV1().Pods(v.ns).List, metav1.ListOptions{}, near.add)
	said := fmt.Sprintf("its selector %s matches no running pod", selector)
	switch idle, elsewhere := v.scaledToZero(ctx), v.elsewhere(ctx); {
	case len(idle) > 0:
		said += "; " + strings.Join(idle, ", ") + " would match but has no replicas wanted"
	case len(near.found) > 0:
		said += "; nearest: " + strings.Join(near.found, "; ")
	case len(elsewhere) > 0:
		said += fmt.Sprintf("; pods with these labels are in namespace %s, and a service only selects in its own", some(elsewhere, 3))
	default:
		said += "; no pod of the namespace has any of these labels"
	}
	v.add("selector", checkFailed, "%s", said)
}

// wasMissed reports whether something could not be read.
func (v *connectivity) wasMissed(what string) bool {
	return slices.ContainsFunc(v.notLookedAt(), func(m string) bool { return strings.HasPrefix(m, what+": ") })
}

// scaledToZero are the workloads whose pods the service would select, if they
// had any.
func (v *connectivity) scaledToZero(ctx context.Context) []string {
	var out []string
	selector := labels.SelectorFromSet(v.service.Spec.Selector)
	idle := func(kind, name string, template corev1.PodTemplateSpec, replicas *int32) {
		if replicas != nil && *replicas == 0 && selector.Matches(labels.Set(template.Labels)) && len(out) < 3 {
			out = append(out, kind+" "+name)
		}
	}
	apps := v.c.typed.AppsV1()
	gather(ctx, &v.gathering, "deployments", apps.Deployments(v.ns).List, metav1.ListOptions{}, func(d *appsv1.Deployment) {
		idle("Deployment", d.Name, d.Spec.Template, d.Spec.Replicas)
	})
	gather(ctx, &v.gathering, "statefulsets", apps.StatefulSets(v.ns).List, metav1.ListOptions{}, func(s *appsv1.StatefulSet) {
		idle("StatefulSet", s.Name, s.Spec.Template, s.Spec.Replicas)
	})
	return out
}

// elsewhere are the namespaces that have pods with the selector's labels.
func (v *connectivity) elsewhere(ctx context.Context) []string {
	page, err := v.c.typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(v.service.Spec.Selector).String(), Limit: 20})
	if err != nil {
		return nil // a hint that a namespaced grant does not give
	}
	var out []string
	for _, p := range page.Items {
		out = append(out, p.Namespace)
	}
	return unique(out)
}

func (v *connectivity) checkReadiness(ctx context.Context) {
	if v.selected == 0 {
		return
	}
	why, sample := v.unreadyPods()
	result := checkOK
	switch {
	case v.ready == 0 && !v.service.Spec.PublishNotReadyAddresses:
		result = checkFailed
	case v.ready < v.selected:
		result = checkWarning
	}
	said := fmt.Sprintf("%d of %s ready", v.ready, plural(v.selected, "pod"))
	if v.service.Spec.PublishNotReadyAddresses {
		said += "; publishNotReadyAddresses sends to those not ready too"
	}
	for _, line := range why.lines() {
		said += "; " + line
	}
	for _, cause := range why.order {
		if strings.Contains(cause, "is not ready") {
			said += v.probeFailure(ctx, sample[cause])
			break
		}
	}
	v.add("readiness", result, "%s", said)
}

// unreadyPods groups the pods that are not ready by why, with one of each.
func (v *connectivity) unreadyPods() (grouped, map[string]*corev1.Pod) {
	var why grouped
	sample := map[string]*corev1.Pod{}
	for _, p := range v.targets {
		if podutils.IsPodReady(p) && p.DeletionTimestamp == nil {
			continue
		}
		cause := "not ready"
		if p.DeletionTimestamp != nil {
			cause = "being deleted"
		} else if faults := podFaults(p, v.now); len(faults) > 0 {
			cause = faults[0].what
		}
		why.add(cause, p.Name)
		sample[cause] = p
	}
	return why, sample
}

// probeFailure is what a readiness probe said last.
func (v *connectivity) probeFailure(ctx context.Context, p *corev1.Pod) string {
	var last *corev1.Event
	gather(ctx, &v.gathering, "events", v.c.typed.CoreV1().Events(v.ns).List,
		metav1.ListOptions{FieldSelector: "reason=Unhealthy,involvedObject.uid=" + string(p.UID)}, func(e *corev1.Event) {
			_, at, _ := occurrences(e)
			if last == nil || at.After(last.LastTimestamp.Time) {
				last = e.DeepCopy()
				last.LastTimestamp = metav1.NewTime(at)
			}
		})
	if last == nil {
		return ""
	}
	return fmt.Sprintf(" (%s ago: %s)", age(last.LastTimestamp.Time, v.now), abridge(strings.TrimSpace(last.Message), 200))
}

func (v *connectivity) checkEndpoints() {
	said := fmt.Sprintf("%s, %d not ready", plural(v.slices.endpointCount.ready, "ready endpoint"), v.slices.unready)
	switch {
	case v.wasMissed("endpointslices"):
		v.add("endpoints", checkUnknown, "RBAC grants no list of EndpointSlices")
	case v.slices.endpointCount.ready > 0:
		v.add("endpoints", checkOK, "%s", said)
	case len(v.service.Spec.Selector) == 0:
		v.add("endpoints", checkFailed, "%s; an EndpointSlice labelled %s=%s must be made for it", said, discoveryv1.LabelServiceName, v.service.Name)
	case v.ready > 0:
		v.add("endpoints", checkFailed, "%s although %s ready: a named target port that no pod has does this; else the endpoint slice controller is behind", said, plural(v.ready, "pod"))
	default:
		v.add("endpoints", checkFailed, "%s: connections are refused", said)
	}
}

// checkPort follows one port of the service to the containers.
func (v *connectivity) checkPort(p corev1.ServicePort) {
	check := portText(p)
	if len(v.targets) == 0 {
		if ep, ok := v.slices.ports[p.Name]; ok && ep.Port != nil && len(v.slices.unnamed) > 0 {
			v.add(check, checkOK, "endpoints listen on %d/%s, by what their slice says", *ep.Port, cmp.Or(protocolOf(ep.Protocol), p.Protocol))
		} else if len(v.slices.unnamed) > 0 {
			v.add(check, checkFailed, "no endpoint slice has a port named %q", p.Name)
		}
		return
	}
	lacking, declared := 0, map[string]bool{}
	for _, pod := range v.targets {
		if _, ok := targetPort(p, pod); !ok {
			lacking++
		}
		for _, c := range podEnd(pod, nil).ports {
			declared[strings.TrimPrefix(fmt.Sprintf("%s:%d/%s", c.Name, c.ContainerPort, cmp.Or(c.Protocol, corev1.ProtocolTCP)), ":")] = true
		}
	}
	has := "they declare " + orNone(some(sortedKeys(declared), 6))
	switch {
	case lacking == 0:
		v.add(check, checkOK, "-> %s/%s%s", v.targetText(p), p.Protocol, v.probed(p))
	case p.TargetPort.Type == intstr.String && lacking == len(v.targets):
		v.add(check, checkFailed, "target port %q: no container of its pods names a %s port so; %s", p.TargetPort.StrVal, p.Protocol, has)
	case p.TargetPort.Type == intstr.String:
		v.add(check, checkWarning, "target port %q: %d of %s do not name a %s port so; %s", p.TargetPort.StrVal, lacking, plural(len(v.targets), "pod"), p.Protocol, has)
	case len(declared) == 0:
		v.add(check, checkOK, "-> %s/%s; the pods declare no ports, so the API does not tell what they listen on", p.TargetPort.String(), p.Protocol)
	case v.probed(p) != "":
		v.add(check, checkOK, "-> %s/%s, not declared by the pods%s", p.TargetPort.String(), p.Protocol, v.probed(p))
	default:
		v.add(check, checkWarning, "target port %s/%s is not declared by the containers; %s. Declaring is no duty, but a wrong target port looks like this", p.TargetPort.String(), p.Protocol, has)
	}
}

// portText names a port of a service; TCP is understood.
func portText(p corev1.ServicePort) string {
	if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP {
		return fmt.Sprintf("port %d/%s", p.Port, p.Protocol)
	}
	return fmt.Sprintf("port %d", p.Port)
}

// targetText is a target port with the number that its name stands for.
func (v *connectivity) targetText(p corev1.ServicePort) string {
	if p.TargetPort.Type == intstr.Int {
		return p.TargetPort.String()
	}
	numbers := map[string]bool{}
	for _, pod := range v.targets {
		n, _ := targetPort(p, pod)
		numbers[strconv.Itoa(int(n))] = true
	}
	return p.TargetPort.StrVal + " (" + some(sortedKeys(numbers), 3) + ")"
}

func protocolOf(p *corev1.Protocol) corev1.Protocol {
	if p == nil {
		return ""
	}
	return *p
}

// targetPort is the port of a pod that a port of a service goes to, and
// whether a container declares it.
func targetPort(p corev1.ServicePort, pod *corev1.Pod) (int32, bool) {
	protocol := cmp.Or(p.Protocol, corev1.ProtocolTCP)
	number := p.TargetPort.IntVal
	if p.TargetPort.Type == intstr.Int && number == 0 {
		number = p.Port
	}
	for _, c := range podEnd(pod, nil).ports {
		if cmp.Or(c.Protocol, corev1.ProtocolTCP) != protocol {
			continue
		}
		if p.TargetPort.Type == intstr.String && c.Name == p.TargetPort.StrVal || p.TargetPort.Type == intstr.Int && c.ContainerPort == number {
			return c.ContainerPort, true
		}
	}
	return number, false
}

// probed says so when a readiness probe that passes uses the port: the only
// sign in the API that something listens.
func (v *connectivity) probed(p corev1.ServicePort) string {
	for _, pod := range v.targets {
		number, _ := targetPort(p, pod)
		for _, c := range pod.Spec.Containers {
			if r := c.ReadinessProbe; r != nil && probePort(r, c.Ports) == number && number != 0 && podutils.IsPodReady(pod) {
				return "; a readiness probe of that port passes"
			}
		}
	}
	return ""
}

func probePort(probe *corev1.Probe, ports []corev1.ContainerPort) int32 {
	var port intstr.IntOrString
	switch {
	case probe.HTTPGet != nil:
		port = probe.HTTPGet.Port
	case probe.TCPSocket != nil:
		port = probe.TCPSocket.Port
	case probe.GRPC != nil:
		return probe.GRPC.Port
	}
	if i := slices.IndexFunc(ports, func(c corev1.ContainerPort) bool { return c.Name == port.StrVal }); port.StrVal != "" && i >= 0 {
		return ports[i].ContainerPort
	}
	return port.IntVal
}
