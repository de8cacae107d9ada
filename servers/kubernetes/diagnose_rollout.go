package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kubectl/pkg/util/deployment"
)

// recentChange is how far back a change is told as one that may matter.
const recentChange = 24 * time.Hour

func (d *diagnosis) deployment(ctx context.Context, dep *appsv1.Deployment) {
	w := &workloadCase{kind: "Deployment", meta: &dep.ObjectMeta, selector: dep.Spec.Selector, template: &dep.Spec.Template, desired: replicas(dep.Spec.Replicas), available: int(dep.Status.AvailableReplicas)}
	if c := deployment.GetDeploymentCondition(dep.Status, appsv1.DeploymentReplicaFailure); c != nil && c.Status == corev1.ConditionTrue {
		w.blocked = c.Message
	}
	d.state = fmt.Sprintf("%d of %d replicas available", dep.Status.AvailableReplicas, w.desired)
	var revisions []revision
	d.run(ctx, w, func(ctx context.Context) {
		if revisions = d.revisions(ctx, d.obj); len(revisions) > 0 {
			w.creator = "ReplicaSet/" + revisions[0].name
		}
	})
	d.chainOfRevisions(w, revisions)
	d.unobserved(&dep.ObjectMeta, dep.Status.ObservedGeneration)
	d.progress(dep, w, revisions)
	d.short(w)
}

// progress says how far the rollout has come, and why it goes no further.
func (d *diagnosis) progress(dep *appsv1.Deployment, w *workloadCase, revisions []revision) {
	var evidence []string
	for _, r := range revisions[:min(2, len(revisions))] {
		if t := w.census.revisions[r.hash]; t != nil {
			evidence = append(evidence, fmt.Sprintf("revision %d: %d of %s ready", r.number, t.ready, plural(t.total, "pod")))
		}
	}
	c := deployment.GetDeploymentCondition(dep.Status, appsv1.DeploymentProgressing)
	late := c != nil && c.Reason == "ProgressDeadlineExceeded"
	done := dep.Status.UpdatedReplicas >= int32(w.desired) && dep.Status.Replicas <= dep.Status.UpdatedReplicas
	switch {
	case dep.Spec.Paused:
		d.find(info, "its rollout is paused: changes of the template reach no pod until it is resumed", "", evidence...)
	case done || w.desired == 0 || w.blocked != "" && len(revisions) < 2:
	case len(revisions) > 1 && (late || failing(w, revisions[0].hash)):
		what := fmt.Sprintf("the rollout of revision %d is stuck", revisions[0].number)
		if late {
			what += fmt.Sprintf(": its deadline of %ds passed %s ago", deadline(dep), age(c.LastUpdateTime.Time, d.now))
		}
		severity := warning
		if w.available == 0 {
			severity = critical
		}
		d.find(severity, what, fmt.Sprintf("revision %d is still stored: a rollout undo returns to it", revisions[1].number), evidence...)
	default:
		d.find(d.rolloutSeverity(w), fmt.Sprintf("a rollout is under way: %d of %d pods are of the new revision", dep.Status.UpdatedReplicas, w.desired), "", evidence...)
	}
}

// failing reports whether a revision has pods with faults and none that is ready.
func failing(w *workloadCase, hash string) bool {
	t := w.census.revisions[hash]
	if t == nil || t.ready > 0 {
		return false
	}
	for _, g := range w.census.groups {
		if g.severity == critical && revisionOf(g.sample) == hash {
			return true
		}
	}
	return false
}

func deadline(dep *appsv1.Deployment) int32 {
	if dep.Spec.ProgressDeadlineSeconds == nil {
		return 600
	}
	return *dep.Spec.ProgressDeadlineSeconds
}

// short says that replicas are missing where nothing else has said why.
func (d *diagnosis) short(w *workloadCase) {
	if w.available >= w.desired || worst(d.findings) != info {
		return
	}
	d.find(warning, fmt.Sprintf("%d of %d replicas are available, and no pod shows why", w.available, w.desired),
		"pods count as available once ready for minReadySeconds; ask again in a moment")
}

// chainOfRevisions names the replica sets that have pods, newest first.
func (d *diagnosis) chainOfRevisions(w *workloadCase, revisions []revision) {
	var sets []string
	for i, r := range revisions {
		t := w.census.revisions[r.hash]
		if t == nil {
			t = &readiness{}
		}
		if t.total > 0 || i == 0 {
			sets = append(sets, fmt.Sprintf("ReplicaSet %s (revision %d, %d of %s ready)", r.name, r.number, t.ready, plural(t.total, "pod")))
		}
	}
	if len(sets) > 0 {
		d.chain = append(d.chain, "Deployment "+w.meta.Name+" > "+some(sets, 4))
	}
}

// revisionsKept is how many of a workload's revisions are held.
const revisionsKept = 4

// revisions reads what a workload's rollouts stored, newest first, and compares
// the newest two.
func (d *diagnosis) revisions(ctx context.Context, obj *unstructured.Unstructured) []revision {
	what := "controllerrevisions"
	if obj.GetKind() == "Deployment" {
		what = "replicasets"
	}
	var list []revision
	n := 0
	err := d.b.eachRevision(ctx, obj, func(v revision) {
		n++
		list = keepNewest(list, v, revisionsKept)
	})
	if err != nil {
		d.missedOut(what, err)
		return nil
	}
	d.saw(what, n)
	if len(list) > 1 {
		d.compare(ctx, obj, list)
	}
	return list
}

// rolledOut is when a workload's newest revision became the newest: one that
// was returned to is older than that.
func rolledOut(obj *unstructured.Unstructured, newest revision) time.Time {
	if e := lastWriter(obj.GetManagedFields(), "f:metadata", "f:annotations", "f:deployment.kubernetes.io/revision"); e != nil {
		return e.Time.Time
	}
	if e := lastWriter(obj.GetManagedFields(), "f:spec", "f:template"); e != nil && e.Time.After(newest.created) {
		return e.Time.Time
	}
	return newest.created
}

// compare adds to the answer what the newest of a workload's revisions changed.
func (d *diagnosis) compare(ctx context.Context, obj *unstructured.Unstructured, revisions []revision) {
	at := rolledOut(obj, revisions[0])
	head := fmt.Sprintf("revision %d -> %d, %s ago by %s: ", revisions[1].number, revisions[0].number, age(at, d.now), rolloutBy(obj, at))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed = append(d.changed, head+whatChanged(ctx, revisions[1], revisions[0]))
}

func imagesFirst(changes []string) []string {
	slices.SortStableFunc(changes, func(a, b string) int {
		return strings.Count(b, "].image: ") - strings.Count(a, "].image: ")
	})
	return changes
}

// whatChanged tells what one revision changed of the one before it: the changes
// that break most before the others.
func whatChanged(ctx context.Context, before, after revision) string {
	changes := imagesFirst(templateChanges(ctx, before.template, after.template))
	if len(changes) > changesShown {
		changes = append(changes[:changesShown], fmt.Sprintf("%d more fields", len(changes)-changesShown))
	}
	return strings.Join(changes, "; ")
}

// rolloutBy is who wrote the template that was rolled out at a time.
func rolloutBy(obj *unstructured.Unstructured, at time.Time) string {
	who := "someone the record does not name"
	for _, e := range obj.GetManagedFields() {
		if e.Time != nil && owns(e, "f:spec", "f:template") && near(e.Time.Time, at) {
			who = writer(&e)
		}
	}
	if cause := obj.GetAnnotations()[changeCause]; cause != "" {
		who += " (" + abridge(strings.TrimSpace(cause), 80) + ")"
	}
	return who
}
