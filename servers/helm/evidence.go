package helm

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
)

// Bounds of what a failure shows.
const (
	blamedObjects = 5
	blamedPods    = 3
	logLines      = 15
	logLinesRead  = 200 // more than are shown, so that no secret is cut in two before it is found
	logBytes      = 256 << 10
	lineBytes     = 240
)

// quote adds the end of the log of a hook's pods to the evidence.
func (r *run) quote(info *resource.Info, what string) {
	if r.call.Err() != nil {
		return
	}
	pods, err := r.podsOf(info)
	if err != nil {
		r.evidence = append(r.evidence, "Its pods were not looked at: "+said(translate(err, "list pods")))
		return
	}
	if len(pods) == 0 {
		r.evidence = append(r.evidence, what+" has no pod")
	}
	for _, p := range pods[:min(1, len(pods))] {
		r.evidence = append(r.evidence, podFaults(p)...)
		for _, c := range p.Spec.Containers {
			r.evidence = append(r.evidence, r.logEnd(p, c.Name)...)
		}
	}
	r.evidence = append(r.evidence, r.warnings(info.Namespace, info.Name)...)
}

// podsOf are the pods of a Job or a workload, or the one pod, the newest first.
func (r *run) podsOf(info *resource.Info) ([]*corev1.Pod, error) {
	api := r.typed.CoreV1().Pods(info.Namespace)
	if kindOf(info) == "Pod" {
		p, err := api.Get(r.call, info.Name, metav1.GetOptions{})
		return []*corev1.Pod{p}, err
	}
	live, err := r.live(info)
	if err != nil {
		return nil, err
	}
	raw, found, _ := unstructured.NestedMap(live, "spec", "selector", "matchLabels")
	if !found {
		return nil, nil
	}
	labels := map[string]string{}
	for k, v := range raw {
		labels[k] = fmt.Sprint(v)
	}
	list, err := api.List(r.call, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: labels}), Limit: 100})
	if err != nil {
		return nil, err
	}
	var out []*corev1.Pod
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	slices.SortFunc(out, func(a, b *corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	return out, nil
}

// live reads an object under the call's own context: the run's may be over.
func (r *run) live(info *resource.Info) (map[string]any, error) {
	path := []string{"apis", info.Mapping.Resource.Group, info.Mapping.Resource.Version}
	if info.Mapping.Resource.Group == "" {
		path = []string{"api", info.Mapping.Resource.Version}
	}
	raw, err := r.typed.Discovery().RESTClient().Get().AbsPath(path...).Namespace(info.Namespace).
		Resource(info.Mapping.Resource.Resource).Name(info.Name).Do(r.call).Raw()
	if err != nil {
		return nil, err
	}
	var o unstructured.Unstructured
	return o.Object, o.UnmarshalJSON(raw)
}

// logEnd is the end of a container's log, redacted before it is cut.
func (r *run) logEnd(p *corev1.Pod, container string) []string {
	body, err := r.typed.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{
		Container: container, TailLines: new(int64(logLinesRead)), LimitBytes: new(int64(logBytes)),
	}).Stream(r.call)
	if err != nil {
		return nil // a container that never ran has none, and why is said elsewhere
	}
	defer body.Close()
	raw, _ := io.ReadAll(io.LimitReader(body, logBytes)) // what could be read is better than nothing
	text, _ := mcpkit.Redact(r.call, mcpkit.Object{"log": string(raw)})["log"].(string)
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	out := []string{fmt.Sprintf("The log of pod %s, container %s, ends:", p.Name, container)}
	for _, line := range lines[max(0, len(lines)-logLines):] {
		out = append(out, "  "+abridge(line, lineBytes))
	}
	return out
}

// blame adds to the evidence why objects are not ready.
func (r *run) blame(lagging kube.ResourceList) {
	if r.call.Err() != nil {
		return
	}
	for i, info := range lagging {
		if i == blamedObjects {
			r.evidence = append(r.evidence, fmt.Sprintf("%d more objects are not ready", len(lagging)-i))
			return
		}
		r.evidence = append(r.evidence, "Not ready: "+nameOf(info, r.w.Namespace))
		for _, line := range r.whyNot(info) {
			r.evidence = append(r.evidence, "  "+line)
		}
	}
}

func (r *run) whyNot(info *resource.Info) []string {
	live, err := r.live(info)
	if err != nil {
		return []string{said(translate(err, "get "+nameOf(info, r.w.Namespace)))}
	}
	out := complaints(live)
	pods, err := r.podsOf(info)
	if err != nil {
		return append(out, "its pods were not looked at: "+said(translate(err, "list pods")))
	}
	shown := 0
	for _, p := range pods {
		faults := podFaults(p)
		if len(faults) == 0 {
			continue
		}
		if shown++; shown > blamedPods {
			break
		}
		out = append(out, faults...)
		out = append(out, r.warnings(p.Namespace, p.Name)...)
	}
	return append(out, r.warnings(info.Namespace, info.Name)...)
}

// complaints are the conditions of a workload that tell of trouble.
func complaints(o map[string]any) []string {
	var out []string
	if phase, _, _ := unstructured.NestedString(o, "status", "phase"); phase != "" {
		out = append(out, "its phase is "+phase)
	}
	conditions, _, _ := unstructured.NestedSlice(o, "status", "conditions")
	for _, c := range conditions {
		c, _ := c.(map[string]any)
		if c["type"] == "ReplicaFailure" && c["status"] == "True" || c["type"] == "Progressing" && c["status"] == "False" {
			out = append(out, fmt.Sprintf("%v: %v", c["reason"], c["message"]))
		}
	}
	return out
}

// podFaults says why a pod is not ready; nothing if it is.
func podFaults(p *corev1.Pod) []string {
	var out []string
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			out = append(out, fmt.Sprintf("pod %s: not scheduled: %s", p.Name, abridge(oneLine(c.Message), lineBytes)))
		}
	}
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		var facts []string
		if w := s.State.Waiting; w != nil {
			facts = append(facts, strings.TrimSuffix("waiting: "+w.Reason+": "+abridge(oneLine(w.Message), lineBytes), ": "))
		}
		for _, t := range []*corev1.ContainerStateTerminated{s.State.Terminated, s.LastTerminationState.Terminated} {
			if t != nil && t.ExitCode != 0 {
				facts = append(facts, fmt.Sprintf("ended with exit code %d (%s)", t.ExitCode, t.Reason))
			}
		}
		if s.State.Running != nil && !s.Ready {
			facts = append(facts, "running, but not ready")
		}
		if s.RestartCount > 0 {
			facts = append(facts, plural(int(s.RestartCount), "restart"))
		}
		if len(facts) > 0 {
			out = append(out, fmt.Sprintf("pod %s, container %s: %s", p.Name, s.Name, strings.Join(facts, "; ")))
		}
	}
	return out
}

// warnings are the last warning events about an object.
func (r *run) warnings(namespace, name string) []string {
	list, err := r.typed.CoreV1().Events(namespace).List(r.call, metav1.ListOptions{
		FieldSelector: "type=Warning,involvedObject.name=" + name, Limit: 50,
	})
	if err != nil {
		return nil // events are a help, not a need
	}
	slices.SortFunc(list.Items, func(a, b corev1.Event) int { return b.LastTimestamp.Compare(a.LastTimestamp.Time) })
	var out []string
	for _, e := range list.Items {
		line := fmt.Sprintf("event on %s %s: %s: %s", strings.ToLower(e.InvolvedObject.Kind), name, e.Reason, abridge(oneLine(e.Message), lineBytes))
		if len(out) < 2 && !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}
