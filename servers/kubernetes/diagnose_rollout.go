package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/deployment"
)

// recentChange is how far back a change is told as one that may matter.
const recentChange = 24 * time.Hour

// maxChangeLines is how many fields of one rollout are told.
const maxChangeLines = 8

func (d *diagnosis) deployment(ctx context.Context, dep *appsv1.Deployment) {
	w := &workloadCase{kind: "Deployment", meta: &dep.ObjectMeta, selector: dep.Spec.Selector, template: &dep.Spec.Template, desired: replicas(dep.Spec.Replicas), available: int(dep.Status.AvailableReplicas)}
	if c := deployment.GetDeploymentCondition(dep.Status, appsv1.DeploymentReplicaFailure); c != nil && c.Status == corev1.ConditionTrue {
		w.blocked = c.Message
	}
	d.state = fmt.Sprintf("%d of %d replicas available", dep.Status.AvailableReplicas, w.desired)
	var revisions []storedRevision
	d.run(ctx, w, func(ctx context.Context) {
		if revisions = d.replicaSetRevisions(ctx, dep); len(revisions) > 0 {
			w.creator = creator{"ReplicaSet/" + revisions[0].name, revisions[0].uid}
		}
	})
	d.chainOfRevisions(w, revisions)
	d.unobserved(&dep.ObjectMeta, dep.Status.ObservedGeneration)
	d.progress(dep, w, revisions)
	d.short(w)
}

// progress says how far the rollout has come, and why it goes no further.
func (d *diagnosis) progress(dep *appsv1.Deployment, w *workloadCase, revisions []storedRevision) {
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
		severity := critical
		if w.available >= w.desired {
			severity = warning
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
func (d *diagnosis) chainOfRevisions(w *workloadCase, revisions []storedRevision) {
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

// replicaSetRevisions compares a deployment's newest revision with the one before.
func (d *diagnosis) replicaSetRevisions(ctx context.Context, dep *appsv1.Deployment) []storedRevision {
	revisions, err := deploymentRevisions(ctx, d.c, dep)
	if err != nil {
		d.missedOut("replicasets", err)
		return nil
	}
	d.saw("replicasets", len(revisions))
	d.compare(&dep.ObjectMeta, revisions, rolledOut(dep, revisions))
	return revisions
}

// rolledOut is when a deployment's newest revision became the newest: a
// revision that was returned to is older than that.
func rolledOut(dep *appsv1.Deployment, revisions []storedRevision) time.Time {
	if e := lastWriter(dep.ManagedFields, "f:metadata", "f:annotations", "f:"+revisionAnnotation); e != nil {
		return e.Time.Time
	}
	if len(revisions) > 0 {
		return revisions[0].created
	}
	return dep.CreationTimestamp.Time
}

// controllerRevisions compares the newest revision of a stateful set or daemon
// set with the one before.
func (d *diagnosis) controllerRevisions(ctx context.Context, meta *metav1.ObjectMeta, selector *metav1.LabelSelector) {
	revisions, err := controllerRevisions(ctx, d.c, meta, selector)
	if err != nil {
		d.missedOut("controllerrevisions", err)
		return
	}
	d.saw("controllerrevisions", len(revisions))
	at := meta.CreationTimestamp.Time
	if len(revisions) > 0 {
		at = revisions[0].created
	}
	if e := lastWriter(meta.ManagedFields, "f:spec", "f:template"); e != nil && e.Time.After(at) {
		at = e.Time.Time
	}
	d.compare(meta, revisions, at)
}

// compare adds to the answer what the newest of a workload's revisions changed.
func (d *diagnosis) compare(meta *metav1.ObjectMeta, revisions []storedRevision, at time.Time) {
	if len(revisions) < 2 {
		return
	}
	changes := templateDiff(revisions[1].template, revisions[0].template)
	head := fmt.Sprintf("revision %d -> %d, %s ago by %s", revisions[1].number, revisions[0].number, age(at, d.now), rolloutBy(meta, at))
	if len(changes) > maxChangeLines {
		changes = append(changes[:maxChangeLines], fmt.Sprintf("%d more fields", len(changes)-maxChangeLines))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(changes) == 1 {
		d.changed = append(d.changed, head+": "+changes[0])
		return
	}
	d.changed = append(d.changed, head+":")
	for _, c := range changes {
		d.changed = append(d.changed, "  "+c)
	}
}

// rolloutBy is who wrote the template that was rolled out at a time.
func rolloutBy(meta *metav1.ObjectMeta, at time.Time) string {
	who := "someone the record does not name"
	for _, e := range meta.ManagedFields {
		if e.Time != nil && owns(e, "f:spec", "f:template") && near(e.Time.Time, at) {
			who = writer(&e)
		}
	}
	if cause := meta.Annotations["kubernetes.io/change-cause"]; cause != "" {
		who += " (" + abridge(strings.TrimSpace(cause), 80) + ")"
	}
	return who
}
