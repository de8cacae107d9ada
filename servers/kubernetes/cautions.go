package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// cautions are what the person deciding about a change should know besides its
// diff: who else has a hand on the object, and what follows.
func (b *Backend) cautions(ctx context.Context, p *planned) []string {
	o := p.before
	if o == nil {
		o = p.after
	}
	if o == nil {
		return nil
	}
	var notes []string
	if owner := keeper(o); owner != "" {
		notes = append(notes, "it is managed by "+owner+", which may undo this")
	}
	if ref := metav1.GetControllerOf(o); ref != nil && p.before != nil {
		notes = append(notes, fmt.Sprintf("it is controlled by %s %s, which may undo this", ref.Kind, ref.Name))
	}
	if o.GetDeletionTimestamp() != nil {
		notes = append(notes, "it is being deleted already")
	}
	if p.before == nil || p.after == nil {
		return notes
	}
	if p.touches("metadata.finalizers") {
		notes = append(notes, "its finalizers change: without one, what that one cleans up is left behind")
	}
	if p.touches("spec.template") && slices.Contains([]string{"deployments", "statefulsets", "daemonsets"}, p.t.Resource) {
		notes = append(notes, "its pod template changes, so its pods are replaced")
	}
	if p.touches("spec.replicas") {
		notes = append(notes, b.replicaCautions(ctx, p)...)
	}
	notes = append(notes, b.selectorCautions(ctx, p)...)
	return notes
}

// touches reports whether a field at or below path would change.
func (p *planned) touches(path string) bool {
	return slices.ContainsFunc(p.diff, func(line string) bool {
		rest, ok := strings.CutPrefix(line[min(2, len(line)):], path)
		return ok && rest != "" && strings.Contains(":.[", rest[:1])
	})
}

func (b *Backend) replicaCautions(ctx context.Context, p *planned) []string {
	var notes []string
	overrules := "will overrule this"
	if n, found, _ := unstructured.NestedInt64(essence(p.after, p.subresource), "spec", "replicas"); found && n == 0 {
		notes = append(notes, "no replica is left: whatever it serves stops")
		overrules = "stands still while there are none"
	}
	hpa, err := b.scaler(ctx, p)
	switch {
	case err != nil:
		notes = append(notes, "whether a HorizontalPodAutoscaler sets its replicas was not looked at: "+err.Error())
	case hpa != "":
		notes = append(notes, fmt.Sprintf("HorizontalPodAutoscaler %s sets its replicas and %s", hpa, overrules))
	}
	return notes
}

// scaler names the HorizontalPodAutoscaler of p's object, with its bounds.
func (b *Backend) scaler(ctx context.Context, p *planned) (string, error) {
	c, err := b.open()
	if err != nil {
		return "", err
	}
	o := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := c.typed.AutoscalingV2().HorizontalPodAutoscalers(p.namespace).List(ctx, o)
		if err != nil {
			return "", translate(err, "list horizontalpodautoscalers")
		}
		for _, h := range page.Items {
			ref := h.Spec.ScaleTargetRef
			if ref.Kind == p.t.Kind && ref.Name == p.name && schema.FromAPIVersionAndKind(ref.APIVersion, "").Group == p.t.Group {
				low := int32(1)
				if h.Spec.MinReplicas != nil {
					low = *h.Spec.MinReplicas
				}
				return fmt.Sprintf("%s (%d to %d)", h.Name, low, h.Spec.MaxReplicas), nil
			}
		}
		if o.Continue = page.Continue; o.Continue == "" {
			return "", nil
		}
	}
}

// keeper names the deployment tool that manages an object, by the marks each
// one documents; empty when none does. Argo CD's older tracking label,
// app.kubernetes.io/instance, says nothing: Helm charts set it too.
func keeper(o *unstructured.Unstructured) string {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	if name := labels["kustomize.toolkit.fluxcd.io/name"]; name != "" {
		return "Flux (Kustomization " + labels["kustomize.toolkit.fluxcd.io/namespace"] + "/" + name + ")"
	}
	if name := labels["helm.toolkit.fluxcd.io/name"]; name != "" {
		return "Flux (HelmRelease " + labels["helm.toolkit.fluxcd.io/namespace"] + "/" + name + ")"
	}
	if id := annotations["argocd.argoproj.io/tracking-id"]; id != "" {
		app, _, _ := strings.Cut(id, ":")
		return "Argo CD (application " + app + ")"
	}
	if app := labels["argocd.argoproj.io/instance"]; app != "" {
		return "Argo CD (application " + app + ")"
	}
	if release := annotations["meta.helm.sh/release-name"]; release != "" {
		return "Helm (release " + annotations["meta.helm.sh/release-namespace"] + "/" + release + ")"
	}
	if labels["app.kubernetes.io/managed-by"] == "Helm" {
		return "Helm"
	}
	return ""
}

// warnings gathers what the API server warns of while it answers: deprecated
// versions, pods that break a security standard.
type warnings struct {
	mu   sync.Mutex
	said []string
}

type warningsKey struct{}

// hearWarnings returns a context whose requests report their warnings.
func hearWarnings(ctx context.Context) (context.Context, *warnings) {
	w := &warnings{}
	return context.WithValue(ctx, warningsKey{}, w), w
}

func (w *warnings) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said
}

// warningHandler hands warnings to whoever listens, and to nobody else.
type warningHandler struct{}

func (warningHandler) HandleWarningHeaderWithContext(ctx context.Context, _ int, _, text string) {
	w, ok := ctx.Value(warningsKey{}).(*warnings)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if said := "the API server warns: " + text; !slices.Contains(w.said, said) {
		w.said = append(w.said, said)
	}
}
