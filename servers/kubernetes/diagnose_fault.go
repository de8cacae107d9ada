package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// subject is a fault to look into: on one pod, or on the many it stands for.
type subject struct {
	fault
	pod  *corev1.Pod
	refs []reference
	who  string // "2 of 3 pods: ", empty for a single pod
	name string // of the pods, where there are many
}

// object names the pod as its events do.
func (s subject) object() string { return "Pod/" + s.pod.Name }

// judge turns a fault into a finding, with what events, logs, references and
// nodes tell of it.
func (d *diagnosis) judge(ctx context.Context, s subject) {
	f := Finding{Severity: s.severity, What: s.who + s.what, Evidence: s.evidence, Next: s.next}
	switch s.kind {
	case faultCrash:
		d.judgeCrash(ctx, s, &f)
	case faultPull:
		d.judgePull(s, &f)
	case faultConfig, faultStart:
		d.judgeCreation(s, &f)
	case faultSchedule:
		d.judgeScheduling(ctx, s, &f)
	case faultReady:
		d.judgeUnready(ctx, s, &f)
	default:
		f.Evidence = append(f.Evidence, lines(abridge(s.message, 300))...)
	}
	if s.name != "" {
		f.Evidence = append(f.Evidence, "pods: "+s.name)
	}
	d.findings = append(d.findings, f)
}

// judgeCrash tells crashes that a probe caused from those of the program's own
// making, and reads what the program said last.
func (d *diagnosis) judgeCrash(ctx context.Context, s subject, f *Finding) {
	if s.cause == "container cannot start" {
		d.events.tell(s.object(), "Failed", "BackOff")
		f.Evidence = append(f.Evidence, commandOf(s.pod, s.container))
		return
	}
	if t := lastEnd(containerStatus(s.pod, s.container)); t != nil {
		line := fmt.Sprintf("ended %s ago after running %s", age(t.FinishedAt.Time, d.now), age(t.StartedAt.Time, t.FinishedAt.Time))
		f.Evidence = slices.Insert(f.Evidence, 0, strings.TrimSuffix(line+": "+s.ending, ": "))
	}
	if s.message != "" {
		f.Evidence = append(f.Evidence, "termination message: "+abridge(lastLine(s.message), 300))
	}
	for _, probe := range []string{"Liveness", "Startup"} {
		if e := d.events.find(s.object(), probe+" probe failed", "Unhealthy"); e != nil && e.part == s.container {
			f.What = fmt.Sprintf("%scontainer %s is restarted because its %s probe fails, %s", s.who, s.container, strings.ToLower(probe), plural(int(s.restarts), "restart"))
			f.Evidence = []string{fmt.Sprintf("the kubelet stopped it last %s ago", age(s.since, d.now)), d.events.quote(e), probeOf(s.pod, s.container, probe)}
			f.Next = "the probe must match what the program serves, or the program must answer in time"
		}
	}
	d.events.tell(s.object(), "BackOff", "Killing")
	d.quoteLog(ctx, s, f)
}

// quoteLog adds the most telling of the last lines of a container's log to the
// evidence, and its end to the answer.
func (d *diagnosis) quoteLog(ctx context.Context, s subject, f *Finding) {
	status := containerStatus(s.pod, s.container)
	previous := s.kind == faultCrash && status != nil && status.State.Running != nil
	tail, err := d.logEnd(ctx, s.pod, s.container, previous)
	of := s.pod.Name + "/" + s.container
	if previous {
		of += ", of the container before"
	}
	switch {
	case err != nil:
		d.missedOut("log of "+of, err)
	case len(tail) == 0:
		f.Evidence = append(f.Evidence, "its log is empty")
	default:
		f.Evidence = append(f.Evidence, "log: "+tellingLine(tail))
		f.Next = cmp.Or(f.Next, "the log is the program's own account; k8s_get_pod_logs has more of it")
		if len(tail) > 1 {
			d.logs = append(d.logs, LogTail{Of: of, Lines: strings.Join(tail, "\n")})
		}
	}
}

// lastEnd is how a container ended last, nil when it never did.
func lastEnd(s *corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	switch {
	case s == nil:
		return nil
	case s.State.Terminated != nil:
		return s.State.Terminated
	}
	return s.LastTerminationState.Terminated
}

