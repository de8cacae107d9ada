package kubernetes

import (
	"context"
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const defaultClass = "storageclass.kubernetes.io/is-default-class"

// claim diagnoses a persistent volume claim: why it is not bound, or why its
// volume cannot be attached.
func (d *diagnosis) claim(ctx context.Context, claim *corev1.PersistentVolumeClaim) {
	d.state = string(claim.Status.Phase)
	var users []string
	d.together(ctx,
		func(ctx context.Context) { d.eventsOf(ctx, claim) },
		func(ctx context.Context) { users = d.podsUsing(ctx, claim.Name) },
	)
	d.chain = append(d.chain, "used by pods: "+orNone(some(users, 5)))
	switch claim.Status.Phase {
	case corev1.ClaimBound:
		d.boundClaim(ctx, claim)
	case corev1.ClaimLost:
		d.find(critical, fmt.Sprintf("its volume %s is gone", claim.Spec.VolumeName), "the data is where that volume was; a new claim gets a new, empty volume")
	default:
		f := d.unbound(ctx, claim)
		if e := d.events.find("PersistentVolumeClaim/"+claim.Name, "", "ProvisioningFailed", "FailedBinding", "ExternalProvisioning", "WaitForFirstConsumer"); e != nil {
			f.Evidence = append(f.Evidence, d.events.quote(e))
		}
		d.findings = append(d.findings, f)
	}
	for _, c := range claim.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			d.find(warning, fmt.Sprintf("condition %s since %s", c.Type, age(c.LastTransitionTime.Time, d.now)), "", lines(abridge(c.Message, 300))...)
		}
	}
}

// podsUsing lists the pods that mount a claim.
func (d *diagnosis) podsUsing(ctx context.Context, claim string) []string {
	var out []string
	gather(ctx, &d.gathering, "pods", d.c.typed.CoreV1().Pods(d.ns).List, metav1.ListOptions{}, func(p *corev1.Pod) {
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim {
				out = append(out, p.Name)
			}
		}
	})
	return out
}

// unbound says why a claim has no volume.
func (d *diagnosis) unbound(ctx context.Context, claim *corev1.PersistentVolumeClaim) Finding {
	if claim.Spec.VolumeName != "" {
		return Finding{Severity: critical, What: fmt.Sprintf("it asks for volume %s by name and is not bound to it", claim.Spec.VolumeName),
			Next: "that volume must exist, be Available, and offer the size, access mode and class asked for"}
	}
	class, known := claim.Spec.StorageClassName, false
	if class != nil && *class == "" {
		return Finding{Severity: critical, What: "it asks for no storage class (\"\"), so that only a PersistentVolume made by hand can serve it, and none fits",
			Next: "make a PersistentVolume of the size and access mode asked for, or name a class", Evidence: []string{asked(claim)}}
	}
	if class == nil {
		if class, known = d.defaultStorageClass(ctx); class == nil {
			if !known {
				return Finding{Severity: critical, What: "it is not bound and names no storage class"}
			}
			return Finding{Severity: critical, What: "it names no storage class and the cluster has no default one", Next: "name a class, or make one the default",
				Evidence: []string{"storage classes: " + orNone(some(d.storageClasses(ctx), 8))}}
		}
	}
	sc, err := d.c.typed.StorageV1().StorageClasses().Get(ctx, *class, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		classes := d.storageClasses(ctx)
		hint := "storage classes: " + orNone(some(classes, 8))
		if near := mcpkit.Nearest(*class, classes); len(near) > 0 {
			hint += "; nearest: " + strings.Join(near, ", ")
		}
		return Finding{Severity: critical, What: fmt.Sprintf("storage class %q does not exist", *class), Evidence: []string{hint},
			Next: "the class must be made, or the claim be made anew with one that is there (a claim's class cannot be changed)"}
	case err != nil:
		d.missedOut("storageclass "+*class, err)
		return Finding{Severity: critical, What: fmt.Sprintf("it is not bound; its storage class is %q", *class)}
	}
	d.saw("storageclasses", 1)
	return d.unprovisioned(ctx, claim, sc)
}

