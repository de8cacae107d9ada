package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/controller/labels"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Where things are in an agent's pod.
const (
	port              = 8080
	metricsPort       = 9090
	containerName     = "agent"
	configurationPath = "/etc/toolcrib/agent"
	mountsPath        = "/var/run/toolcrib"
	temporaryPath     = "/tmp"

	configurationVolume = "toolcrib-configuration"
	mountsVolume        = "toolcrib-mounts"
	temporaryVolume     = "toolcrib-temporary"
)

// tokenSeconds is how long a token for a tool server is good; the kubelet
// renews it in time.
const tokenSeconds = 3600

// template is that of the agent's pods, but for its revision.
func (r *Reconciler) template(w *work) corev1.PodTemplateSpec {
	s := w.settings
	volumes := slices.Concat([]corev1.Volume{
		{Name: configurationVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		{Name: mountsVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: append(secretMounts(w), tokenMounts(w)...)}}},
	}, s.volumes)
	if !s.ownTemporary {
		volumes = append(volumes, corev1.Volume{Name: temporaryVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	var secrets []corev1.LocalObjectReference
	for _, name := range r.options.PullSecrets {
		secrets = append(secrets, corev1.LocalObjectReference{Name: name})
	}
	for _, secret := range s.ImagePullSecrets {
		secrets = append(secrets, corev1.LocalObjectReference{Name: secret.Name})
	}
	podLabels := map[string]string{}
	maps.Copy(podLabels, s.Labels)
	maps.Copy(podLabels, labels.OfAgent(w.Name))
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: podLabels, Annotations: maps.Clone(s.Annotations)},
		Spec: corev1.PodSpec{
			ServiceAccountName:            serviceAccount(w),
			SecurityContext:               &s.podSecurity,
			Containers:                    append([]corev1.Container{r.container(w)}, s.extra...),
			Volumes:                       volumes,
			ImagePullSecrets:              secrets,
			Tolerations:                   s.tolerations,
			Affinity:                      s.affinity,
			NodeSelector:                  s.NodeSelector,
			TerminationGracePeriodSeconds: new(int64(60)), // runs are handed over
		},
	}
}

func (r *Reconciler) container(w *work) corev1.Container {
	s := w.settings
	mounts := slices.Concat([]corev1.VolumeMount{
		{Name: configurationVolume, MountPath: configurationPath, ReadOnly: true},
		{Name: mountsVolume, MountPath: mountsPath, ReadOnly: true},
	}, s.mounts)
	if !s.ownTemporary {
		mounts = append(mounts, corev1.VolumeMount{Name: temporaryVolume, MountPath: temporaryPath})
	}
	pull := r.options.PullPolicy
	if s.ImagePullPolicy != "" {
		pull = s.ImagePullPolicy
	}
	return corev1.Container{
		Name:            containerName,
		Image:           imageFrom(r.options.Image, s.ImageRegistry),
		ImagePullPolicy: corev1.PullPolicy(pull),
		Args: []string{
			"serve", "-f", configurationPath, "--agent", w.Namespace + "/" + w.Name, "--mounts", mountsPath, "--listen", fmt.Sprintf(":%d", port),
			"--metrics", fmt.Sprintf(":%d", metricsPort), "--runs", "cluster", "--auth", "kubernetes", "--audience", w.Name + "." + w.Namespace + ".svc",
		},
		Env:     s.env,
		EnvFrom: s.envFrom,
		Ports: []corev1.ContainerPort{
			{Name: "http", ContainerPort: port, Protocol: corev1.ProtocolTCP},
			{Name: "metrics", ContainerPort: metricsPort, Protocol: corev1.ProtocolTCP},
		},
		ReadinessProbe:  probe("/readyz", 2, 3),
		LivenessProbe:   probe("/healthz", 10, 6),
		Resources:       resources(s.resources),
		SecurityContext: &s.security,
		VolumeMounts:    mounts,
	}
}

// stamped is the template of one revision.
func stamped(t corev1.PodTemplateSpec, name, revision string) corev1.PodTemplateSpec {
	t = *t.DeepCopy()
	if t.Annotations == nil {
		t.Annotations = map[string]string{}
	}
	t.Annotations[labels.Revision] = revision
	t.Spec.Volumes[0].ConfigMap.Name = configurationName(name, revision)
	return t
}

func configurationName(name, revision string) string { return name + "-" + revision }

// secretMounts are the Secrets that the agent reads at each use. They are
// optional, so that a pod starts and says what is missing when it is asked.
func secretMounts(w *work) []corev1.VolumeProjection {
	var out []corev1.VolumeProjection
	at := map[string]int{}
	for _, s := range w.references.secrets {
		i, ok := at[s.Name]
		if !ok {
			i = len(out)
			at[s.Name] = i
			out = append(out, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: s.Name}, Optional: new(true),
			}})
		}
		out[i].Secret.Items = append(out[i].Secret.Items, corev1.KeyToPath{Key: s.Key, Path: "secrets/" + s.Name + "/" + s.Key})
	}
	return out
}

// tokenMounts are tokens of the pod's ServiceAccount, one for each tool server
// that wants one and each agent.
func tokenMounts(w *work) []corev1.VolumeProjection {
	var out []corev1.VolumeProjection
	add := func(namespace, name, audience string) {
		out = append(out, corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
			Audience: audience, ExpirationSeconds: new(int64(tokenSeconds)), Path: fmt.Sprintf("tokens/%s.%s/token", namespace, name),
		}})
	}
	for _, s := range w.references.servers {
		if audience := s.Annotations[labels.Audience]; audience != "" {
			add(s.Namespace, s.Name, audience)
		}
	}
	for _, a := range w.references.agents {
		add(a.Namespace, a.Name, a.Name+"."+a.Namespace+".svc")
	}
	return out
}

func probe(path string, every, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}},
		PeriodSeconds: every, TimeoutSeconds: 5, FailureThreshold: failures,
	}
}

// resources are those that the owner wants, or what an agent does well with.
// The API server fills in requests from limits: so do we, to know them again.
func resources(wanted *corev1.ResourceRequirements) corev1.ResourceRequirements {
	if wanted == nil {
		return corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
		}
	}
	out := *wanted.DeepCopy()
	for name, limit := range out.Limits {
		if _, ok := out.Requests[name]; !ok {
			if out.Requests == nil {
				out.Requests = corev1.ResourceList{}
			}
			out.Requests[name] = limit
		}
	}
	return out
}

// imageFrom is the image from another registry.
func imageFrom(image, registry string) string {
	if registry == "" {
		return image
	}
	if first, rest, ok := strings.Cut(image, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		image = rest
	}
	return strings.TrimSuffix(registry, "/") + "/" + image
}

// serviceAccount is the name of the one that the agent's pods run as.
func serviceAccount(w *work) string {
	if name := w.settings.ServiceAccountName; name != nil && *name != "" {
		return *name
	}
	return w.Name
}