func (d *diagnosis) judgePull(s subject, f *Finding) {
	message := s.message
	if e := d.events.find(s.object(), "Failed to pull image", "Failed"); e != nil {
		d.events.told[e.eventKey] = true
		if pullReason("", message) == "" {
			message = pullChain.ReplaceAllString(strings.TrimPrefix(e.latest, "Failed to pull image "), "")
			f.What = strings.TrimSuffix(f.What+": "+pullReason("", e.latest), ": ")
		}
	}
	d.events.tell(s.object(), "Failed", "BackOff")
	f.Evidence = append(f.Evidence, "kubelet: "+abridge(message, 300))
	f.Next = "the image name and tag must be one the registry has, or the registry must be reachable from the node"
	if strings.Contains(s.cause, "refuses access") {
		var secrets []string
		for _, r := range s.pod.Spec.ImagePullSecrets {
			secrets = append(secrets, r.Name)
		}
		f.Evidence = append(f.Evidence, "imagePullSecrets of the pod: "+orNone(strings.Join(secrets, ", ")))
		f.Next = "the pod needs an imagePullSecret that the registry accepts, its own or its ServiceAccount's"
	}
}

// judgeEarlyPull tells of a pull whose failure the events know before the pod's
// status does.
func (d *diagnosis) judgeEarlyPull(s subject, pull *eventGroup, f *Finding) {
	c := containerSpec(s.pod, pull.part)
	if c == nil {
		c = &s.pod.Spec.Containers[0]
	}
	waits := waitingFault(s.pod, c, &corev1.ContainerStatus{State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: pull.latest},
	}}, false)
	s.fault = *waits
	f.Severity, f.What = waits.severity, s.who+waits.what
	d.judgePull(s, f)
}

// judgeCreation finds why the kubelet cannot make a container: a reference that
// leads nowhere, a volume that cannot be mounted, a network that fails.
func (d *diagnosis) judgeCreation(s subject, f *Finding) {
	if pull := d.events.find(s.object(), "Failed to pull image", "Failed"); pull != nil && s.kind == faultStart && d.now.Sub(pull.last) < slowStart {
		d.judgeEarlyPull(s, pull, f)
		return
	}
	if name := missingSecret.FindStringSubmatch(s.message + " " + d.mountMessage(s)); name != nil {
		secretMissing(s.refs, cmp.Or(name[1], name[3]), name[2])
	}
	for i := range s.refs {
		if r := &s.refs[i]; r.problem != "" && !r.optional {
			r.told = true
			f.Severity = critical
			f.What = fmt.Sprintf("%scannot start: %s", s.who, r.problem)
			f.Evidence = append(f.Evidence, "used as "+some(r.uses, 4))
			f.Next = r.remedy()
		}
	}
	if s.message != "" && !strings.Contains(f.What, s.message) {
		f.Evidence = append(f.Evidence, "kubelet: "+abridge(s.message, 300))
	}
	for _, e := range d.events.about(s.object()) {
		next, known := creationNext[e.reason]
		if !known || d.events.told[e.eventKey] || s.kind == faultConfig && e.reason != "FailedMount" && e.reason != "Failed" {
			continue
		}
		f.Severity = critical
		if f.Next == "" {
			f.Next = next
			f.What = s.who + creationWhat(e)
		}
		line := d.events.quote(e)
		if !strings.Contains(f.What, e.latest) && !(s.kind == faultConfig && strings.Contains(e.latest, s.message)) {
			f.Evidence = append(f.Evidence, line)
		}
	}
}

// missingSecret is how the kubelet names a Secret, or a key of one, that is not
// there; we never look for ourselves.
var missingSecret = regexp.MustCompile(`secret "([^"]+)" not found|couldn't find key (\S+) in Secret [^/ ]+/(\S+)`)

// mountMessage is what the kubelet says of a volume it cannot mount.
func (d *diagnosis) mountMessage(s subject) string {
	if e := d.events.find(s.object(), "", "FailedMount"); e != nil {
		return e.latest
	}
	return ""
}

