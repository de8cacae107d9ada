package kubernetes

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// containerFaults reads what is wrong with a pod's containers. While an init
// container fails, those after it only wait for it.
func containerFaults(p *corev1.Pod, now time.Time) []fault {
	var out []fault
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		sidecar := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		if f := containerFault(p, c, containerStatus(p, c.Name), !sidecar, now); f != nil {
			out = append(out, *f)
		}
	}
	if len(out) > 0 {
		return out
	}
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		if f := containerFault(p, c, containerStatus(p, c.Name), false, now); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

// containerFault is what is wrong with one container, nil when nothing is.
func containerFault(p *corev1.Pod, c *corev1.Container, s *corev1.ContainerStatus, init bool, now time.Time) *fault {
	if s == nil {
		return nil
	}
	last := s.LastTerminationState.Terminated
	switch {
	case s.State.Waiting != nil:
		return waitingFault(p, c, s, init)
	case s.State.Terminated != nil:
		if s.State.Terminated.ExitCode == 0 && (init || p.Spec.RestartPolicy != corev1.RestartPolicyAlways) {
			return nil
		}
		return crashFault(p, c, s, s.State.Terminated, init)
	case s.State.Running == nil:
		return nil
	case last != nil && now.Sub(last.FinishedAt.Time) < backOffReset && (s.RestartCount > 1 || !s.Ready):
		f := crashFault(p, c, s, last, init)
		f.evidence = append(f.evidence, fmt.Sprintf("restarted %s ago and runs again", age(s.State.Running.StartedAt.Time, now)))
		return f
	case init:
		return initRuns(c, s, now)
	case !s.Ready:
		return unreadyFault(c, s, now)
	case last != nil && now.Sub(last.FinishedAt.Time) < time.Hour:
		f := crashFault(p, c, s, last, init)
		f.severity, f.cause = warning, "restarted in the last hour, "+endingName(last)
		f.evidence = append(f.evidence, fmt.Sprintf("runs and is ready since %s", age(s.State.Running.StartedAt.Time, now)))
		return f
	}
	return nil
}

// waitingFault is what a container waits for, nil when it is only being made.
func waitingFault(p *corev1.Pod, c *corev1.Container, s *corev1.ContainerStatus, init bool) *fault {
	w, last := s.State.Waiting, s.LastTerminationState.Terminated
	f := &fault{severity: critical, container: c.Name, message: w.Message, restarts: s.RestartCount, since: p.CreationTimestamp.Time}
	switch w.Reason {
	case "ContainerCreating", "PodInitializing", "":
		return nil
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
		why := pullReason(w.Reason, w.Message)
		f.kind, f.cause = faultPull, "image cannot be pulled"
		f.what = fmt.Sprintf("image %q of container %s cannot be pulled", c.Image, c.Name)
		if why != "" {
			f.cause += ": " + why
			f.what += ": " + why
		}
		f.message = pullChain.ReplaceAllString(w.Message, "")
	case "CrashLoopBackOff":
		if last == nil {
			f.kind, f.cause, f.what = faultCrash, w.Reason, fmt.Sprintf("container %s keeps ending", c.Name)
			return f
		}
		return crashFault(p, c, s, last, init)
	default:
		if last != nil && last.Reason == "StartError" {
			return crashFault(p, c, s, last, init)
		}
		f.kind, f.cause = faultConfig, "container cannot be created: "+abridge(w.Message, 120)
		f.what = fmt.Sprintf("container %s cannot be created (%s): %s", c.Name, w.Reason, abridge(w.Message, 200))
	}
	return f
}

// crashFault is a container that ended, told by how it ended.
func crashFault(p *corev1.Pod, c *corev1.Container, s *corev1.ContainerStatus, t *corev1.ContainerStateTerminated, init bool) *fault {
	f := &fault{
		severity: critical, kind: faultCrash, container: c.Name, message: strings.TrimSpace(t.Message), restarts: s.RestartCount,
		since: cmp.Or(t.FinishedAt.Time, p.CreationTimestamp.Time),
	}
	name := "container " + c.Name
	if init {
		name = "init container " + c.Name
	}
	again := ""
	if s.RestartCount > 0 {
		again = ", " + plural(int(s.RestartCount), "restart")
	}
	switch {
	case t.Reason == "OOMKilled":
		f.cause = "OOMKilled"
		f.what = name + " is OOMKilled: it went over its memory limit of " + memoryLimit(c) + again
		f.next = "the container needs a higher memory limit, or the program must use less"
		if c.Resources.Limits.Memory().IsZero() {
			f.what = name + " is OOMKilled although it has no memory limit: its node ran out of memory" + again
		}
	case t.Reason == "StartError" || t.Reason == "ContainerCannotRun":
		f.cause = "container cannot start"
		f.what = name + " cannot start: " + startReason(t.Message) + again
		f.next = "the container's command, or its image, must change"
	default:
		f.cause = "crash loop, " + endingName(t)
		if s.RestartCount == 0 {
			f.cause = "crashed, " + endingName(t)
		}
		f.what = fmt.Sprintf("%s crashes: %s%s", name, endingName(t), again)
		f.ending = exitMeaning(t)
	}
	return f
}

