package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var deleteResource = mcpkit.Tool{
	Name:        "k8s_delete_resource",
	Title:       "Delete a Kubernetes object",
	Description: "Deletes one object, with what belongs to it. To stop a workload and keep it use k8s_scale.",
	Narrow:      "delete its dependents first",
	Rules: append(changeable("delete"), readRule("", "persistentvolumes"), mcpkit.Rule{
		Groups: []string{"authorization.k8s.io"}, Resources: []string{"selfsubjectrulesreviews"}, Verbs: []string{"create"},
	}),
}

type DeleteResourceIn struct {
	Ref
	GracePeriodSeconds *int64 `json:"grace_period_seconds,omitempty" jsonschema:"for pods to end by themselves; their own setting if absent"`
	PropagationPolicy  string `json:"propagation_policy,omitempty" jsonschema:"what becomes of its dependents: deleted after it (background, the default), before it (foreground), or kept (orphan)"`
}

func (DeleteResourceIn) Constrain(p mcpkit.Properties) {
	p["propagation_policy"].Enum = []any{"background", "foreground", "orphan"}
	p["grace_period_seconds"].Minimum = new(0.0)
}

func (b *Backend) planDelete(ctx context.Context, in DeleteResourceIn) (mcpkit.Plan, error) {
	ch, err := b.changeOf(ctx, deleting, in.Ref)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	policy := map[string]metav1.DeletionPropagation{
		"background": metav1.DeletePropagationBackground, "foreground": metav1.DeletePropagationForeground, "orphan": metav1.DeletePropagationOrphan,
	}[cmp.Or(in.PropagationPolicy, "background")]
	ch.options = metav1.DeleteOptions{GracePeriodSeconds: in.GracePeriodSeconds, PropagationPolicy: &policy}
	p, err := b.rehearse(ctx, ch)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	lost, err := b.lost(ctx, p.before, ch.t, policy)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	p.details, p.diff = lost.lines, lost.lines
	p.caution = append(p.caution, lost.notes...)
	p.caution = append(p.caution, b.volumeCautions(ctx, p.before)...)
	p.caution = append(p.caution, deleteCautions(p.before, in.GracePeriodSeconds)...)
	return planOf([]*planned{p}), nil
}

// deleteCautions are what the object itself says about its end.
func deleteCautions(o *unstructured.Unstructured, grace *int64) []string {
	var notes []string
	if f := o.GetFinalizers(); len(f) > 0 {
		notes = append(notes, "it stays until its finalizers are done: "+strings.Join(f, ", "))
	}
	if grace != nil && *grace == 0 {
		notes = append(notes, "a grace period of 0 kills at once: nothing is shut down cleanly, and a pod's containers may run on for a while")
	}
	return notes
}

// volumeCautions say what becomes of the data behind a claim or a volume.
func (b *Backend) volumeCautions(ctx context.Context, o *unstructured.Unstructured) []string {
	var volume string
	switch o.GetKind() {
	case "PersistentVolumeClaim":
		if volume = text(o, "spec", "volumeName"); volume == "" {
			return nil
		}
	case "PersistentVolume":
		volume = o.GetName()
	default:
		return nil
	}
	c, err := b.open()
	if err != nil {
		return nil
	}
	pv, err := c.typed.CoreV1().PersistentVolumes().Get(ctx, volume, metav1.GetOptions{})
	switch {
	case err != nil:
		return []string{fmt.Sprintf("what becomes of the data on volume %s was not looked at: %v", volume, translate(err, "get persistentvolumes"))}
	case pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete:
		return []string{fmt.Sprintf("volume %s and the data on it are deleted too (reclaim policy Delete)", volume)}
	}
	return []string{fmt.Sprintf("the data on volume %s is kept (reclaim policy %s)", volume, pv.Spec.PersistentVolumeReclaimPolicy)}
}