// secretMissing notes with the references to a Secret what the kubelet says of it.
func secretMissing(refs []reference, name, key string) {
	for i := range refs {
		if r := &refs[i]; r.kind == "Secret" && r.name == name {
			r.problem = fmt.Sprintf("Secret %q does not exist, says the kubelet", name)
			if key != "" {
				r.problem = fmt.Sprintf("Secret %q has no key %q, says the kubelet", name, key)
			}
		}
	}
}

// creationNext are the events that tell why a pod on a node does not start, and
// what settles each.
var creationNext = map[string]string{
	"FailedMount":            "the volume must be there and mountable; where it is a ConfigMap, Secret or PVC, it must exist",
	"FailedAttachVolume":     "the volume must be free to attach to this node",
	"FailedMapVolume":        "the volume must be mountable as a block device",
	"FailedCreatePodSandBox": "the node's network plugin or runtime must make the pod's sandbox; k8s_diagnose of the node looks closer",
	"NetworkNotReady":        "the node's network plugin must be ready",
	"Failed":                 "what the kubelet names must be put right",
	"FailedPreStopHook":      "the container's hook must succeed",
	"FailedPostStartHook":    "the container's hook must succeed",
}

func creationWhat(e *eventGroup) string {
	what := "cannot start: "
	switch e.reason {
	case "FailedMount", "FailedMapVolume":
		what = "a volume cannot be mounted: "
	case "FailedAttachVolume":
		what = "a volume cannot be attached: "
	case "FailedCreatePodSandBox", "NetworkNotReady":
		what = "the pod's network cannot be made: "
	}
	return what + abridge(strings.TrimPrefix(e.latest, "Error: "), 250)
}

// judgeUnready quotes the probe that keeps a running container from being ready.
func (d *diagnosis) judgeUnready(ctx context.Context, s subject, f *Finding) {
	for _, probe := range []string{"Startup", "Readiness"} {
		e := d.events.find(s.object(), probe+" probe", "Unhealthy")
		if e == nil || e.part != s.container {
			continue
		}
		f.Severity = critical
		f.What = fmt.Sprintf("%scontainer %s runs but is not ready: its %s probe fails", s.who, s.container, strings.ToLower(probe))
		f.Evidence = append(f.Evidence, d.events.quote(e), probeOf(s.pod, s.container, probe))
		f.Next = "the program must answer the probe, or the probe must ask what the program serves"
	}
	f.Evidence = append(f.Evidence, lines(abridge(s.message, 300))...)
	if s.container != "" {
		d.quoteLog(ctx, s, f)
	}
}

// probeOf writes a probe as it is configured, with the container's ports.
func probeOf(p *corev1.Pod, container, which string) string {
	c := containerSpec(p, container)
	if c == nil {
		return ""
	}
	probe := map[string]*corev1.Probe{"Liveness": c.LivenessProbe, "Readiness": c.ReadinessProbe, "Startup": c.StartupProbe}[which]
	if probe == nil {
		return "the pod has no such probe now"
	}
	asks := "?"
	switch {
	case probe.HTTPGet != nil:
		asks = fmt.Sprintf("GET %s on port %s", probe.HTTPGet.Path, probe.HTTPGet.Port.String())
	case probe.TCPSocket != nil:
		asks = "TCP on port " + probe.TCPSocket.Port.String()
	case probe.GRPC != nil:
		asks = fmt.Sprintf("gRPC on port %d", probe.GRPC.Port)
	case probe.Exec != nil:
		asks = "exec " + abridge(strings.Join(probe.Exec.Command, " "), 120)
	}
	var ports []string
	for _, port := range c.Ports {
		ports = append(ports, strings.TrimPrefix(port.Name+" ", " ")+strconv.Itoa(int(port.ContainerPort)))
	}
	return fmt.Sprintf("%s probe: %s every %ds, timeout %ds, delay %ds, fails after %d; ports the container declares: %s",
		strings.ToLower(which), asks, probe.PeriodSeconds, probe.TimeoutSeconds, probe.InitialDelaySeconds, probe.FailureThreshold, orNone(strings.Join(ports, ", ")))
}

func containerSpec(p *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

func commandOf(p *corev1.Pod, container string) string {
	c := containerSpec(p, container)
	if c == nil {
		return ""
	}
	return "command: " + orNone(abridge(strings.Join(append(c.Command, c.Args...), " "), 200)) + "; image: " + c.Image
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
