package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
)

var getPodLogs = mcpkit.Tool{
	Name:        "k8s_get_pod_logs",
	Title:       "Read the logs of a pod or workload",
	Description: "Newest log lines of a pod or of a workload's pods, by time, like lines folded. Why something is broken: k8s_diagnose.",
	Narrow:      "earlier lines: narrow with since, grep or container, or raise tail_lines",
	Rules:       append([]mcpkit.Rule{{Groups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}}}, workloadReads...),
}

type GetPodLogsIn struct {
	PodName   string      `json:"pod_name" jsonschema:"pod, or workload: deployment/web"`
	Namespace string      `json:"namespace,omitempty" jsonschema:"default if absent"`
	Container string      `json:"container,omitempty" jsonschema:"* for all"`
	Previous  bool        `json:"previous,omitempty" jsonschema:"before the last restart"`
	Since     mcpkit.When `json:"since,omitzero" jsonschema:"15m, or RFC 3339"`
	TailLines int         `json:"tail_lines,omitempty" jsonschema:"most lines; 50 if absent"`
	Grep      string      `json:"grep,omitempty" jsonschema:"RE2, over the whole log"`
}

func (GetPodLogsIn) Constrain(p mcpkit.Properties) {
	p["tail_lines"].Minimum, p["tail_lines"].Maximum = new(1.0), new(1000.0)
}

type GetPodLogsOut struct {
	mcpkit.Left
	Notes    []string `json:"notes,omitempty" jsonschema:"what is wrong with the containers, and what could not be read"`
	Sources  []string `json:"sources,omitempty" jsonschema:"the containers read, each with its mark in the log when there are several"`
	Searched int64    `json:"lines_searched" jsonschema:"how many lines were read to find these"`
	From     string   `json:"from,omitempty" jsonschema:"time of the first line shown"`
	To       string   `json:"to,omitempty"`
	Log      string   `json:"log" jsonschema:"lines by time; (xN) is that line N times"`
}

// KeepTail has the budget cut the oldest lines.
func (GetPodLogsOut) KeepTail() []string { return []string{"log"} }

const (
	logPods     = 10 // read at most, the troubled and the newest first
	logStreams  = 6  // at once
	logDeadline = 45 * time.Second
)

func (b *Backend) getPodLogs(ctx context.Context, in GetPodLogsIn) (GetPodLogsOut, error) {
	grep, err := parseGrep(in.Grep)
	if err != nil {
		return GetPodLogsOut{}, err
	}
	r := &logReading{b: b, in: in, grep: grep, now: b.now(), lines: cmp.Or(in.TailLines, 50)}
	if err := r.choose(ctx); err != nil {
		return GetPodLogsOut{}, err
	}
	if err := r.read(ctx); err != nil {
		return GetPodLogsOut{}, err
	}
	return r.answer(ctx), nil
}

func parseGrep(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "grep is not a regular expression (RE2): %w; put a backslash before characters meant literally", err)
	}
	return re, nil
}

// logReading is one call on its way: which containers, then what they said.
type logReading struct {
	b       *Backend
	in      GetPodLogsIn
	grep    *regexp.Regexp
	now     time.Time
	lines   int
	sources []*logSource
	notes   []string
	states  grouped // notes that several containers share
}

// logSource is one container's log.
type logSource struct {
	pod       *corev1.Pod
	container string
	mark      string // what its lines begin with when there are several sources
	tail      *logTail
	err       error
	stopped   bool   // by the deadline
	silent    string // what it wrote before since, when it wrote nothing after
}

// choose decides which pods and containers to read.
func (r *logReading) choose(ctx context.Context) error {
	seen := 0
	var pods []*corev1.Pod
	err := r.b.podsOf(ctx, podRef(r.in.PodName, r.in.Namespace), func(pod *corev1.Pod) {
		seen++
		at, _ := slices.BinarySearchFunc(pods, pod, tellsMore)
		if at < logPods {
			pods = slices.Insert(pods, at, pod.DeepCopy())
			pods = pods[:min(len(pods), logPods)]
		}
	})
	if err != nil {
		return err
	}
	if seen == 0 {
		r.notes = append(r.notes, fmt.Sprintf("%s has no pods now; k8s_get_rollout and k8s_get_events say why", r.in.PodName))
	}
	if seen > logPods {
		r.notes = append(r.notes, fmt.Sprintf("read %d of %d pods, those in trouble and the newest first; name one pod to read another", logPods, seen))
	}
	for _, pod := range pods {
		if err := r.chooseContainers(pod); err != nil {
			return err
		}
	}
	r.mark()
	return nil
}

