package kubernetes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNodeFaults(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}
	n.Spec.Unschedulable = true
	n.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: new(ago(time.Hour)), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:unschedulable":{}}}`)}}
	n.Status.Conditions = []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue, Reason: "KubeletHasInsufficientMemory", LastTransitionTime: ago(time.Minute)},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
		{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status.", LastTransitionTime: ago(5 * time.Minute), LastHeartbeatTime: ago(6 * time.Minute)},
	}
	faults := nodeFaults(n, noon)
	worstFirst(faults)
	require.Len(t, faults, 3)
	require.Equal(t, "node node-1 is not ready since 5m: NodeStatusUnknown", faults[0].What)
	require.Equal(t, []string{"Kubelet stopped posting node status.", "last heard of 6m ago"}, faults[0].Evidence)
	require.Equal(t, "node node-1 has MemoryPressure since 60s: KubeletHasInsufficientMemory", faults[1].What)
	require.Equal(t, "node node-1 is cordoned (by kubectl at 2026-01-02T11:00:00Z)", faults[2].What)
}

func TestAutoscalerFaults(t *testing.T) {
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	h.Spec.MaxReplicas = 5
	h.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{
		{Type: autoscalingv2.AbleToScale, Status: corev1.ConditionTrue, Reason: "SucceededGetScale"},
		{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionFalse, Reason: "FailedGetResourceMetric", Message: "missing request for cpu in container main of Pod web-0"},
		{Type: autoscalingv2.ScalingLimited, Status: corev1.ConditionTrue, Reason: "TooManyReplicas"},
	}
	faults := autoscalerFaults(h)
	require.Len(t, faults, 2)
	require.Equal(t, warning, faults[0].Severity)
	require.Equal(t, "HorizontalPodAutoscaler web cannot get its metrics: FailedGetResourceMetric", faults[0].What)
	require.Contains(t, faults[0].Next, "must set the request")
	require.Equal(t, "HorizontalPodAutoscaler web is at its limit of 5 replicas and wants more", faults[1].What)
	require.Equal(t, info, faults[1].Severity)
}

func TestImagesFirst(t *testing.T) {
	require.Equal(t, []string{"containers[a].image: 1 -> 2", "+ annotations: {a: b}", "replicas: 1 -> 2"},
		imagesFirst([]string{"+ annotations: {a: b}", "containers[a].image: 1 -> 2", "replicas: 1 -> 2"}))
}

func TestLastWriterIsOfTheField(t *testing.T) {
	entries := []metav1.ManagedFieldsEntry{
		{Manager: "helm", Time: new(ago(time.Hour)), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{},"f:template":{}}}`)},
		{Manager: "kubectl", Subresource: "scale", Time: new(ago(time.Minute)), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)},
		{Manager: "kube-controller-manager", Subresource: "status", Time: new(ago(0)), FieldsV1: metav1.NewFieldsV1(`{"f:status":{}}`)},
		{Manager: "broken", Time: new(ago(0)), FieldsV1: metav1.NewFieldsV1(`{"f:spec"`)},
	}
	require.Equal(t, "kubectl (scale)", writer(lastWriter(entries, "f:spec", "f:replicas")))
	require.Equal(t, "helm", writer(lastWriter(entries, "f:spec", "f:template")))
	require.Nil(t, lastWriter(entries, "f:data"))
	require.Nil(t, fieldOwner(entries, "f:data"))
	untimed := []metav1.ManagedFieldsEntry{{Manager: "kubectl", Subresource: "scale", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)}}
	require.Equal(t, "kubectl (scale)", writer(fieldOwner(untimed, "f:spec", "f:replicas")))
	require.Equal(t, "unknown", writer(nil))
}

// For a moment the events of a pod know what its status does not yet.
func TestDiagnoseKnowsAFailedPullFromTheEvents(t *testing.T) {
	d := &diagnosis{now: noon, events: newEventPool(noon)}
	p := onNode(corev1.ContainerStatus{State: waitsFor("ContainerCreating", "")})
	for reason, message := range map[string]string{"Failed": `Failed to pull image "shop:1": failed to resolve reference "shop:1": docker.io/library/shop:1: not found`, "BackOff": "Back-off pulling image"} {
		d.events.tally.add(&corev1.Event{
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: p.Name, FieldPath: "spec.containers{main}"},
			Type:           corev1.EventTypeWarning, Reason: reason, Message: message, LastTimestamp: ago(time.Second), Count: 1,
		})
	}
	d.judge(t.Context(), subject{fault: fault{kind: faultStart, severity: info, what: "is being started"}, pod: p, who: "1 of 2 pods: "})
	require.Equal(t, []Finding{{
		Severity: critical,
		What:     `1 of 2 pods: image "shop:1" of container main cannot be pulled: the registry has no such image or tag`,
		Evidence: []string{"kubelet: docker.io/library/shop:1: not found"},
		Next:     "the image name and tag must be one the registry has, or the registry must be reachable from the node",
	}}, d.findings)
	require.Empty(t, d.events.warnings(5).Rows)
}