// unprovisioned says why a class that exists has not given a claim its volume.
func (d *diagnosis) unprovisioned(ctx context.Context, claim *corev1.PersistentVolumeClaim, sc *storagev1.StorageClass) Finding {
	f := Finding{Severity: critical, Evidence: []string{asked(claim), "class " + sc.Name + ": provisioner " + sc.Provisioner}}
	if sc.VolumeBindingMode != nil && *sc.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer && claim.Annotations["volume.kubernetes.io/selected-node"] == "" {
		f.Severity, f.What = info, fmt.Sprintf("class %q waits for the first pod that uses the claim (WaitForFirstConsumer), and none has been scheduled", sc.Name)
		f.Next = "a pod that uses it must be scheduled; k8s_diagnose of that pod says why it is not"
		return f
	}
	if sc.Provisioner == "kubernetes.io/no-provisioner" {
		f.What = fmt.Sprintf("class %q has no provisioner: only a PersistentVolume made by hand can serve it, and none fits", sc.Name)
		f.Next = "make a PersistentVolume of that class, size and access mode"
		return f
	}
	_, err := d.c.typed.StorageV1().CSIDrivers().Get(ctx, sc.Provisioner, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		f.What = fmt.Sprintf("provisioner %q of class %q has not made a volume", sc.Provisioner, sc.Name)
		f.Evidence = append(f.Evidence, "no CSIDriver of that name is registered")
		f.Next = "the provisioner must be installed and running"
	case err != nil:
		d.missedOut("csidriver "+sc.Provisioner, err)
		fallthrough
	default:
		f.What = fmt.Sprintf("provisioner %q of class %q has not made a volume yet", sc.Provisioner, sc.Name)
		f.Next = "the events, and the log of the provisioner's controller, say why"
	}
	return f
}

// boundClaim says whether the volume of a bound claim can be attached.
func (d *diagnosis) boundClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) {
	d.state = "Bound to volume " + claim.Spec.VolumeName
	gather(ctx, &d.gathering, "volumeattachments", d.c.typed.StorageV1().VolumeAttachments().List, metav1.ListOptions{}, func(a *storagev1.VolumeAttachment) {
		if a.Spec.Source.PersistentVolumeName == nil || *a.Spec.Source.PersistentVolumeName != claim.Spec.VolumeName {
			return
		}
		for _, e := range []*storagev1.VolumeError{a.Status.AttachError, a.Status.DetachError} {
			if e != nil {
				d.find(critical, "its volume cannot be attached to or detached from node "+a.Spec.NodeName, "the storage system's own message says why", abridge(e.Message, 300))
			}
		}
	})
	pv, err := d.c.typed.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		d.missedOut("persistentvolume "+claim.Spec.VolumeName, err)
		return
	}
	d.saw("persistentvolumes", 1)
	if pv.Status.Phase != corev1.VolumeBound {
		d.find(warning, fmt.Sprintf("its volume %s is %s", pv.Name, pv.Status.Phase), "", lines(abridge(pv.Status.Message, 300))...)
	}
}

// defaultStorageClass is the name of the cluster's default class, and whether
// the classes could be read.
func (d *diagnosis) defaultStorageClass(ctx context.Context) (*string, bool) {
	var name *string
	err := each(ctx, d.c.typed.StorageV1().StorageClasses().List, metav1.ListOptions{}, func(sc *storagev1.StorageClass) {
		if sc.Annotations[defaultClass] == "true" {
			name = new(sc.Name)
		}
	})
	if err != nil {
		d.missedOut("storageclasses", err)
	}
	return name, err == nil
}

func (d *diagnosis) storageClasses(ctx context.Context) []string {
	var out []string
	gather(ctx, &d.gathering, "storageclasses", d.c.typed.StorageV1().StorageClasses().List, metav1.ListOptions{}, func(sc *storagev1.StorageClass) {
		name := sc.Name
		if sc.Annotations[defaultClass] == "true" {
			name += " (default)"
		}
		out = append(out, name)
	})
	return out
}

func asked(claim *corev1.PersistentVolumeClaim) string {
	var modes []string
	for _, m := range claim.Spec.AccessModes {
		modes = append(modes, string(m))
	}
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	return fmt.Sprintf("asks for %s, %s", size.String(), strings.Join(modes, ","))
}
