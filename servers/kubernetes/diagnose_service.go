package kubernetes

import (
	"context"
	"fmt"
	stdmaps "maps"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// endpointCount is what a service's endpoint slices add up to.
type endpointCount struct{ ready, unready int }

func (c *endpointCount) add(s *discoveryv1.EndpointSlice) {
	for _, e := range s.Endpoints {
		if e.Conditions.Ready == nil || *e.Conditions.Ready {
			c.ready++
		} else {
			c.unready++
		}
	}
}

// service diagnoses a service: whom it selects, who of them is ready, and
// whether they have the ports it sends to.
func (d *diagnosis) service(ctx context.Context, s *corev1.Service) {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		d.state = "an alias of " + s.Spec.ExternalName + ": it has no endpoints of its own"
		return
	}
	var counts endpointCount
	census, near := newPodCensus(d.now), &labelMatch{selector: s.Spec.Selector}
	ports := map[string]bool{}
	d.together(ctx,
		func(ctx context.Context) { d.eventsOf(ctx, s) },
		func(ctx context.Context) { counts = d.endpoints(ctx, s.Name) },
		func(ctx context.Context) {
			if len(s.Spec.Selector) == 0 {
				return
			}
			selector := labels.SelectorFromSet(s.Spec.Selector)
			gather(ctx, &d.gathering, "pods", d.c.typed.CoreV1().Pods(d.ns).List, metav1.ListOptions{}, func(p *corev1.Pod) {
				if !selector.Matches(labels.Set(p.Labels)) {
					near.add(p)
					return
				}
				census.add(p)
				for name := range portNames(p) {
					ports[name] = true
				}
			})
		},
	)
	d.state = fmt.Sprintf("%s, %d not ready; selector %s; ports %s", plural(counts.ready, "ready endpoint"), counts.unready, orNone(pairs(s.Spec.Selector)), servicePorts(s))
	d.pods = census.table()
	d.selection(s, census, near, counts)
	d.targetPorts(s, census, ports)
	d.serviceCauses(ctx, census, counts)
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer && len(s.Status.LoadBalancer.Ingress) == 0 {
		d.find(warning, fmt.Sprintf("it is of type LoadBalancer and has no address since %s", age(s.CreationTimestamp.Time, d.now)), "a load balancer controller must run and give it one")
	}
}

func (d *diagnosis) endpoints(ctx context.Context, service string) endpointCount {
	var counts endpointCount
	gather(ctx, &d.gathering, "endpointslices", d.c.typed.DiscoveryV1().EndpointSlices(d.ns).List,
		metav1.ListOptions{LabelSelector: labels.Set{discoveryv1.LabelServiceName: service}.String()}, counts.add)
	return counts
}

// selection says why a service has no pods to send to.
func (d *diagnosis) selection(s *corev1.Service, census *podCensus, near *labelMatch, counts endpointCount) {
	switch {
	case len(s.Spec.Selector) == 0 && counts.ready == 0:
		d.find(critical, "it has no selector, and nobody has given it ready endpoints", "EndpointSlices with its name must be made by whoever manages it")
	case len(s.Spec.Selector) == 0:
	case census.total == 0 && census.completed == 0:
		next := "the selector must equal labels of the pods it is meant for"
		if near.best == 0 {
			next = "no pod of the namespace has any of these labels: its workload is missing, scaled to 0, or in another namespace"
		}
		d.find(critical, fmt.Sprintf("its selector %s matches no pod", pairs(s.Spec.Selector)), next, near.evidence()...)
	case counts.ready == 0 && census.ready > 0:
		d.find(critical, fmt.Sprintf("%s ready, yet none is among its endpoints", plural(census.ready, "pod")),
			"a named targetPort that the pods lack does this; else the endpoint slice controller is behind")
	}
}

// serviceCauses looks into why the pods of a service are not ready.
func (d *diagnosis) serviceCauses(ctx context.Context, census *podCensus, counts endpointCount) {
	groups := census.worst()
	for i, g := range groups[:min(maxCauses, len(groups))] {
		if i == 0 {
			d.eventsOf(ctx, g.sample)
		}
		s := subject{fault: g.fault, pod: g.sample, who: fmt.Sprintf("%d of %s it selects: ", g.count, plural(census.total, "pod"))}
		if counts.ready > 0 && s.severity == critical {
			s.severity = warning
		}
		if i == 0 {
			d.judge(ctx, s)
			if last := &d.findings[len(d.findings)-1]; counts.ready > 0 && last.Severity == critical {
				last.Severity = warning
			}
			continue
		}
		d.find(s.severity, s.who+g.cause, "k8s_diagnose of pod "+g.names[0])
	}
}

