package kubernetes

import (
	"context"
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// scalers tells what is wrong with the autoscalers of a workload.
func (d *diagnosis) scalers(ctx context.Context, w *workloadCase) {
	gather(ctx, &d.gathering, "horizontalpodautoscalers", d.c.typed.AutoscalingV2().HorizontalPodAutoscalers(d.ns).List, metav1.ListOptions{},
		func(h *autoscalingv2.HorizontalPodAutoscaler) {
			if t := h.Spec.ScaleTargetRef; t.Kind != w.kind || t.Name != w.meta.Name {
				return
			}
			d.aside(autoscalerFaults(h)...)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.chain = append(d.chain, "scaled by HorizontalPodAutoscaler "+h.Name+": "+autoscalerState(h))
		})
}

func autoscalerState(h *autoscalingv2.HorizontalPodAutoscaler) string {
	return fmt.Sprintf("%d of %d to %d replicas, wants %d", h.Status.CurrentReplicas, replicas(h.Spec.MinReplicas), h.Spec.MaxReplicas, h.Status.DesiredReplicas)
}

// autoscalerFaults reads what keeps an autoscaler from scaling.
func autoscalerFaults(h *autoscalingv2.HorizontalPodAutoscaler) []Finding {
	var out []Finding
	for _, c := range h.Status.Conditions {
		f := Finding{Severity: warning, Evidence: lines(abridge(c.Message, 300))}
		switch {
		case c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionFalse && c.Reason == "ScalingDisabled":
			f.Severity, f.What = info, fmt.Sprintf("HorizontalPodAutoscaler %s is off, since its target is scaled to 0", h.Name)
		case c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionFalse:
			f.cause, f.What = "HPA cannot get its metrics: "+c.Reason, fmt.Sprintf("HorizontalPodAutoscaler %s cannot get its metrics: %s", h.Name, c.Reason)
			f.Next = "metrics must be served for the target's pods (metrics.k8s.io, or the custom or external metrics API)"
			if strings.Contains(c.Message, "missing request for") {
				f.Next = "every container of the target must set the request that the metric is a share of"
			}
		case c.Type == autoscalingv2.AbleToScale && c.Status == corev1.ConditionFalse:
			f.Severity, f.cause = critical, "HPA cannot scale its target: "+c.Reason
			f.What = fmt.Sprintf("HorizontalPodAutoscaler %s cannot scale its target: %s", h.Name, c.Reason)
			f.Next = "scaleTargetRef must name a workload that is there and can be scaled"
		case c.Type == autoscalingv2.ScalingLimited && c.Status == corev1.ConditionTrue && c.Reason == "TooManyReplicas":
			f.Severity, f.What = info, fmt.Sprintf("HorizontalPodAutoscaler %s is at its limit of %d replicas and wants more", h.Name, h.Spec.MaxReplicas)
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}

// autoscaler diagnoses a horizontal pod autoscaler.
func (d *diagnosis) autoscaler(ctx context.Context, name string) error {
	h, err := d.c.typed.AutoscalingV2().HorizontalPodAutoscalers(d.ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return translate(err, "get "+named("horizontalpodautoscalers", d.ns, name))
	}
	d.state = autoscalerState(h)
	d.findings = append(d.findings, autoscalerFaults(h)...)
	target := h.Spec.ScaleTargetRef
	d.chain = append(d.chain, "scales "+target.Kind+" "+target.Name)
	d.together(ctx,
		func(ctx context.Context) { d.eventsOf(ctx, h) },
		func(ctx context.Context) { d.scaleTarget(ctx, target) },
		func(ctx context.Context) { d.metricsServed(ctx) },
	)
	for _, f := range d.findings {
		if f.Severity != info {
			d.events.tell("HorizontalPodAutoscaler/"+name, "FailedGetResourceMetric", "FailedComputeMetricsReplicas", "FailedGetScale")
		}
	}
	return nil
}

// scaleTarget says whether what an autoscaler scales is there.
func (d *diagnosis) scaleTarget(ctx context.Context, target autoscalingv2.CrossVersionObjectReference) {
	gv, err := schema.ParseGroupVersion(target.APIVersion)
	if err != nil {
		return // the API server lets no such autoscaler in
	}
	_, t, err := d.fetch(ctx, strings.TrimSuffix(target.Kind+"."+gv.Group, "."), target.Name)
	switch {
	case apierrors.IsNotFound(err):
		d.aside(Finding{Severity: critical, What: fmt.Sprintf("its target %s %q does not exist", target.Kind, target.Name), Next: "create it, or correct scaleTargetRef"})
	case err != nil:
		d.missedOut(strings.ToLower(target.Kind)+" "+target.Name, err)
	default:
		d.saw(t.Resource, 1)
	}
}

// metricsServed says whether the API that serves pods' metrics is available.
func (d *diagnosis) metricsServed(ctx context.Context) {
	obj, _, err := d.fetch(ctx, "apiservices.apiregistration.k8s.io", "v1beta1.metrics.k8s.io")
	what := ""
	switch {
	case apierrors.IsNotFound(err):
		what = "the cluster serves no metrics.k8s.io API"
	case err != nil:
		d.missedOut("apiservice v1beta1.metrics.k8s.io", err)
		return
	default:
		d.saw("apiservices", 1)
		if why := apiServiceFault(obj.Object); why != "" {
			what = "the metrics.k8s.io API is not available: " + why
		}
	}
	if what != "" {
		d.aside(Finding{Severity: warning, What: what, Next: "metrics-server, or what stands in for it, must be installed and run"})
	}
}

// apiServiceFault says why an aggregated API does not answer; empty when it does.
func apiServiceFault(object map[string]any) string {
	for _, c := range maps(object, "status", "conditions") {
		if c["type"] == "Available" && c["status"] != "True" {
			reason, _ := c["reason"].(string)
			message, _ := c["message"].(string)
			return reason + ": " + abridge(message, 250)
		}
	}
	return ""
}