func endingName(t *corev1.ContainerStateTerminated) string {
	if t.Reason == "OOMKilled" {
		return t.Reason
	}
	return fmt.Sprintf("exit %d", t.ExitCode)
}

func memoryLimit(c *corev1.Container) string { return c.Resources.Limits.Memory().String() }

// exitMeaning says what an exit code tells, and no more than it tells.
func exitMeaning(t *corev1.ContainerStateTerminated) string {
	switch code := t.ExitCode; {
	case code == 0:
		return "the program ended by itself without an error, but this container is meant to keep running"
	case code == 126:
		return "the command was found but cannot be executed (no permission, or not a program)"
	case code == 127:
		return "the shell found no such command"
	case code == 134:
		return "SIGABRT, the program aborted itself"
	case code == 137:
		return "SIGKILL from outside the program, not for its memory limit; the kubelet sends it when a container outlives its grace period"
	case code == 139:
		return "SIGSEGV, the program accessed memory it must not"
	case code == 143:
		return "SIGTERM from outside the program; the kubelet sends it to stop a container"
	case code == 255 && t.Reason == "Unknown":
		return "the kubelet lost track of it, as when a node restarts"
	case code > 128 && code < 160:
		return fmt.Sprintf("killed by signal %d", code-128)
	}
	return "the program ended itself with an error"
}

// startReason is the end of the runtime's chain of reasons.
func startReason(message string) string {
	if i := strings.LastIndex(message, "unable to start container process: "); i >= 0 {
		message = message[i+len("unable to start container process: "):]
	}
	return abridge(strings.TrimSuffix(strings.TrimSpace(message), ": unknown"), 200)
}

// pullChain is what runtimes wrap around the reason a pull failed.
var pullChain = regexp.MustCompile(`^Back-off pulling image "[^"]*": |^Failed to pull image "[^"]*": |ErrImagePull: |failed to pull and unpack image "[^"]*": |failed to resolve reference "[^"]*": |failed to do request: `)

// pullReason says in a few words why an image cannot be pulled, nothing when
// the message does not tell.
func pullReason(reason, message string) string {
	switch reason {
	case "ErrImageNeverPull":
		return "it is not on the node and imagePullPolicy is Never"
	case "InvalidImageName":
		return "the name is not valid"
	}
	text := strings.ToLower(message)
	for _, known := range []struct{ why, signs string }{
		{"the registry refuses access", "unauthorized|authentication required|access denied|403 forbidden|401|denied:|authorization failed"},
		{"the registry limits how often it is asked", "toomanyrequests|429|rate limit"},
		{"the registry has no such image or tag", "not found|manifest unknown|does not exist"},
		{"the registry's name does not resolve", "no such host|dial tcp: lookup|server misbehaving"},
		{"the registry's certificate is not trusted", "x509|certificate"},
		{"the image has no variant for the node's platform", "no match for platform"},
		{"the registry cannot be reached", "connection refused|i/o timeout|deadline exceeded|no route to host|connection reset|eof"},
		{"the node's disk is full", "no space left"},
	} {
		for sign := range strings.SplitSeq(known.signs, "|") {
			if strings.Contains(text, sign) {
				return known.why
			}
		}
	}
	return ""
}

func initRuns(c *corev1.Container, s *corev1.ContainerStatus, now time.Time) *fault {
	since := s.State.Running.StartedAt.Time
	f := &fault{
		severity: warning, kind: faultReady, container: c.Name, since: since,
		cause: "waits for an init container",
		what:  fmt.Sprintf("init container %s runs since %s; the pod's containers start when it ends", c.Name, age(since, now)),
	}
	if now.Sub(since) < slowStart {
		f.severity = info
	}
	return f
}

func unreadyFault(c *corev1.Container, s *corev1.ContainerStatus, now time.Time) *fault {
	since := s.State.Running.StartedAt.Time
	f := &fault{
		severity: critical, kind: faultReady, container: c.Name, since: since, restarts: s.RestartCount,
		cause: "runs but is not ready",
		what:  fmt.Sprintf("container %s runs since %s but is not ready", c.Name, age(since, now)),
	}
	if now.Sub(since) < slowStart {
		f.severity = warning
	}
	return f
}
