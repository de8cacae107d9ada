package agent

import (
	"fmt"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	corev1 "k8s.io/api/core/v1"
)

// settings are those of an agent's pod, as its owner wants them.
type settings struct {
	kagent.DeclarativeDeploymentSpec

	env          []corev1.EnvVar
	envFrom      []corev1.EnvFromSource
	volumes      []corev1.Volume
	mounts       []corev1.VolumeMount
	tolerations  []corev1.Toleration
	extra        []corev1.Container
	resources    *corev1.ResourceRequirements
	affinity     *corev1.Affinity
	security     corev1.SecurityContext
	podSecurity  corev1.PodSecurityContext
	ownTemporary bool // /tmp is one of mounts
}

const settingsPath = "spec.declarative.deployment"

// decodeSettings reads the open parts into Kubernetes' own types and refuses
// what those do not have, and what is in the way of the agent.
func decodeSettings(p *problems, d *kagent.DeclarativeDeploymentSpec) settings {
	if d == nil {
		return settings{}
	}
	s := settings{DeclarativeDeploymentSpec: *d}
	s.env = decodeAll[corev1.EnvVar](p, "env", d.Env)
	s.envFrom = decodeAll[corev1.EnvFromSource](p, "envFrom", d.EnvFrom)
	s.volumes = decodeAll[corev1.Volume](p, "volumes", d.Volumes)
	s.mounts = decodeAll[corev1.VolumeMount](p, "volumeMounts", d.VolumeMounts)
	s.tolerations = decodeAll[corev1.Toleration](p, "tolerations", d.Tolerations)
	s.extra = decodeAll[corev1.Container](p, "extraContainers", d.ExtraContainers)
	s.resources = decode[corev1.ResourceRequirements](p, "resources", d.Resources)
	s.affinity = decode[corev1.Affinity](p, "affinity", d.Affinity)
	if c := decode[corev1.SecurityContext](p, "securityContext", d.SecurityContext); c != nil {
		s.security = *c
	}
	if c := decode[corev1.PodSecurityContext](p, "podSecurityContext", d.PodSecurityContext); c != nil {
		s.podSecurity = *c
	}
	s.check(p)
	return s
}

// check refuses what is in the way of the agent's own.
func (s *settings) check(p *problems) {
	for i, v := range s.volumes {
		if v.Name == configurationVolume || v.Name == mountsVolume || v.Name == temporaryVolume {
			p.add("Invalid", "%s.name: %q is a volume of the agent's own; choose another name", at(settingsPath+".volumes", i), v.Name)
		}
	}
	for i, m := range s.mounts {
		for _, own := range []string{configurationPath, mountsPath} {
			if path := strings.TrimSuffix(m.MountPath, "/") + "/"; strings.HasPrefix(path, own+"/") || strings.HasPrefix(own+"/", path) {
				p.add("Invalid", "%s.mountPath: %s is in the way of the agent's own %s; choose another path", at(settingsPath+".volumeMounts", i), m.MountPath, own)
			}
		}
		s.ownTemporary = s.ownTemporary || m.MountPath == temporaryPath
	}
	for i, c := range s.extra {
		if c.Name == containerName {
			p.add("Invalid", "%s.name: %q is the agent's own container; choose another name", at(settingsPath+".extraContainers", i), c.Name)
		}
		if c.Image == "" {
			p.add("Invalid", "%s.image: missing; name the container's image", at(settingsPath+".extraContainers", i))
		}
	}
	switch corev1.PullPolicy(s.ImagePullPolicy) {
	case "", corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
	default:
		p.add("Invalid", "%s.imagePullPolicy: %q is none; write Always, IfNotPresent or Never", settingsPath, s.ImagePullPolicy)
	}
}

func decodeAll[T any](p *problems, field string, open []kagent.Open) []T {
	var out []T
	for i, o := range open {
		if v := decode[T](p, at(field, i), &o); v != nil {
			out = append(out, *v)
		}
	}
	return out
}

// decode says nothing of values: they may be credentials.
func decode[T any](p *problems, field string, open *kagent.Open) *T {
	if open == nil {
		return nil
	}
	var v T
	if err := open.Decode(&v); err != nil {
		p.add("Invalid", "%s.%s: %s", settingsPath, field, withoutValues(err))
		return nil
	}
	return &v
}

// withoutValues is what is wrong with an open part: its unknown fields, or the
// type that it is no value of.
func withoutValues(err error) string {
	text := err.Error()
	if strings.Contains(text, "unknown field") {
		return strings.ReplaceAll(text, "\n", ", ")
	}
	if _, rest, ok := strings.Cut(text, "json: cannot unmarshal "); ok {
		kind, rest, _ := strings.Cut(rest, " ")
		if _, target, ok := strings.Cut(rest, "into "); ok {
			return fmt.Sprintf("%s does not fit %s", kind, target)
		}
	}
	return "this cannot be read; write it as in a Pod"
}
