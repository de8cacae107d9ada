package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// workloadReads is what finding a workload and its pods takes.
var workloadReads = []mcpkit.Rule{
	readRule("", "pods", "replicationcontrollers"),
	readRule("apps", "daemonsets", "deployments", "replicasets", "statefulsets"),
	readRule("batch", "cronjobs", "jobs"),
}

// podRef reads how a caller names pods: "web-0" is one, "deployment/web" are
// those of a workload.
func podRef(name, namespace string) Ref {
	if t, n, ok := strings.Cut(name, "/"); ok {
		return Ref{ResourceType: t, ResourceName: n, Namespace: namespace}
	}
	return Ref{ResourceType: "pods", ResourceName: name, Namespace: namespace}
}

// podsOf gives do each pod that ref stands for: the pod itself, or those a
// workload's selector picks. It holds one page of them at a time.
func (b *Backend) podsOf(ctx context.Context, ref Ref, do func(*corev1.Pod)) error {
	if ref.ResourceName == "" || strings.Contains(ref.ResourceName, "/") {
		return mcpkit.Errorf(mcpkit.Invalid, "write a pod's name, or a workload such as deployment/web")
	}
	if t, err := b.resolve(ctx, ref.ResourceType); err == nil && t.Resource == "secrets" && t.Group == "" {
		return mcpkit.Errorf(mcpkit.Invalid, "a Secret selects no pods, so it is not looked at; name a pod, or a workload such as deployment/web")
	}
	obj, t, err := b.get(ctx, ref)
	if err != nil {
		return err
	}
	if t.Resource == "pods" && t.Group == "" {
		var pod corev1.Pod
		if err := into(obj, &pod); err != nil {
			return err
		}
		do(&pod)
		return nil
	}
	if t.Resource == "cronjobs" && t.Group == "batch" {
		if obj, err = b.newestJob(ctx, obj); err != nil {
			return err
		}
	}
	selector, err := selectorOf(obj)
	if err != nil {
		return err
	}
	return b.eachPod(ctx, obj.GetNamespace(), metav1.ListOptions{LabelSelector: selector.String()}, do)
}

// eachPod gives do every pod of a selection, page by page.
func (b *Backend) eachPod(ctx context.Context, namespace string, o metav1.ListOptions, do func(*corev1.Pod)) error {
	c, err := b.open()
	if err != nil {
		return err
	}
	return translate(each(ctx, c.typed.CoreV1().Pods(namespace).List, o, do), "list "+named("pods", namespace, ""))
}

// newestJob is the job a cron job started last.
func (b *Backend) newestJob(ctx context.Context, cron *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	jobs, err := b.resolve(ctx, "jobs.batch")
	if err != nil {
		return nil, err
	}
	var newest *unstructured.Unstructured
	err = each(ctx, c.in(jobs, cron.GetNamespace()).List, metav1.ListOptions{}, func(job *unstructured.Unstructured) {
		created := job.GetCreationTimestamp()
		if metav1.IsControlledBy(job, cron) && (newest == nil || created.After(newest.GetCreationTimestamp().Time)) {
			newest = job.DeepCopy()
		}
	})
	if err != nil {
		return nil, translate(err, "list "+named("jobs", cron.GetNamespace(), ""))
	}
	if newest == nil {
		return nil, mcpkit.Errorf(mcpkit.NotFound, "%s has no job now, so there are no pods", named("cronjob", cron.GetNamespace(), cron.GetName()))
	}
	return newest, nil
}

