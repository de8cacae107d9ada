package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// history is one call at work: what changed, and what is still to be compared.
type history struct {
	gathering
	b         *Backend
	c         *clients
	window    window
	namespace string

	changes   []occurrence // newest first
	found     int
	kindsSeen grouped
	rollouts  []*unstructured.Unstructured // whose template changed in the window
	unread    int                          // rollouts beyond those that are compared
	users     map[string][]string          // ConfigMap namespace/name -> workloads
	pending   []occurrence                 // config and scaling, until more is known of them
	steps     map[string][]scalingStep     // of a Deployment, as its controller told
	lock      sync.Mutex                   // of the five above
}

// scalingStep is what a Deployment's controller says of a change of size.
type scalingStep struct {
	at   time.Time
	text string
}

// otherTypes are types of which it is said that objects came or were edited.
var otherTypes = []string{"services", "ingresses.networking.k8s.io", "networkpolicies.networking.k8s.io",
	"horizontalpodautoscalers.autoscaling", "poddisruptionbudgets.policy", "persistentvolumeclaims", "resourcequotas", "limitranges", "cronjobs.batch"}

// sources are the steps that look for changes, each in its own place.
func (h *history) sources() []func(context.Context) {
	steps := []func(context.Context){
		h.each("configmaps", h.configMap), h.each("jobs.batch", h.job), h.events,
		h.each("deployments.apps", h.workload), h.each("statefulsets.apps", h.workload), h.each("daemonsets.apps", h.workload),
	}
	for _, t := range otherTypes {
		steps = append(steps, h.each(t, h.other))
	}
	if h.namespace == "" {
		steps = append(steps, h.each("nodes", h.node), h.each("namespaces", h.other))
	}
	return steps
}

// each visits every object of a type in the namespaces asked about.
func (h *history) each(resource string, visit func(*unstructured.Unstructured)) func(context.Context) {
	return func(ctx context.Context) {
		t, err := h.b.resolve(ctx, resource)
		if err != nil {
			h.missedOut(resource, err)
			return
		}
		gather(ctx, &h.gathering, t.Resource, h.c.in(t, h.namespace).List, metav1.ListOptions{}, visit)
	}
}

func (h *history) occurrence(o *unstructured.Unstructured, at time.Time, kind, what string, by *metav1.ManagedFieldsEntry) occurrence {
	who := ""
	if by != nil {
		who = writer(by)
	}
	return occurrence{at: at, kind: kind, namespace: o.GetNamespace(), object: o.GetKind() + "/" + o.GetName(), what: what, by: who}
}