// tellsMore orders pods by what their logs may tell: the troubled first, then the newest.
func tellsMore(a, b *corev1.Pod) int {
	healthy := func(p *corev1.Pod) int {
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if s.State.Waiting != nil || s.State.Terminated != nil && s.State.Terminated.ExitCode != 0 || s.RestartCount > 0 {
				return 0
			}
		}
		return 1
	}
	return cmp.Or(healthy(a)-healthy(b), b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// chooseContainers adds the containers of pod that have something to read, and
// notes for the others.
func (r *logReading) chooseContainers(pod *corev1.Pod) error {
	names, err := logContainers(pod, r.in.Container)
	if err != nil {
		return err
	}
	if len(pod.Status.ContainerStatuses)+len(pod.Status.InitContainerStatuses) == 0 {
		r.notes = append(r.notes, fmt.Sprintf("pod %s has not started: %s", pod.Name, notStarted(pod)))
		return nil
	}
	if r.in.Container == "" && len(names) == 1 && len(pod.Spec.Containers) > 1 {
		r.notes = append(r.notes, fmt.Sprintf("pod %s: read its default container alone; container=* reads all", pod.Name))
	}
	for _, name := range names {
		note, readable := r.logState(containerStatus(pod, name))
		if note != "" {
			r.states.add(note, pod.Name+"/"+name)
		}
		if readable {
			r.sources = append(r.sources, &logSource{pod: pod, container: name})
		}
	}
	return nil
}

// logContainers are the containers of a pod that an argument means.
func logContainers(pod *corev1.Pod, asked string) ([]string, error) {
	var names, started []string
	initialized := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodInitialized && c.Status == corev1.ConditionTrue
	})
	for _, c := range pod.Spec.InitContainers {
		names = append(names, c.Name)
		if !initialized || c.RestartPolicy != nil { // afterwards only sidecars go on
			started = append(started, c.Name)
		}
	}
	for _, c := range pod.Spec.Containers {
		names, started = append(names, c.Name), append(started, c.Name)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		names = append(names, c.Name)
	}
	main := pod.Annotations["kubectl.kubernetes.io/default-container"]
	switch {
	case asked == "*":
		return names, nil
	case slices.Contains(names, asked):
		return []string{asked}, nil
	case asked != "":
		return nil, mcpkit.Errorf(mcpkit.NotFound, "pod %q in namespace %q has no container %q; it has %s", pod.Name, pod.Namespace, asked, strings.Join(names, ", "))
	case initialized && slices.Contains(started, main):
		return []string{main}, nil
	}
	return started, nil
}

// logState says what is worth knowing about a container besides its log, and
// whether it has one.
func (r *logReading) logState(s *corev1.ContainerStatus) (note string, readable bool) {
	switch {
	case s == nil:
		return "not started", false
	case r.in.Previous && s.LastTerminationState.Terminated == nil:
		return "no previous container, it has not restarted", false
	case r.in.Previous:
		return "ended before: " + ending(s.LastTerminationState.Terminated, r.now), true
	case s.State.Waiting != nil && s.ContainerID == "" && s.LastTerminationState.Terminated == nil:
		return "no log, " + trouble(s, r.now), false
	}
	note = trouble(s, r.now)
	if s.LastTerminationState.Terminated != nil && s.State.Running != nil {
		note += "; previous=true reads the log before that"
	}
	return note, true
}

// notStarted is why a pod has no container status yet.
func notStarted(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "not scheduled: " + brief(c.Reason, c.Message)
		}
	}
	if pod.Status.Reason != "" {
		return brief(pod.Status.Reason, pod.Status.Message)
	}
	return fmt.Sprintf("phase %s, node %s has not reported on it", pod.Status.Phase, cmp.Or(pod.Spec.NodeName, "(none)"))
}

// mark gives each source the shortest name that tells it from the others: pods
// of one workload differ in the end of their names alone.
func (r *logReading) mark() {
	if len(r.sources) < 2 {
		return
	}
	pods, containers := map[string]bool{}, map[string]bool{}
	for _, s := range r.sources {
		pods[s.pod.Name], containers[s.container] = true, true
	}
	for _, s := range r.sources {
		parts := []string{}
		if len(pods) > 1 {
			parts = append(parts, s.pod.Name[strings.LastIndexByte(s.pod.Name, '-')+1:])
		}
		if len(containers) > 1 {
			parts = append(parts, s.container)
		}
		s.mark = strings.Join(parts, "/")
	}
}

// read streams every source, a few at a time.
func (r *logReading) read(ctx context.Context) error {
	c, err := r.b.open()
	if err != nil {
		return err
	}
	reading, cancel := answerWithin(ctx, logDeadline)
	defer cancel()
	steps := make([]func(context.Context) error, len(r.sources))
	for i, s := range r.sources {
		steps[i] = func(context.Context) error {
			s.tail = newLogTail(r.lines)
			s.err = r.stream(reading, c, s, r.options(s))
			if s.err == nil && s.tail.searched == 0 && !r.in.Since.IsZero() {
				s.silent = r.newest(reading, c, s)
			}
			s.stopped = errors.Is(s.err, context.DeadlineExceeded) && ctx.Err() == nil && s.tail.searched > 0
			return nil
		}
	}
	_ = mcpkit.Together(ctx, logStreams, steps...) // each source keeps its own error
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.failures()
}

// failures turns what went wrong into notes, and into an error when no log could be read at all.
func (r *logReading) failures() error {
	var first error
	failed := 0
	for _, s := range r.sources {
		switch {
		case s.stopped:
			r.notes = append(r.notes, fmt.Sprintf("%s/%s: stopped after %s and %d lines, its newest lines were not reached; narrow with since", s.pod.Name, s.container, logDeadline, s.tail.searched))
		case s.err != nil:
			failed++
			err := translate(s.err, fmt.Sprintf("read the log of container %q of %s", s.container, named("pod", s.pod.Namespace, s.pod.Name)))
			first = cmp.Or(first, err)
			r.notes = append(r.notes, err.Error())
		case s.silent != "":
			r.notes = append(r.notes, s.silent)
		}
	}
	if failed > 0 && failed == len(r.sources) {
		return first
	}
	return nil
}
