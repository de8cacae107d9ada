package kubernetes

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxCauses is how many different causes of one workload's pods are looked into.
const maxCauses = 3

// workloadCase is what every kind that runs pods has.
type workloadCase struct {
	kind      string
	meta      *metav1.ObjectMeta
	selector  *metav1.LabelSelector
	template  *corev1.PodTemplateSpec
	desired   int
	available int    // pods that serve
	blocked   string // why pods cannot be created, where its status says so
	creator   string // whose events say why pods cannot be created, where it is not the workload itself
	census    *podCensus
	refs      []reference
}

// run gathers everything around a workload at once, and then judges its pods.
func (d *diagnosis) run(ctx context.Context, w *workloadCase, more ...func(context.Context)) {
	w.census = newPodCensus(d.now)
	d.managed(w.meta)
	steps := []func(context.Context){
		func(ctx context.Context) { d.eventsOf(ctx, w.meta) },
		func(ctx context.Context) { d.census(ctx, w) },
		func(ctx context.Context) { w.refs = d.references(ctx, &w.template.Spec) },
	}
	if w.kind != "Job" {
		steps = append(steps,
			func(ctx context.Context) { d.scalers(ctx, w) },
			func(ctx context.Context) { d.missedServices(ctx, w) })
	}
	d.together(ctx, append(steps, more...)...)
	d.pods = w.census.table()
	d.creation(ctx, w)
	d.causes(ctx, w)
	d.danglingReferences(w.refs, "the pod template")
	d.configChanges(w.refs)
	d.scaledToZero(w)
}

// census counts the pods of a workload that are its own.
func (d *diagnosis) census(ctx context.Context, w *workloadCase) {
	selector, err := metav1.LabelSelectorAsSelector(w.selector)
	if err != nil {
		d.missedOut("pods", err)
		return
	}
	gather(ctx, &d.gathering, "pods", d.c.typed.CoreV1().Pods(d.ns).List, metav1.ListOptions{LabelSelector: selector.String()}, func(p *corev1.Pod) {
		if w.made(p) {
			w.census.add(p)
		}
	})
}

// made reports whether the workload owns a pod that its selector picks.
func (w *workloadCase) made(p *corev1.Pod) bool {
	owner := metav1.GetControllerOf(p)
	switch {
	case owner == nil:
		return false
	case w.kind == "Deployment":
		return owner.Kind == "ReplicaSet" && strings.HasPrefix(owner.Name, w.meta.Name+"-")
	}
	return owner.UID == w.meta.UID
}

// causes looks into what is wrong with the pods, cause by cause, on one pod each.
func (d *diagnosis) causes(ctx context.Context, w *workloadCase) {
	groups := w.census.worst()
	shown := groups[:min(maxCauses, len(groups))]
	var steps []func(context.Context)
	nodes := map[string]bool{}
	for _, g := range shown {
		steps = append(steps, func(ctx context.Context) { d.eventsOf(ctx, g.sample) })
		if node := g.sample.Spec.NodeName; node != "" && !nodes[node] {
			nodes[node] = true
			steps = append(steps, func(ctx context.Context) { d.nodeOf(ctx, g.sample) })
		}
	}
	d.together(ctx, steps...)
	for _, g := range shown {
		s := subject{fault: g.fault, pod: g.sample, refs: w.refs, who: fmt.Sprintf("%d of %s: ", g.count, plural(w.census.total, "pod"))}
		if g.kind == faultEvicted && w.available >= w.desired {
			s.severity = info
		}
		if g.count != len(g.names) || w.census.total > maxPodRows {
			s.name = some(g.names, 3)
		}
		d.judge(ctx, s)
		if last := &d.findings[len(d.findings)-1]; last.Severity == critical && w.available > 0 && g.count < w.census.total {
			last.Severity = warning // the others carry the load
		}
	}
	for _, g := range groups[len(shown):] {
		d.find(g.severity, fmt.Sprintf("%d of %s: %s", g.count, plural(w.census.total, "pod"), g.cause), "k8s_diagnose of pod "+g.names[0])
	}
}

// scaledToZero says that a workload runs nothing because it was told to.
func (d *diagnosis) scaledToZero(w *workloadCase) {
	if w.desired != 0 || w.kind == "DaemonSet" || w.kind == "Job" {
		return
	}
	d.verdict = "idle"
	d.state = "scaled to 0 replicas"
	if e := fieldOwner(w.meta.ManagedFields, "f:spec", "f:replicas"); e != nil {
		d.state += ", last set by " + writer(e)
		if e.Time != nil {
			d.state += " " + age(e.Time.Time, d.now) + " ago"
		}
	} else if e := d.events.find(w.kind+"/"+w.meta.Name, " to 0", "ScalingReplicaSet"); e != nil {
		d.state += ", last " + age(e.last, d.now) + " ago; the record does not say by whom"
	}
}