// workload tells of a workload that came, was scaled, or is to be compared
// with the template it had before.
func (h *history) workload(o *unstructured.Unstructured) {
	h.usesOf(o)
	created := o.GetCreationTimestamp().Time
	fields := o.GetManagedFields()
	if h.window.holds(created) {
		h.add(h.occurrence(o, created, "creation", "created: "+strings.Join(images(o), ", "), firstWriter(fields)))
	}
	template := lastWriter(fields, "f:spec", "f:template")
	rolled := template
	if e := lastWriter(fields, "f:metadata", "f:annotations", "f:deployment.kubernetes.io/revision"); e != nil && rolled != nil && e.Time.After(rolled.Time.Time) {
		rolled = e
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	if rolled != nil && h.window.holds(rolled.Time.Time) {
		if len(h.rollouts) < rolloutsCompared {
			h.rollouts = append(h.rollouts, o.DeepCopy())
		} else {
			h.unread++
		}
	}
	scaled := lastWriter(fields, "f:spec", "f:replicas")
	if scaled != nil && !near(scaled.Time.Time, created) && h.window.holds(scaled.Time.Time) && (template == nil || scaled.Manager != template.Manager || scaled.Subresource != template.Subresource) {
		n, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
		h.pending = append(h.pending, h.occurrence(o, scaled.Time.Time, "scaling", "scaled to "+plural(int(n), "replica"), scaled))
	}
}

// firstWriter is who wrote an object first, as far as the record goes.
func firstWriter(entries []metav1.ManagedFieldsEntry) *metav1.ManagedFieldsEntry {
	var first *metav1.ManagedFieldsEntry
	for i := range entries {
		if e := &entries[i]; e.Time != nil && e.Subresource == "" && (first == nil || e.Time.Before(first.Time)) {
			first = e
		}
	}
	return first
}

// usesOf remembers which ConfigMaps a workload's pods use.
func (h *history) usesOf(o *unstructured.Unstructured) {
	var spec corev1.PodSpec
	raw, _, _ := unstructured.NestedMap(o.Object, podSpecPath(o)...)
	if into(&unstructured.Unstructured{Object: raw}, &spec) != nil {
		return
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	for _, r := range podReferences(&spec) {
		if r.kind == "ConfigMap" {
			key := o.GetNamespace() + "/" + r.name
			h.users[key] = append(h.users[key], o.GetKind()+"/"+o.GetName())
		}
	}
}

// configMap tells of a ConfigMap that came or whose content was written.
func (h *history) configMap(o *unstructured.Unstructured) {
	if o.GetName() == rootCertificates {
		return
	}
	created := o.GetCreationTimestamp().Time
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.window.holds(created) {
		h.pending = append(h.pending, h.occurrence(o, created, "config", "created", firstWriter(o.GetManagedFields())))
	}
	if e := lastWriter(o.GetManagedFields(), "f:data"); e != nil && h.window.holds(e.Time.Time) && !near(e.Time.Time, created) {
		h.pending = append(h.pending, h.occurrence(o, e.Time.Time, "config", "data written", e))
	}
}

// node tells of a node that came, was cordoned, or changed its readiness.
func (h *history) node(o *unstructured.Unstructured) {
	created := o.GetCreationTimestamp().Time
	h.add(h.occurrence(o, created, "node", "joined the cluster", nil))
	if cordoned, _, _ := unstructured.NestedBool(o.Object, "spec", "unschedulable"); cordoned {
		if e := lastWriter(o.GetManagedFields(), "f:spec", "f:unschedulable"); e != nil {
			h.add(h.occurrence(o, e.Time.Time, "node", "cordoned", e))
		}
	}
	for _, c := range maps(o.Object, "status", "conditions") {
		at, err := time.Parse(time.RFC3339, fmt.Sprint(c["lastTransitionTime"]))
		if err == nil && c["type"] == "Ready" && at.Sub(created) > time.Minute {
			h.add(h.occurrence(o, at, "node", fmt.Sprintf("Ready became %v: %v", c["status"], c["reason"]), nil))
		}
	}
}

// job tells of a job that failed, and of one that nobody else keeps and came.
func (h *history) job(o *unstructured.Unstructured) {
	if len(o.GetOwnerReferences()) == 0 {
		h.add(h.occurrence(o, o.GetCreationTimestamp().Time, "job", "created: "+strings.Join(images(o), ", "), firstWriter(o.GetManagedFields())))
	}
	for _, c := range maps(o.Object, "status", "conditions") {
		at, err := time.Parse(time.RFC3339, fmt.Sprint(c["lastTransitionTime"]))
		if err == nil && c["type"] == "Failed" && c["status"] == "True" {
			h.add(h.occurrence(o, at, "job", fmt.Sprintf("failed: %v", c["reason"]), nil))
		}
	}
}

// other tells of an object that came, or whose own fields somebody wrote.
func (h *history) other(o *unstructured.Unstructured) {
	created := o.GetCreationTimestamp().Time
	if h.window.holds(created) {
		h.add(h.occurrence(o, created, "creation", "created", firstWriter(o.GetManagedFields())))
		return
	}
	if e := lastWriter(o.GetManagedFields(), "f:spec"); e != nil && !near(e.Time.Time, created) {
		h.add(h.occurrence(o, e.Time.Time, "edit", "spec written", e))
	}
}

// toldByEvents are the reasons of events that tell what objects do not.
var toldByEvents = map[string]string{"SuccessfulRescale": "autoscaling", "RemovingNode": "node", "NodeNotReady": "node"}

// events tells what only events know: an autoscaler's decisions and nodes that
// are gone. How a controller changed a Deployment's size is kept for its scaling.
func (h *history) events(ctx context.Context) {
	n := 0
	err := h.b.eachEvent(ctx, h.namespace, "", func(e *corev1.Event) {
		n++
		_, last, count := occurrences(e)
		kind, told := toldByEvents[e.Reason]
		if !told {
			h.sizeStep(e, last)
			return
		}
		what := abridge(e.Message, 160)
		if count > 1 {
			what += fmt.Sprintf(" (%d times)", count)
		}
		h.add(occurrence{at: last, kind: kind, namespace: e.InvolvedObject.Namespace, object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name,
			what: what, by: e.Source.Component})
	})
	if err != nil {
		h.missedOut("events", err)
		return
	}
	h.saw("events", n)
}

func (h *history) sizeStep(e *corev1.Event, at time.Time) {
	if e.Reason != "ScalingReplicaSet" || !h.window.holds(at) {
		return
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.steps == nil {
		h.steps = map[string][]scalingStep{}
	}
	key := e.InvolvedObject.Namespace + "/" + e.InvolvedObject.Name
	h.steps[key] = append(h.steps[key], scalingStep{at, abridge(e.Message, 120)})
}

// compareRollouts reads the revisions of what was rolled out, and settles whom
// changed ConfigMaps concern and from what size a workload was scaled.
func (h *history) compareRollouts(ctx context.Context) {
	var steps []func(context.Context)
	for _, o := range h.rollouts {
		steps = append(steps, func(ctx context.Context) { h.compareRollout(ctx, o) })
	}
	h.together(ctx, steps...)
	for _, o := range h.pending {
		_, name, _ := strings.Cut(o.object, "/")
		key := o.namespace + "/" + name
		if users := h.users[key]; o.kind == "config" && len(users) > 0 {
			slices.Sort(users)
			o.what += "; used by " + some(slices.Compact(users), 5)
		}
		for _, step := range h.steps[key] {
			if o.kind == "scaling" && near(step.at, o.at) {
				o.what += " (" + step.text + ")"
				break
			}
		}
		h.add(o)
	}
}

func (h *history) compareRollout(ctx context.Context, obj *unstructured.Unstructured) {
	var list []revision
	err := h.b.eachRevision(ctx, obj, func(v revision) { list = keepNewest(list, v, revisionsKept) })
	if err != nil {
		h.missedOut("revisions of "+obj.GetKind()+"s", err)
		return
	}
	if len(list) < 2 {
		return // nothing to compare with: it came, or only its other fields were written
	}
	at := rolledOut(obj, list[0])
	h.add(occurrence{at: at, kind: "rollout", namespace: obj.GetNamespace(), object: obj.GetKind() + "/" + obj.GetName(),
		what: fmt.Sprintf("rolled out revision %d after %d: %s", list[0].number, list[1].number, whatChanged(ctx, list[1], list[0])), by: rolloutBy(obj, at)})
}

// summary counts the changes by what they are.
func (h *history) summary() string {
	if h.found == 0 {
		return "nothing changed in the window, as far as was looked"
	}
	var parts []string
	for _, kind := range h.kindsSeen.order {
		parts = append(parts, fmt.Sprintf("%s %d", kind, len(h.kindsSeen.who[kind])))
	}
	slices.Sort(parts)
	return fmt.Sprintf("%s: %s", plural(h.found, "change"), strings.Join(parts, ", "))
}

// notes say where the record of changes has holes.
func (h *history) notes() []string {
	out := []string{"deleted objects leave no trace here but in events, which the cluster keeps for an hour or so; Secrets are not looked at"}
	if h.window.until.Before(h.window.now.Add(-settling)) {
		out = append(out, "the API keeps each writer's last write: a change in the window that was written over later shows at the later time")
	}
	if h.unread > 0 {
		out = append(out, fmt.Sprintf("%s more changed their template and were not compared; name a namespace", plural(h.unread, "workload")))
	}
	return out
}
