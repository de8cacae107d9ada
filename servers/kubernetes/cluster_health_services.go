package kubernetes

import (
	"context"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serviceStates are the services there are, and what their endpoint slices add
// up to; of a service a name and two counts are held.
type serviceStates struct {
	selector map[string]string // of those that select pods and are not just made
	all      map[string]bool
	counts   map[string]*endpointCount
	complete bool
}

// checkServices reads services and, when they could be read, their endpoints.
func (h *health) checkServices(ctx context.Context) {
	s := &h.services
	s.selector, s.all, s.counts = map[string]string{}, map[string]bool{}, map[string]*endpointCount{}
	err := each(ctx, h.c.typed.CoreV1().Services(h.ns).List, metav1.ListOptions{}, func(service *corev1.Service) {
		name := service.Namespace + "/" + service.Name
		s.all[name] = true
		if len(service.Spec.Selector) > 0 && service.Spec.Type != corev1.ServiceTypeExternalName && h.acted(service.CreationTimestamp) {
			s.selector[name] = pairs(service.Spec.Selector)
		}
	})
	if err != nil {
		h.missedOut("services", err)
		return
	}
	h.saw("services", len(s.all))
	err = each(ctx, h.c.typed.DiscoveryV1().EndpointSlices(h.ns).List, metav1.ListOptions{}, func(slice *discoveryv1.EndpointSlice) {
		name := slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]
		if s.counts[name] == nil {
			s.counts[name] = &endpointCount{}
		}
		s.counts[name].add(slice)
	})
	if err != nil {
		h.missedOut("endpointslices", err)
		return
	}
	s.complete = true
}

// judgeServices tells of services that select pods and have none that is ready.
func (h *health) judgeServices() {
	if !h.services.complete {
		return
	}
	for _, name := range sortedKeys(h.services.selector) {
		counts := h.services.counts[name]
		switch {
		case counts == nil || counts.ready+counts.unready == 0:
			h.problems.add(warning, "Service selects no pod", "Service "+name+" ["+h.services.selector[name]+"]", "its selector matches no pod that runs", 0)
		case counts.ready == 0:
			h.problems.add(warning, "Service without ready endpoints", "Service "+name, "it selects pods, and none of them is ready", 0)
		}
	}
}

// checkWebhooks tells of admission webhooks whose service cannot answer: one
// that must not fail holds up every write it is asked about.
func (h *health) checkWebhooks(ctx context.Context) {
	if !h.services.complete {
		return
	}
	gather(ctx, &h.gathering, "webhook configurations", h.c.typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().List, metav1.ListOptions{},
		func(c *admissionv1.ValidatingWebhookConfiguration) {
			for _, w := range c.Webhooks {
				h.webhook("ValidatingWebhookConfiguration "+c.Name, w.ClientConfig, w.FailurePolicy)
			}
		})
	gather(ctx, &h.gathering, "webhook configurations", h.c.typed.AdmissionregistrationV1().MutatingWebhookConfigurations().List, metav1.ListOptions{},
		func(c *admissionv1.MutatingWebhookConfiguration) {
			for _, w := range c.Webhooks {
				h.webhook("MutatingWebhookConfiguration "+c.Name, w.ClientConfig, w.FailurePolicy)
			}
		})
}

func (h *health) webhook(object string, client admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType) {
	if client.Service == nil {
		return
	}
	name := client.Service.Namespace + "/" + client.Service.Name
	counts := h.services.counts[name]
	cause := "webhook's Service does not exist"
	switch {
	case counts != nil && counts.ready > 0:
		return
	case h.services.all[name]:
		cause = "webhook's Service has no ready endpoints"
	}
	severity, detail := warning, "Service "+name+"; failurePolicy Ignore lets the writes through unasked"
	if policy == nil || *policy == admissionv1.Fail {
		severity, detail = critical, "Service "+name+"; failurePolicy Fail refuses the writes it is asked about"
	}
	h.problems.add(severity, cause, strings.TrimSpace(object), detail, 0)
}
