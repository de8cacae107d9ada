package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod diagnoses one pod, and the rollout that made it when it is broken.
func (d *diagnosis) pod(ctx context.Context, p *corev1.Pod) {
	d.state = podState(p)
	d.together(ctx,
		func(ctx context.Context) { d.owners(ctx, p) },
		func(ctx context.Context) { d.eventsOf(ctx, string(p.UID)) },
		func(ctx context.Context) { d.nodeOf(ctx, p) },
	)
	faults := podFaults(p, d.now)
	refs := d.references(ctx, &p.Spec)
	for _, f := range faults {
		d.judge(ctx, subject{fault: f, pod: p, refs: refs})
	}
	if len(faults) == 0 {
		d.latent(p)
	}
	d.danglingReferences(refs, "pod "+p.Name)
	d.configChanges(refs)
}

// podState is a pod's phase and how many of its containers are ready.
func podState(p *corev1.Pod) string {
	ready := 0
	for _, s := range p.Status.ContainerStatuses {
		if s.Ready {
			ready++
		}
	}
	state := fmt.Sprintf("%s, %d of %s ready", p.Status.Phase, ready, plural(len(p.Spec.Containers), "container"))
	if p.Status.Phase == corev1.PodSucceeded {
		state = "Succeeded"
	}
	if p.Spec.NodeName != "" {
		state += ", on node " + p.Spec.NodeName
	}
	return state
}

// latent tells of a pod without faults what its events still warn of.
func (d *diagnosis) latent(p *corev1.Pod) {
	for _, probe := range []string{"Liveness", "Readiness", "Startup"} {
		e := d.events.find("Pod/"+p.Name, probe+" probe", "Unhealthy")
		if e == nil || d.now.Sub(e.last) > slowStart {
			continue
		}
		d.find(warning, fmt.Sprintf("the %s probe of container %s fails now and then", strings.ToLower(probe), e.part),
			"a probe that fails in a row restarts the container, or takes it out of its Services", d.events.quote(e))
	}
}

// owners climbs from a pod to whoever made it, and compares the revisions of a
// workload on the way.
func (d *diagnosis) owners(ctx context.Context, p *corev1.Pod) {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		d.chain = append(d.chain, "nothing owns the pod: when it goes, nothing makes another")
		return
	}
	up := []string{"Pod " + p.Name, owner.Kind + " " + owner.Name}
	switch owner.Kind {
	case "ReplicaSet":
		up = append(up, d.aboveReplicaSet(ctx, owner.Name)...)
	case "StatefulSet":
		if set, err := d.c.typed.AppsV1().StatefulSets(d.ns).Get(ctx, owner.Name, metav1.GetOptions{}); err == nil {
			d.controllerRevisions(ctx, &set.ObjectMeta, set.Spec.Selector)
		} else {
			d.missedOut("statefulset "+owner.Name, err)
		}
	case "DaemonSet":
		if set, err := d.c.typed.AppsV1().DaemonSets(d.ns).Get(ctx, owner.Name, metav1.GetOptions{}); err == nil {
			d.controllerRevisions(ctx, &set.ObjectMeta, set.Spec.Selector)
		} else {
			d.missedOut("daemonset "+owner.Name, err)
		}
	case "Job":
		if job, err := d.c.typed.BatchV1().Jobs(d.ns).Get(ctx, owner.Name, metav1.GetOptions{}); err != nil {
			d.missedOut("job "+owner.Name, err)
		} else if cron := metav1.GetControllerOf(job); cron != nil {
			up = append(up, cron.Kind+" "+cron.Name)
		}
	}
	slices.Reverse(up)
	d.chain = append(d.chain, strings.Join(up, " > "))
}

// aboveReplicaSet names the deployment over a replica set and compares its revisions.
func (d *diagnosis) aboveReplicaSet(ctx context.Context, name string) []string {
	set, err := d.c.typed.AppsV1().ReplicaSets(d.ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		d.missedOut("replicaset "+name, err)
		return nil
	}
	d.saw("replicasets", 1)
	owner := metav1.GetControllerOf(set)
	if owner == nil {
		return nil
	}
	above := []string{owner.Kind + " " + owner.Name}
	if owner.Kind != "Deployment" {
		return above
	}
	dep, err := d.c.typed.AppsV1().Deployments(d.ns).Get(ctx, owner.Name, metav1.GetOptions{})
	if err != nil {
		d.missedOut("deployment "+owner.Name, err)
		return above
	}
	d.saw("deployments", 1)
	d.replicaSetRevisions(ctx, dep)
	return above
}

// nodeOf says what is wrong with the node a pod is on.
func (d *diagnosis) nodeOf(ctx context.Context, p *corev1.Pod) {
	if p.Spec.NodeName == "" {
		return
	}
	node, err := d.c.typed.CoreV1().Nodes().Get(ctx, p.Spec.NodeName, metav1.GetOptions{})
	if err != nil {
		d.missedOut("node "+p.Spec.NodeName, err)
		return
	}
	d.saw("nodes", 1)
	for _, f := range nodeFaults(node, d.now) {
		if f.Severity != info {
			d.aside(f)
		}
	}
}
