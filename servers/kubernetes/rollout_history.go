package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// revision is a pod template that a workload once had, in the object that
// keeps it: a ReplicaSet or a ControllerRevision.
type revision struct {
	number   int64
	name     string
	hash     string // what the pods of it are labelled with
	created  time.Time
	cause    string
	pods     string
	template map[string]any
}

const changeCause = "kubernetes.io/change-cause"

// readHistory keeps the newest revisions and counts the others.
func (r *rollout) readHistory(ctx context.Context) error {
	return r.b.eachRevision(ctx, r.obj, func(v revision) {
		r.total++
		r.revisions = keepNewest(r.revisions, v, max(r.limit, 2)+1)
	})
}

// eachRevision gives do every stored revision of a workload, in no order.
func (b *Backend) eachRevision(ctx context.Context, obj *unstructured.Unstructured, do func(revision)) error {
	kind, read := "controllerrevisions.apps", fromControllerRevision
	if obj.GetKind() == "Deployment" {
		kind, read = "replicasets.apps", fromReplicaSet
	}
	selector, err := selectorOf(obj)
	if err != nil {
		return err
	}
	t, err := b.resolve(ctx, kind)
	if err != nil {
		return err
	}
	c, err := b.open()
	if err != nil {
		return err
	}
	o := metav1.ListOptions{LabelSelector: selector.String()}
	err = each(ctx, c.in(t, obj.GetNamespace()).List, o, func(kept *unstructured.Unstructured) {
		if metav1.IsControlledBy(kept, obj) {
			do(read(kept))
		}
	})
	return translate(err, "list "+named(t.String(), obj.GetNamespace(), ""))
}

// keepNewest puts a revision in its place among the newest, at most most of them.
func keepNewest(list []revision, v revision, most int) []revision {
	at, _ := slices.BinarySearchFunc(list, v, func(a, b revision) int { return cmp.Compare(b.number, a.number) })
	if at >= most {
		return list
	}
	list = slices.Insert(list, at, v)
	return list[:min(len(list), most)]
}

func fromReplicaSet(o *unstructured.Unstructured) revision {
	number, _ := strconv.ParseInt(o.GetAnnotations()["deployment.kubernetes.io/revision"], 10, 64)
	template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
	wanted, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	readies, _, _ := unstructured.NestedInt64(o.Object, "status", "readyReplicas")
	return revision{
		number: number, name: o.GetName(), created: o.GetCreationTimestamp().Time, cause: o.GetAnnotations()[changeCause],
		hash: o.GetLabels()["pod-template-hash"], pods: fmt.Sprintf("%d of %d ready", readies, wanted), template: bareTemplate(template),
	}
}

func fromControllerRevision(o *unstructured.Unstructured) revision {
	number, _, _ := unstructured.NestedInt64(o.Object, "revision")
	template, _, _ := unstructured.NestedMap(o.Object, "data", "spec", "template")
	hash := o.GetLabels()["controller-revision-hash"]
	return revision{
		number: number, name: o.GetName(), created: o.GetCreationTimestamp().Time, cause: o.GetAnnotations()[changeCause],
		hash: cmp.Or(hash, o.GetName()), template: bareTemplate(template),
	}
}

// bareTemplate is a template without what its keeper added to it.
func bareTemplate(template map[string]any) map[string]any {
	delete(template, "$patch")
	unstructured.RemoveNestedField(template, "metadata", "labels", "pod-template-hash")
	unstructured.RemoveNestedField(template, "metadata", "creationTimestamp")
	return template
}

// templateChanges lists how one template differs from another. Values that are
// secrets are fingerprints, so that it still shows whether they changed.
func templateChanges(ctx context.Context, from, to map[string]any) []string {
	lines := mcpkit.Difference(mcpkit.SideOf(ctx, from), mcpkit.SideOf(ctx, to))
	for i, line := range lines {
		for _, sign := range []string{"~ ", "+ ", "- "} {
			if rest, ok := strings.CutPrefix(line, sign); ok {
				lines[i] = strings.TrimPrefix(sign, "~ ") + strings.TrimPrefix(strings.TrimPrefix(rest, "spec."), "metadata.")
			}
		}
	}
	return lines
}

// changesShown is how many changes of one revision are named.
const changesShown = 8

// describeHistory sets out the revisions with what each changed.
func (r *rollout) describeHistory(ctx context.Context) {
	r.out.Revisions = mcpkit.Table{Columns: []string{"revision", "age", "name", "pods", "changed", "cause"}}
	if r.obj.GetKind() != "Deployment" {
		r.out.Revisions.Columns[3] = "state"
	}
	for i, v := range r.revisions[:min(r.limit, len(r.revisions))] {
		changed := "(first known) " + strings.Join(templateImages(v.template), ", ")
		if i+1 < len(r.revisions) {
			lines := templateChanges(ctx, r.revisions[i+1].template, v.template)
			changed = strings.Join(lines[:min(len(lines), changesShown)], "; ") + more(len(lines)-changesShown)
		}
		r.out.Revisions.Rows = append(r.out.Revisions.Rows, []string{
			strconv.FormatInt(v.number, 10), age(v.created, r.now), v.name, r.stateOf(i, v), changed, v.cause,
		})
	}
	if r.total > r.limit {
		r.out.Truncated = true
		r.out.LeftOut = fmt.Sprintf("revisions: the newest %d of %d shown; raise limit", r.limit, r.total)
	}
}

// stateOf says where a revision stands: how many pods it has, or whether it is
// the one being left or the one being rolled out.
func (r *rollout) stateOf(i int, v revision) string {
	switch {
	case v.pods != "":
		return v.pods
	case r.obj.GetKind() == "DaemonSet" && i == 0:
		return "newest"
	case v.name == text(r.obj, "status", "currentRevision") && v.name == text(r.obj, "status", "updateRevision"):
		return "current"
	case v.name == text(r.obj, "status", "updateRevision"):
		return "rolling out"
	case v.name == text(r.obj, "status", "currentRevision"):
		return "being replaced"
	}
	return ""
}

// templateImages are the images of a template: "app=web:1".
func templateImages(template map[string]any) []string {
	var out []string
	for _, kind := range []string{"initContainers", "containers"} {
		for _, c := range maps(template, "spec", kind) {
			out = append(out, fmt.Sprintf("%v=%v", c["name"], c["image"]))
		}
	}
	return out
}

// describeUndo says what kubectl rollout undo would do: go back to the revision
// before the newest.
func (r *rollout) describeUndo(ctx context.Context) {
	paused, _, _ := unstructured.NestedBool(r.obj.Object, "spec", "paused")
	switch {
	case len(r.out.NotLooked) > 0 && r.total == 0:
		r.out.Undo = "not known without the revisions"
		return
	case r.total < 2:
		r.out.Undo = "nothing: there is no earlier revision"
		return
	case paused:
		r.out.Undo = "refused while paused; after resuming: "
	}
	target := r.revisions[1]
	current, _, _ := unstructured.NestedMap(r.obj.Object, "spec", "template")
	changes := templateChanges(ctx, bareTemplate(current), target.template)
	r.out.Undo += fmt.Sprintf("to revision %d (%s, %s old): %s", target.number, target.name, age(target.created, r.now), strings.Join(templateImages(target.template), ", "))
	if len(changes) == 0 {
		r.out.Undo += "; it would change nothing"
	}
	r.out.Undoes = changes[:min(len(changes), 3*changesShown)]
}
