package kubernetes

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ingress diagnoses an ingress: whether somebody serves it, and whether each
// backend is there, has the port, and has ready endpoints.
func (d *diagnosis) ingress(ctx context.Context, in *networkingv1.Ingress) {
	backends := ingressBackends(in)
	d.state = fmt.Sprintf("%s, %s", plural(len(backends), "backend"), plural(len(in.Status.LoadBalancer.Ingress), "address"))
	steps := []func(context.Context){
		func(ctx context.Context) { d.eventsOf(ctx, in) },
		func(ctx context.Context) { d.ingressClass(ctx, in) },
	}
	for _, b := range backends[:min(len(backends), maxReferences)] {
		steps = append(steps, func(ctx context.Context) { d.backend(ctx, b) })
	}
	d.together(ctx, steps...)
}

// ingressBackend is a service an ingress sends to.
type ingressBackend struct {
	service string
	port    networkingv1.ServiceBackendPort
	route   string // the first that leads there
}

func ingressBackends(in *networkingv1.Ingress) []ingressBackend {
	var out []ingressBackend
	add := func(b *networkingv1.IngressBackend, route string) {
		if b == nil || b.Service == nil || slices.ContainsFunc(out, func(x ingressBackend) bool { return x.service == b.Service.Name && x.port == b.Service.Port }) {
			return
		}
		out = append(out, ingressBackend{b.Service.Name, b.Service.Port, route})
	}
	add(in.Spec.DefaultBackend, "the default backend")
	for _, rule := range in.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			add(&p.Backend, rule.Host+p.Path)
		}
	}
	return out
}

// ingressClass says whether anybody serves the ingress.
func (d *diagnosis) ingressClass(ctx context.Context, in *networkingv1.Ingress) {
	var classes []string
	standard, complete := false, true
	err := each(ctx, d.c.typed.NetworkingV1().IngressClasses().List, metav1.ListOptions{}, func(c *networkingv1.IngressClass) {
		classes = append(classes, c.Name)
		standard = standard || c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	})
	if err != nil {
		d.missedOut("ingressclasses", err)
		complete = false
	}
	class := in.Spec.IngressClassName
	there := "ingress classes: " + orNone(some(classes, 6))
	switch {
	case !complete:
	case class != nil && !slices.Contains(classes, *class):
		d.aside(Finding{Severity: critical, What: fmt.Sprintf("ingress class %q does not exist, so that no controller serves it", *class), Next: "name a class that is there, or install its controller", Evidence: []string{there}})
	case class == nil && in.Annotations["kubernetes.io/ingress.class"] == "" && !standard:
		d.aside(Finding{Severity: critical, What: "it names no ingress class and the cluster has no default one, so that no controller serves it", Next: "set ingressClassName", Evidence: []string{there}})
	case len(in.Status.LoadBalancer.Ingress) == 0:
		d.aside(Finding{Severity: warning, What: fmt.Sprintf("no controller has given it an address since %s", age(in.CreationTimestamp.Time, d.now)), Next: "the controller of its class must run and accept it; its log says why not"})
	}
}

// backend says whether one service of an ingress can take requests.
func (d *diagnosis) backend(ctx context.Context, b ingressBackend) {
	s, err := d.c.typed.CoreV1().Services(d.ns).Get(ctx, b.service, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		d.missedOut("service "+b.service, err)
		return
	}
	if err != nil {
		hint := d.nearest(ctx, "Service", b.service)
		d.aside(Finding{Severity: critical, What: fmt.Sprintf("%s goes to Service %q, which does not exist%s", b.route, b.service, hint), Next: "create it, or correct the backend"})
		return
	}
	d.saw("services", 1)
	counts := d.endpoints(ctx, b.service)
	d.mu.Lock()
	d.chain = append(d.chain, fmt.Sprintf("%s > Service %s (%s)", b.route, b.service, plural(counts.ready, "ready endpoint")))
	d.mu.Unlock()
	if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool {
		return b.port.Name != "" && p.Name == b.port.Name || b.port.Number != 0 && p.Port == b.port.Number
	}) {
		d.aside(Finding{Severity: critical, What: fmt.Sprintf("%s goes to port %s of Service %s, which it does not have", b.route, backendPort(b.port), b.service), Next: "correct the backend's port", Evidence: []string{"its ports: " + servicePorts(s)}})
	}
	if counts.ready == 0 && s.Spec.Type != corev1.ServiceTypeExternalName {
		d.aside(Finding{Severity: critical, What: fmt.Sprintf("%s goes to Service %s, which has no ready endpoints", b.route, b.service), Next: "k8s_diagnose of service " + b.service})
	}
}

func backendPort(p networkingv1.ServiceBackendPort) string {
	if p.Name != "" {
		return p.Name
	}
	return fmt.Sprint(p.Number)
}