// targetPorts says which of a service's ports the pods do not have.
func (d *diagnosis) targetPorts(s *corev1.Service, census *podCensus, names map[string]bool) {
	if census.total == 0 {
		return
	}
	for _, p := range s.Spec.Ports {
		if p.TargetPort.Type == intstr.String && !names[p.TargetPort.StrVal] {
			d.find(critical, fmt.Sprintf("port %d goes to target port %q, which no container of its pods names", p.Port, p.TargetPort.StrVal),
				"the targetPort must be one of the containers' port names, or a number", "ports the pods name: "+orNone(some(sortedKeys(names), 8)))
		}
	}
}

func portNames(p *corev1.Pod) map[string]bool {
	out := map[string]bool{}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, port := range c.Ports {
			if port.Name != "" {
				out[port.Name] = true
			}
		}
	}
	return out
}

func servicePorts(s *corev1.Service) string {
	var out []string
	for _, p := range s.Spec.Ports {
		out = append(out, fmt.Sprintf("%d->%s/%s", p.Port, p.TargetPort.String(), p.Protocol))
	}
	return orNone(some(out, 5))
}

// labelMatch finds the pods whose labels come nearest to a selector that
// matches none.
type labelMatch struct {
	selector map[string]string
	best     int
	found    []string // what differs, by workload
}

// add compares a pod: a label that is equal weighs most, then one whose value
// is near, then one with the key alone.
func (m *labelMatch) add(p *corev1.Pod) {
	score := 0
	var differs []string
	for _, key := range sortedKeys(m.selector) {
		want := m.selector[key]
		has, there := p.Labels[key]
		switch {
		case has == want && there:
			score += 4
			continue
		case there && len(mcpkit.Nearest(want, []string{has})) > 0:
			score += 3
		case there:
			score++
		}
		if there {
			differs = append(differs, fmt.Sprintf("%s=%s", key, has))
		} else {
			differs = append(differs, "no label "+key)
		}
	}
	line := fmt.Sprintf("%s has %s", podOwner(p), strings.Join(differs, ", "))
	switch {
	case score == 0 || score < m.best || slices.Contains(m.found, line):
	case score > m.best:
		m.best, m.found = score, []string{line}
	case len(m.found) < 4:
		m.found = append(m.found, line)
	}
}

func (m *labelMatch) evidence() []string {
	if len(m.found) == 0 {
		return nil
	}
	return []string{"nearest: " + strings.Join(m.found, "; ")}
}

// podOwner names the workload a pod belongs to: a replica set made by a
// deployment carries its name before the template's hash.
func podOwner(p *corev1.Pod) string {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		return "Pod " + p.Name
	}
	hash := p.Labels["pod-template-hash"]
	if name, ok := strings.CutSuffix(owner.Name, "-"+hash); ok && hash != "" && owner.Kind == "ReplicaSet" {
		return "Deployment " + name
	}
	return owner.Kind + " " + owner.Name
}

// missedServices finds services that nearly select a workload's pods, and so
// send to nobody.
func (d *diagnosis) missedServices(ctx context.Context, w *workloadCase) {
	probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: w.meta.Name, Labels: w.template.Labels}}
	var suspects []string
	gather(ctx, &d.gathering, "services", d.c.typed.CoreV1().Services(d.ns).List, metav1.ListOptions{}, func(s *corev1.Service) {
		if len(s.Spec.Selector) == 0 || labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(w.template.Labels)) {
			return
		}
		near := &labelMatch{selector: s.Spec.Selector}
		near.add(probe)
		if near.best >= 3 && len(suspects) < maxCauses {
			suspects = append(suspects, s.Name+"\x00"+pairs(s.Spec.Selector))
		}
	})
	for _, suspect := range suspects {
		name, selector, _ := strings.Cut(suspect, "\x00")
		if counts := d.endpoints(ctx, name); counts.ready+counts.unready > 0 {
			continue
		}
		d.aside(Finding{Severity: warning, What: fmt.Sprintf("Service %s selects %s and has no endpoints; the pods here have %s", name, selector, pairs(withoutHash(w.template.Labels))),
			Next: "where the Service is meant for these pods, its selector must equal their labels"})
	}
}

// withoutHash drops the label that tells a replica set's pods from its siblings'.
func withoutHash(labels map[string]string) map[string]string {
	out := stdmaps.Clone(labels)
	delete(out, "pod-template-hash")
	return out
}
