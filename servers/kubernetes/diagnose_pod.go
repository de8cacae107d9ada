package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// pod diagnoses one pod, and the rollout that made it when it is broken.
func (d *diagnosis) pod(ctx context.Context, p *corev1.Pod) {
	d.state = podState(p)
	d.together(ctx,
		func(ctx context.Context) { d.owners(ctx, p) },
		func(ctx context.Context) { d.eventsOf(ctx, p) },
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

// owners climbs from a pod to whoever made it, and on the way compares the
// revisions of the workload whose rollout may have broken it.
func (d *diagnosis) owners(ctx context.Context, p *corev1.Pod) {
	if metav1.GetControllerOf(p) == nil {
		d.chain = append(d.chain, "nothing owns the pod: when it goes, nothing makes another")
		return
	}
	d.chain = append(d.chain, strings.Join(append(d.above(ctx, p), "Pod "+p.Name), " > "))
}

// maxOwners bounds how far up owners are followed.
const maxOwners = 4

// above names the owners of an object, the highest first.
func (d *diagnosis) above(ctx context.Context, o metav1.Object) []string {
	var chain []string
	for range maxOwners {
		owner := metav1.GetControllerOf(o)
		if owner == nil {
			break
		}
		chain = append(chain, owner.Kind+" "+owner.Name)
		gv, _ := schema.ParseGroupVersion(owner.APIVersion) // the API server lets in no other
		obj, t, err := d.fetch(ctx, strings.TrimSuffix(owner.Kind+"."+gv.Group, "."), owner.Name)
		if err != nil {
			d.missedOut(strings.ToLower(owner.Kind)+" "+owner.Name, err)
			break
		}
		d.saw(t.Resource, 1)
		if slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, obj.GetKind()) {
			d.revisions(ctx, obj)
		}
		o = obj
	}
	slices.Reverse(chain)
	return chain
}

// fetch reads an object beside the one asked about.
func (d *diagnosis) fetch(ctx context.Context, kind, name string) (*unstructured.Unstructured, resourceType, error) {
	t, err := d.b.resolve(ctx, kind)
	if err != nil {
		return nil, t, err
	}
	obj, err := d.c.in(t, d.ns).Get(ctx, name, metav1.GetOptions{})
	return obj, t, err
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