// selectorOf picks the pods of any object that selects pods: a workload, a
// service, or a custom resource with a scale.
func selectorOf(o *unstructured.Unstructured) (labels.Selector, error) {
	spec, found, _ := unstructured.NestedMap(o.Object, "spec", "selector")
	_, byLabels := spec["matchLabels"]
	_, byTerms := spec["matchExpressions"]
	switch {
	case byLabels || byTerms:
		var s metav1.LabelSelector
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &s); err != nil {
			return nil, fmt.Errorf("selector of %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		return metav1.LabelSelectorAsSelector(&s)
	case found && len(spec) > 0:
		plain, _, err := unstructured.NestedStringMap(o.Object, "spec", "selector")
		if err == nil {
			return labels.SelectorFromSet(plain), nil
		}
	case text(o, "status", "selector") != "":
		return labels.Parse(text(o, "status", "selector"))
	}
	return nil, mcpkit.Errorf(mcpkit.Invalid, "%s selects no pods; name a pod, or a workload such as deployment/web", named(o.GetKind(), o.GetNamespace(), o.GetName()))
}

// into converts an object to its Go type.
func into(o *unstructured.Unstructured, typed any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, typed); err != nil {
		return fmt.Errorf("read %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// containerStatus is the status of a container of any kind, nil when the
// kubelet has not reported it.
func containerStatus(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		if i := slices.IndexFunc(list, func(s corev1.ContainerStatus) bool { return s.Name == name }); i >= 0 {
			return &list[i]
		}
	}
	return nil
}

// trouble says in one line what is wrong with a container, empty when it runs
// and never failed.
func trouble(s *corev1.ContainerStatus, now time.Time) string {
	var parts []string
	if w := s.State.Waiting; w != nil {
		parts = append(parts, "waiting: "+brief(w.Reason, w.Message))
	}
	if t := s.State.Terminated; t != nil && (t.ExitCode != 0 || t.Signal != 0) {
		parts = append(parts, "ended: "+ending(t, now))
	}
	if s.RestartCount > 0 {
		restarted := fmt.Sprintf("restarted %d times", s.RestartCount)
		if t := s.LastTerminationState.Terminated; t != nil {
			restarted += ", last " + ending(t, now)
		}
		parts = append(parts, restarted)
	}
	return strings.Join(parts, "; ")
}

func ending(t *corev1.ContainerStateTerminated, now time.Time) string {
	out := fmt.Sprintf("exit %d", t.ExitCode)
	if t.Signal != 0 {
		out += fmt.Sprintf(" by signal %d", t.Signal)
	}
	return out + " (" + brief(t.Reason, t.Message) + ") " + age(t.FinishedAt.Time, now) + " ago"
}

// brief joins a reason and its message, the message cut to what tells.
func brief(reason, message string) string {
	reason, message = cmp.Or(reason, "no reason given"), strings.TrimSpace(message)
	if reason == "CrashLoopBackOff" { // what follows names the pod and container again
		message, _, _ = strings.Cut(message, " restarting failed container")
	}
	if message == "" {
		return reason
	}
	return reason + ": " + abridge(message, 240)
}

// abridge shortens a text to about n bytes, keeping both ends: errors say first
// what was tried and last what went wrong. Secrets go before the cut, which
// could part one from the key that gives it away; the fingerprints of a text
// that had to be cut are its own.
func abridge(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = withoutSecrets(context.Background(), s)
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n/2], "") + " … " + strings.ToValidUTF8(s[len(s)-n/2:], "")
}

// withoutSecrets is a text as the answer would show it.
func withoutSecrets(ctx context.Context, s string) string {
	out, _ := mcpkit.Redact(ctx, mcpkit.Object{"text": s})["text"].(string)
	return out
}

// age is how long ago a time was, as kubectl writes it.
func age(at, now time.Time) string {
	if at.IsZero() {
		return "unknown"
	}
	return duration.HumanDuration(now.Sub(at))
}

// grouped gathers who the same is true of, in the order it was found.
type grouped struct {
	order []string
	who   map[string][]string
}

func (g *grouped) add(what, who string) {
	if g.who == nil {
		g.who = map[string][]string{}
	}
	if g.who[what] == nil {
		g.order = append(g.order, what)
	}
	g.who[what] = append(g.who[what], who)
}

// lines says each thing once: "web-1/app, web-2/app and 3 more: restarted".
func (g *grouped) lines() []string {
	var out []string
	for _, what := range g.order {
		out = append(out, some(g.who[what], 3)+": "+what)
	}
	return out
}

// some lists the first n names and how many more there are.
func some(names []string, n int) string {
	return strings.Join(names[:min(n, len(names))], ", ") + more(len(names)-n)
}
