package kubernetes

import (
	"context"
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func (h *health) checkNodes(ctx context.Context) {
	gather(ctx, &h.gathering, "nodes", h.c.typed.CoreV1().Nodes().List, metav1.ListOptions{}, func(n *corev1.Node) {
		for _, f := range nodeFaults(n, h.now) {
			if f.Severity != info {
				h.problems.add(f.Severity, f.cause, "Node "+n.Name, abridge(strings.Join(f.Evidence, "; "), detailBytes), 0)
			}
		}
	})
}

func (h *health) checkNamespaces(ctx context.Context) {
	gather(ctx, &h.gathering, "namespaces", h.c.typed.CoreV1().Namespaces().List, metav1.ListOptions{}, func(n *corev1.Namespace) {
		if n.DeletionTimestamp == nil || h.now.Sub(n.DeletionTimestamp.Time) < slowEnd {
			return
		}
		var why []string
		for _, c := range n.Status.Conditions {
			if c.Status == corev1.ConditionTrue {
				why = append(why, c.Message)
			}
		}
		h.problems.add(warning, "namespace stuck Terminating", "Namespace "+n.Name, abridge(strings.Join(why, "; "), detailBytes), 0)
	})
}

func (h *health) checkAPIServices(ctx context.Context) {
	t, err := h.b.resolve(ctx, "apiservices.apiregistration.k8s.io")
	if err != nil {
		h.missedOut("apiservices", err)
		return
	}
	gather(ctx, &h.gathering, "apiservices", h.c.in(t, "").List, metav1.ListOptions{}, func(o *unstructured.Unstructured) {
		if why := apiServiceFault(o.Object); why != "" {
			reason, detail, _ := strings.Cut(why, ": ")
			h.problems.add(critical, "API not available: "+reason, "APIService "+o.GetName(), abridge(detail, detailBytes), 0)
		}
	})
}

func (h *health) checkAutoscalers(ctx context.Context) {
	gather(ctx, &h.gathering, "horizontalpodautoscalers", h.c.typed.AutoscalingV2().HorizontalPodAutoscalers(h.ns).List, metav1.ListOptions{},
		func(a *autoscalingv2.HorizontalPodAutoscaler) {
			if !h.settled(a.CreationTimestamp) {
				return
			}
			for _, f := range autoscalerFaults(a) {
				if f.Severity != info {
					h.problems.add(f.Severity, f.cause, objectName("HorizontalPodAutoscaler", a.Namespace, a.Name), abridge(strings.Join(f.Evidence, "; "), detailBytes), 0)
				}
			}
		})
}

// checkClaims tells of claims that wait for a volume which nothing will give
// them. One that waits for its first pod is as it should be.
func (h *health) checkClaims(ctx context.Context) {
	classes, complete := h.storageClasses(ctx)
	gather(ctx, &h.gathering, "persistentvolumeclaims", h.c.typed.CoreV1().PersistentVolumeClaims(h.ns).List, metav1.ListOptions{}, func(c *corev1.PersistentVolumeClaim) {
		object := objectName("PersistentVolumeClaim", c.Namespace, c.Name)
		switch {
		case c.Status.Phase == corev1.ClaimLost:
			h.problems.add(critical, "PVC has lost its volume", object, "volume "+c.Spec.VolumeName, 0)
		case c.Status.Phase != corev1.ClaimPending || !h.acted(c.CreationTimestamp):
		default:
			if cause := pendingCause(c, classes, complete); cause != "" {
				h.problems.add(warning, cause, object, asked(c), 0)
			}
		}
	})
}

// storageClasses lists the classes that there are, by name, the default one
// also under no name, and whether they could be read.
func (h *health) storageClasses(ctx context.Context) (map[string]storagev1.VolumeBindingMode, bool) {
	classes := map[string]storagev1.VolumeBindingMode{}
	err := each(ctx, h.c.typed.StorageV1().StorageClasses().List, metav1.ListOptions{}, func(sc *storagev1.StorageClass) {
		mode := storagev1.VolumeBindingImmediate
		if sc.VolumeBindingMode != nil {
			mode = *sc.VolumeBindingMode
		}
		classes[sc.Name] = mode
		if sc.Annotations[defaultClass] == "true" {
			classes[""] = mode
		}
	})
	if err != nil {
		h.missedOut("storageclasses", err)
	}
	return classes, err == nil
}

// pendingCause is why a claim waits, empty where it waits for its first pod.
func pendingCause(c *corev1.PersistentVolumeClaim, classes map[string]storagev1.VolumeBindingMode, complete bool) string {
	class := c.Spec.StorageClassName
	switch {
	case !complete:
		return "PVC pending"
	case class != nil && *class == "":
		return "PVC pending: no class asked for, and no PersistentVolume fits"
	case class == nil:
		if _, there := classes[""]; !there {
			return "PVC pending: it names no storage class and there is no default one"
		}
		class = new("")
	}
	mode, there := classes[*class]
	switch {
	case !there:
		return fmt.Sprintf("PVC pending: storage class %q does not exist", *class)
	case mode == storagev1.VolumeBindingWaitForFirstConsumer && c.Annotations["volume.kubernetes.io/selected-node"] == "":
		return ""
	}
	return "PVC pending: its provisioner has not made a volume"
}
