package kubernetes

import (
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// bookkeeping are annotations that tools and the API server keep for themselves.
var bookkeeping = []string{lastApplied, "deprecated.daemonset.template.generation"}

// controllersOwn are annotations that controllers write as they work.
var controllersOwn = []string{"deployment.kubernetes.io/revision", "node.alpha.kubernetes.io/ttl"}

// conditionTaints are those the control plane puts on a node for its
// conditions, and takes off again.
var conditionTaints = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeUnschedulable, corev1.TaintNodeMemoryPressure,
	corev1.TaintNodeDiskPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable,
}

// essence is an object without what the API server keeps for itself and what
// its controllers report: the part a person means to change.
func essence(o *unstructured.Unstructured, subresource string) map[string]any {
	out := o.DeepCopy().Object
	metadata, _ := out["metadata"].(map[string]any)
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"} {
		delete(metadata, field)
	}
	withoutAnnotations(metadata, bookkeeping)
	if subresource != "status" {
		delete(out, "status")
	}
	if spec, ok := out["spec"].(map[string]any); ok && subresource == "scale" && spec["replicas"] == nil {
		spec["replicas"] = int64(0) // which a Scale leaves out
	}
	return out
}

// steady is the essence of an object without what controllers keep moving in
// it, which a plan does not rest on.
func steady(o *unstructured.Unstructured, subresource string) map[string]any {
	out := essence(o, subresource)
	metadata, _ := out["metadata"].(map[string]any)
	withoutAnnotations(metadata, controllersOwn)
	if o.GetKind() == "Node" {
		withoutConditionTaints(out)
	}
	return out
}

// essence is what a diff of p compares: without what controllers move meanwhile,
// unless p's own change has a hand in that.
func (p *planned) essence(o *unstructured.Unstructured) map[string]any {
	said := string(p.patch)
	if raw, err := json.Marshal(p.object); err == nil {
		said += string(raw)
	}
	for _, word := range []string{"deployment.kubernetes.io", "node.alpha.kubernetes.io", "taints"} {
		if strings.Contains(said, word) {
			return essence(o, p.subresource)
		}
	}
	return steady(o, p.subresource)
}

func withoutAnnotations(metadata map[string]any, keys []string) {
	annotations, ok := metadata["annotations"].(map[string]any)
	if !ok {
		return
	}
	for _, key := range keys {
		delete(annotations, key)
	}
	if len(annotations) == 0 {
		delete(metadata, "annotations")
	}
}

func withoutConditionTaints(node map[string]any) {
	taints, _, _ := unstructured.NestedSlice(node, "spec", "taints")
	taints = slices.DeleteFunc(taints, func(t any) bool {
		taint, _ := t.(map[string]any)
		key, _ := taint["key"].(string)
		return slices.Contains(conditionTaints, key)
	})
	if len(taints) == 0 {
		unstructured.RemoveNestedField(node, "spec", "taints")
		return
	}
	_ = unstructured.SetNestedSlice(node, taints, "spec", "taints") // the path has just been read
}
