package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rootCertificates is the ConfigMap that Kubernetes keeps in every namespace.
const rootCertificates = "kube-root-ca.crt"

// maxReferences bounds how many references of one pod are followed.
const maxReferences = 40

// reference is something a pod names and cannot start without.
type reference struct {
	kind, name string
	keys       []string // that must be in it
	uses       []string // where it is named
	optional   bool

	problem string // why it leads nowhere
	told    bool
	meta    *metav1.ObjectMeta // of a ConfigMap that is there
}

// podReferences lists what a pod spec names, each thing once.
func podReferences(spec *corev1.PodSpec) []reference {
	var r references
	name := spec.ServiceAccountName
	if name != "" && name != "default" {
		r.add("ServiceAccount", name, "", "serviceAccountName", nil)
	}
	for _, v := range spec.Volumes {
		r.volume(v)
	}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for _, c := range list {
			r.environment(c)
		}
	}
	return r
}

type references []reference

func (r *references) add(kind, name, key, use string, optional *bool) {
	if kind == "ConfigMap" && name == rootCertificates {
		return // every pod has it, and a controller keeps it there
	}
	i := slices.IndexFunc(*r, func(x reference) bool { return x.kind == kind && x.name == name })
	may := optional != nil && *optional
	if i < 0 {
		*r = append(*r, reference{kind: kind, name: name, optional: true})
		i = len(*r) - 1
	}
	x := &(*r)[i]
	if !slices.Contains(x.uses, use) {
		x.uses = append(x.uses, use)
	}
	x.optional = x.optional && may
	if key != "" && !may && !slices.Contains(x.keys, key) {
		x.keys = append(x.keys, key)
	}
}

func (r *references) volume(v corev1.Volume) {
	use := "volume " + v.Name
	switch {
	case v.ConfigMap != nil:
		r.items("ConfigMap", v.ConfigMap.Name, v.ConfigMap.Items, use, v.ConfigMap.Optional)
	case v.Secret != nil:
		r.items("Secret", v.Secret.SecretName, v.Secret.Items, use, v.Secret.Optional)
	case v.PersistentVolumeClaim != nil:
		r.add("PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName, "", use, nil)
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			if s.ConfigMap != nil {
				r.items("ConfigMap", s.ConfigMap.Name, s.ConfigMap.Items, use, s.ConfigMap.Optional)
			}
			if s.Secret != nil {
				r.items("Secret", s.Secret.Name, s.Secret.Items, use, s.Secret.Optional)
			}
		}
	}
}

func (r *references) items(kind, name string, items []corev1.KeyToPath, use string, optional *bool) {
	r.add(kind, name, "", use, optional)
	for _, item := range items {
		r.add(kind, name, item.Key, use, optional)
	}
}

func (r *references) environment(c corev1.Container) {
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			r.add("ConfigMap", from.ConfigMapRef.Name, "", "envFrom of container "+c.Name, from.ConfigMapRef.Optional)
		}
		if from.SecretRef != nil {
			r.add("Secret", from.SecretRef.Name, "", "envFrom of container "+c.Name, from.SecretRef.Optional)
		}
	}
	for _, env := range c.Env {
		use := fmt.Sprintf("env %s of container %s", env.Name, c.Name)
		switch {
		case env.ValueFrom == nil:
		case env.ValueFrom.ConfigMapKeyRef != nil:
			k := env.ValueFrom.ConfigMapKeyRef
			r.add("ConfigMap", k.Name, k.Key, use, k.Optional)
		case env.ValueFrom.SecretKeyRef != nil:
			k := env.ValueFrom.SecretKeyRef
			r.add("Secret", k.Name, k.Key, use, k.Optional)
		}
	}
}

// remedy is what makes a reference lead somewhere.
func (r *reference) remedy() string {
	if strings.Contains(r.problem, "has no key") {
		return "add the key, or correct the reference"
	}
	return "create it, or correct the reference"
}