// managed says which tool a workload is deployed with, so that a lasting
// correction goes to the right place.
func (d *diagnosis) managed(m *metav1.ObjectMeta) {
	by := ""
	switch {
	case m.Annotations["argocd.argoproj.io/tracking-id"] != "":
		app, _, _ := strings.Cut(m.Annotations["argocd.argoproj.io/tracking-id"], ":")
		by = "Argo CD application " + app
	case m.Labels["kustomize.toolkit.fluxcd.io/name"] != "":
		by = "Flux kustomization " + m.Labels["kustomize.toolkit.fluxcd.io/namespace"] + "/" + m.Labels["kustomize.toolkit.fluxcd.io/name"]
	case m.Annotations["meta.helm.sh/release-name"] != "":
		by = "Helm release " + m.Annotations["meta.helm.sh/release-namespace"] + "/" + m.Annotations["meta.helm.sh/release-name"]
	default:
		return
	}
	d.chain = append(d.chain, "deployed by "+by)
}

func (d *diagnosis) replicaSet(ctx context.Context, rs *appsv1.ReplicaSet) {
	w := &workloadCase{kind: "ReplicaSet", meta: &rs.ObjectMeta, selector: rs.Spec.Selector, template: &rs.Spec.Template, desired: replicas(rs.Spec.Replicas), available: int(rs.Status.AvailableReplicas)}
	for _, c := range rs.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			w.blocked = c.Message
		}
	}
	d.state = fmt.Sprintf("%d of %d replicas ready", rs.Status.ReadyReplicas, w.desired)
	d.run(ctx, w, func(ctx context.Context) {
		if above := d.above(ctx, rs); len(above) > 0 {
			d.chain = append(d.chain, strings.Join(above, " > ")+" > ReplicaSet "+rs.Name)
		}
	})
}

func (d *diagnosis) statefulSet(ctx context.Context, s *appsv1.StatefulSet) {
	w := &workloadCase{kind: "StatefulSet", meta: &s.ObjectMeta, selector: s.Spec.Selector, template: &s.Spec.Template, desired: replicas(s.Spec.Replicas), available: int(s.Status.AvailableReplicas)}
	d.state = fmt.Sprintf("%d of %d replicas ready", s.Status.ReadyReplicas, w.desired)
	d.run(ctx, w, func(ctx context.Context) { d.revisions(ctx, d.obj) })
	d.unobserved(&s.ObjectMeta, s.Status.ObservedGeneration)
	if s.Status.UpdateRevision == s.Status.CurrentRevision || s.Status.UpdatedReplicas >= int32(w.desired) {
		return
	}
	what := fmt.Sprintf("the rollout is under way: %d of %d pods are of the new revision", s.Status.UpdatedReplicas, w.desired)
	next := "pods are replaced one by one from the highest number down; one that does not become ready stops the rest"
	switch u := s.Spec.UpdateStrategy; {
	case u.Type == appsv1.OnDeleteStatefulSetStrategyType:
		next = "its update strategy is OnDelete: a pod takes the new revision when somebody deletes it"
	case u.RollingUpdate != nil && u.RollingUpdate.Partition != nil && *u.RollingUpdate.Partition > 0:
		next = fmt.Sprintf("its partition is %d: pods below that number stay as they are", *u.RollingUpdate.Partition)
	}
	d.find(d.rolloutSeverity(w), what, next)
}

func (d *diagnosis) daemonSet(ctx context.Context, s *appsv1.DaemonSet) {
	w := &workloadCase{kind: "DaemonSet", meta: &s.ObjectMeta, selector: s.Spec.Selector, template: &s.Spec.Template, desired: int(s.Status.DesiredNumberScheduled), available: int(s.Status.NumberAvailable)}
	d.state = fmt.Sprintf("ready on %d of %s", s.Status.NumberReady, plural(w.desired, "node"))
	d.run(ctx, w, func(ctx context.Context) { d.revisions(ctx, d.obj) })
	d.unobserved(&s.ObjectMeta, s.Status.ObservedGeneration)
	if w.desired == 0 {
		d.verdict = "idle"
		d.find(info, "no node is meant to run it", "its nodeSelector, affinity and tolerations decide which nodes are", "nodeSelector: "+orNone(pairs(s.Spec.Template.Spec.NodeSelector)))
	}
	if s.Status.NumberMisscheduled > 0 {
		d.find(warning, fmt.Sprintf("it runs on %s where it should not", plural(int(s.Status.NumberMisscheduled), "node")), "its nodeSelector, affinity or the nodes' taints have changed")
	}
	if s.Status.UpdatedNumberScheduled < s.Status.DesiredNumberScheduled {
		next := "pods are replaced a few at a time; one that does not become ready stops the rest"
		if s.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
			next = "its update strategy is OnDelete: a pod takes the new revision when somebody deletes it"
		}
		d.find(d.rolloutSeverity(w), fmt.Sprintf("the rollout is under way: %d of %d pods are of the new revision", s.Status.UpdatedNumberScheduled, w.desired), next)
	}
}

// rolloutSeverity is how bad it is that a rollout is not done.
func (d *diagnosis) rolloutSeverity(w *workloadCase) string {
	if w.available < w.desired {
		return warning
	}
	return info
}

// unobserved says that a workload's controller has not seen its latest change.
func (d *diagnosis) unobserved(m *metav1.ObjectMeta, observed int64) {
	if observed >= m.Generation {
		return
	}
	severity := warning
	if e := lastEdit(m.ManagedFields); e != nil && d.now.Sub(e.Time.Time) < slowStart {
		severity = info
	}
	d.find(severity, fmt.Sprintf("its controller has not acted on the latest change (generation %d, seen %d)", m.Generation, observed),
		"if this stays, kube-controller-manager does not work")
}

func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}
