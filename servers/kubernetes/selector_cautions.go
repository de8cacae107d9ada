package kubernetes

import (
	"context"
	"fmt"
	stdmaps "maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// picker is a type whose objects pick others by their labels, and what it
// means to be dropped or picked by one. %s is who is.
type picker struct {
	resource     string
	selectors    func(*unstructured.Unstructured) []labels.Selector
	drops, picks string
}

// podPickers pick pods in their own namespace.
var podPickers = []picker{
	{"services", selectorAt("spec", "selector"), "stops sending %s traffic", "starts to send %s traffic"},
	{"networkpolicies.networking.k8s.io", selectorAt("spec", "podSelector"), "no longer guards %s", "begins to guard %s"},
	{"networkpolicies.networking.k8s.io", peers("podSelector"), "no longer lets %s through", "begins to let %s through"},
	{"poddisruptionbudgets.policy", selectorAt("spec", "selector"), "no longer protects %s", "begins to protect %s"},
}

// podOwners pick the pods they run.
var podOwners = []picker{
	{"replicasets.apps", selectorAt("spec", "selector"), letsGo, adopts},
	{"statefulsets.apps", selectorAt("spec", "selector"), letsGo, adopts},
	{"daemonsets.apps", selectorAt("spec", "selector"), letsGo, adopts},
	{"jobs.batch", selectorAt("spec", "selector"), letsGo, adopts},
	{"replicationcontrollers", selectorAt("spec", "selector"), letsGo, adopts},
}

const (
	letsGo = "lets go of %s and starts another in its place"
	adopts = "may adopt %s"
)

// pickersOf are those that pick objects of a type by their labels.
var pickersOf = map[string][]picker{
	"pods":             append(podPickers[:len(podPickers):len(podPickers)], podOwners...),
	"replicasets.apps": {{"deployments.apps", selectorAt("spec", "selector"), letsGo, adopts}},
	"namespaces":       {{"networkpolicies.networking.k8s.io", peers("namespaceSelector"), "no longer lets the pods of %s through", "begins to let the pods of %s through"}},
	"nodes":            {{"daemonsets.apps", selectorAt("spec", "template", "spec", "nodeSelector"), "takes its pod off %s", "starts a pod on %s"}},
}

// selectorCautions say whose selectors pick or drop p's object, or the pods of
// its template, once its labels change.
func (b *Backend) selectorCautions(ctx context.Context, p *planned) []string {
	var notes []string
	if p.touches("metadata.labels") {
		notes = append(notes, b.picked(ctx, pickersOf[p.t.String()], p.namespace, "it", p.before.GetLabels(), p.after.GetLabels())...)
	}
	if p.touches("spec.template.metadata.labels") {
		was, _, _ := unstructured.NestedStringMap(p.before.Object, "spec", "template", "metadata", "labels")
		is, _, _ := unstructured.NestedStringMap(p.after.Object, "spec", "template", "metadata", "labels")
		notes = append(notes, b.picked(ctx, podPickers, p.namespace, "its pods", was, is)...)
	}
	return notes
}

// mostPicked bounds how many selectors a plan names.
const mostPicked = 6

// picked says which of the pickers tell two sets of labels apart.
func (b *Backend) picked(ctx context.Context, pickers []picker, namespace, who string, was, is map[string]string) []string {
	if stdmaps.Equal(was, is) {
		return nil
	}
	var notes []string
	left := 0
	for _, pick := range pickers {
		err := b.eachObject(ctx, pick.resource, namespace, func(o *unstructured.Unstructured) {
			said := pick.tells(o, who, was, is)
			switch {
			case said != "" && len(notes) < mostPicked:
				notes = append(notes, said)
			case said != "":
				left++
			}
		})
		if err != nil {
			notes = append(notes, fmt.Sprintf("whether any %s pick %s by label was not looked at: %v", pick.resource, who, err))
		}
	}
	if left > 0 {
		notes = append(notes, fmt.Sprintf("%d more objects pick or drop %s by label", left, who))
	}
	return notes
}

// tells says what becomes of who under o, nothing when that stays the same.
func (pick picker) tells(o *unstructured.Unstructured, who string, was, is map[string]string) string {
	before, after := false, false
	for _, s := range pick.selectors(o) {
		before = before || s.Matches(labels.Set(was))
		after = after || s.Matches(labels.Set(is))
	}
	name := o.GetKind() + " " + o.GetName()
	if ns := o.GetNamespace(); ns != "" {
		name += " in namespace " + ns
	}
	switch {
	case before && !after:
		return name + " " + fmt.Sprintf(pick.drops, who)
	case after && !before:
		return name + " " + fmt.Sprintf(pick.picks, who)
	}
	return ""
}

// eachObject gives do every object of a type in a namespace, page by page; of
// every namespace if it is empty.
func (b *Backend) eachObject(ctx context.Context, resource, namespace string, do func(*unstructured.Unstructured)) error {
	t, err := b.resolve(ctx, resource)
	if err != nil {
		return err
	}
	c, err := b.open()
	if err != nil {
		return err
	}
	for o := (metav1.ListOptions{Limit: pageSize}); ; {
		page, err := c.in(t, namespace).List(ctx, o)
		if err != nil {
			return translate(err, "list "+named(t.String(), namespace, ""))
		}
		for i := range page.Items {
			do(&page.Items[i])
		}
		if o.Continue = page.GetContinue(); o.Continue == "" {
			return nil
		}
	}
}

// selectorAt reads the selector at a path, in either of the forms Kubernetes
// has: a map of labels, or matchLabels and matchExpressions.
func selectorAt(path ...string) func(*unstructured.Unstructured) []labels.Selector {
	return func(o *unstructured.Unstructured) []labels.Selector {
		if plain, _, err := unstructured.NestedStringMap(o.Object, path...); err == nil && len(plain) > 0 {
			return []labels.Selector{labels.SelectorFromSet(plain)}
		}
		spec, found, err := unstructured.NestedMap(o.Object, path...)
		if !found || err != nil {
			return nil
		}
		return labelSelector(spec)
	}
}

// labelSelector is the selector of matchLabels and matchExpressions, none when
// it is not one.
func labelSelector(spec map[string]any) []labels.Selector {
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &s); err != nil {
		return nil
	}
	parsed, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		return nil
	}
	return []labels.Selector{parsed}
}

// peers reads the selectors of whom a network policy lets through. A peer with
// both kinds of selector is one of pods in other namespaces, and counts for
// its namespaces alone.
func peers(field string) func(*unstructured.Unstructured) []labels.Selector {
	return func(o *unstructured.Unstructured) []labels.Selector {
		var out []labels.Selector
		for direction, side := range map[string]string{"ingress": "from", "egress": "to"} {
			for _, rule := range maps(o.Object, "spec", direction) {
				for _, peer := range maps(rule, side) {
					spec, ok := peer[field].(map[string]any)
					if ok && (field == "namespaceSelector" || peer["namespaceSelector"] == nil) {
						out = append(out, labelSelector(spec)...)
					}
				}
			}
		}
		return out
	}
}