// references follows what a pod spec names. Secrets are never read: whether one
// is there is for the kubelet to say.
func (d *diagnosis) references(ctx context.Context, spec *corev1.PodSpec) []reference {
	refs := podReferences(spec)
	refs = refs[:min(len(refs), maxReferences)]
	var steps []func(context.Context)
	for i := range refs {
		if refs[i].kind != "Secret" {
			steps = append(steps, func(ctx context.Context) { d.follow(ctx, &refs[i]) })
		}
	}
	d.together(ctx, steps...)
	return refs
}

func (d *diagnosis) follow(ctx context.Context, r *reference) {
	var err error
	core := d.c.typed.CoreV1()
	switch r.kind {
	case "ConfigMap":
		var cm *corev1.ConfigMap
		if cm, err = core.ConfigMaps(d.ns).Get(ctx, r.name, metav1.GetOptions{}); err == nil {
			r.meta = &cm.ObjectMeta
			r.problem = missingKeys(cm, r.keys)
		}
	case "PersistentVolumeClaim":
		var claim *corev1.PersistentVolumeClaim
		if claim, err = core.PersistentVolumeClaims(d.ns).Get(ctx, r.name, metav1.GetOptions{}); err == nil && claim.Status.Phase == corev1.ClaimLost {
			r.problem = fmt.Sprintf("PersistentVolumeClaim %q has lost its volume", r.name)
		}
	case "ServiceAccount":
		_, err = core.ServiceAccounts(d.ns).Get(ctx, r.name, metav1.GetOptions{})
	}
	switch {
	case apierrors.IsNotFound(err):
		r.problem = fmt.Sprintf("%s %q does not exist%s", r.kind, r.name, d.nearest(ctx, r.kind, r.name))
	case err != nil:
		d.missedOut(strings.ToLower(r.kind)+" "+r.name, err)
		return
	}
	d.saw(strings.ToLower(r.kind)+"s", 1)
}

// nearest names what a misspelt reference may have meant.
func (d *diagnosis) nearest(ctx context.Context, kind, name string) string {
	t, err := d.b.resolve(ctx, kind)
	if err != nil {
		return ""
	}
	names, err := d.b.names(ctx, t, d.ns)
	if err != nil {
		return ""
	}
	if near := mcpkit.Nearest(name, names); len(near) > 0 {
		return " (there is " + strings.Join(near, ", ") + ")"
	}
	return ""
}

func missingKeys(cm *corev1.ConfigMap, keys []string) string {
	var missing []string
	for _, key := range keys {
		_, plain := cm.Data[key]
		_, binary := cm.BinaryData[key]
		if !plain && !binary {
			missing = append(missing, fmt.Sprintf("%q", key))
		}
	}
	if len(missing) == 0 {
		return ""
	}
	there := append(sortedKeys(cm.Data), sortedKeys(cm.BinaryData)...)
	return fmt.Sprintf("ConfigMap %q has no key %s (its keys: %s)", cm.Name, strings.Join(missing, ", "), orNone(some(there, 8)))
}

// danglingReferences tells of references that lead nowhere where no fault has
// told of them yet: they bite at the next start.
func (d *diagnosis) danglingReferences(refs []reference, of string) {
	for i := range refs {
		r := &refs[i]
		if r.problem == "" || r.told || r.optional {
			continue
		}
		r.told = true
		d.find(warning, of+" refers to what is not there: "+r.problem, r.remedy()+"; a pod started now would fail", "used as "+some(r.uses, 4))
	}
}

// configChanges tells which of the ConfigMaps a broken pod uses changed lately.
func (d *diagnosis) configChanges(refs []reference) {
	for _, r := range refs {
		if r.meta == nil {
			continue
		}
		if edit := lastEdit(r.meta.ManagedFields); edit != nil && d.now.Sub(edit.Time.Time) < recentChange {
			d.changed = append(d.changed, fmt.Sprintf("ConfigMap %s, %s ago by %s (used as %s)", r.name, age(edit.Time.Time, d.now), edit.Manager, some(r.uses, 2)))
		}
	}
}
