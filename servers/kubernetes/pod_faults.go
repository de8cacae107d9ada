package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/podutils"
)

// faultKind classes what is wrong with a pod by what must be looked at next.
type faultKind int

const (
	faultCrash    faultKind = iota // a container ends when it should run
	faultPull                      // an image cannot be had
	faultConfig                    // the kubelet cannot make the container
	faultSchedule                  // no node takes it
	faultStart                     // on a node, not started
	faultReady                     // runs, but is not ready
	faultLeaving                   // deleted, still there
	faultEvicted                   // ended by the node or the control plane
	faultNode                      // its node does not answer
)

// Ages from which a state that every pod passes through is a fault.
const (
	slowStart = time.Minute
	slowEnd   = time.Minute
	// backOffReset is how long a container must run before the kubelet calls
	// its crashes over.
	backOffReset = 10 * time.Minute
)

// fault is one thing wrong with a pod, as its own status tells it.
type fault struct {
	severity  string
	kind      faultKind
	cause     string // short, and the same wherever the cause is the same
	what      string // in full, of this pod
	ending    string // what the exit code of a crash tells
	evidence  []string
	message   string // in the words of whoever reported it
	next      string
	container string
	restarts  int32
	since     time.Time
}

// podFaults reads what is wrong with a pod from its status alone, worst first.
func podFaults(p *corev1.Pod, now time.Time) []fault {
	switch {
	case p.DeletionTimestamp != nil:
		return leavingFaults(p, now)
	case p.Status.Phase == corev1.PodSucceeded:
		return nil
	case p.Status.Phase == corev1.PodFailed && p.Status.Reason != "":
		return []fault{evictedFault(p)}
	case p.Spec.NodeName == "":
		return unscheduledFaults(p, now)
	}
	faults := containerFaults(p, now)
	if len(faults) == 0 {
		faults = startFaults(p, now)
	}
	slices.SortStableFunc(faults, func(a, b fault) int {
		return cmp.Compare(severityRank(a.severity), severityRank(b.severity))
	})
	return faults
}

func leavingFaults(p *corev1.Pod, now time.Time) []fault {
	late := now.Sub(p.DeletionTimestamp.Time) // the deletion time includes the grace period
	if late < slowEnd {
		return nil
	}
	f := fault{
		severity: warning, kind: faultLeaving, cause: "stuck Terminating", since: p.DeletionTimestamp.Time,
		what: fmt.Sprintf("should have ended %s ago and is still there", age(p.DeletionTimestamp.Time, now)),
		next: "the kubelet of node " + cmp.Or(p.Spec.NodeName, "(none)") + " must confirm that the containers ended; k8s_diagnose of that node says whether it can",
	}
	if len(p.Finalizers) > 0 {
		f.evidence = []string{"finalizers that hold it: " + some(p.Finalizers, 5)}
		f.next = "whoever owns the finalizers must remove them"
	}
	return []fault{f}
}

// evictedFault is a pod that something other than its containers ended.
func evictedFault(p *corev1.Pod) fault {
	f := fault{
		severity: warning, kind: faultEvicted, cause: p.Status.Reason, message: p.Status.Message,
		what: "was ended: " + p.Status.Reason,
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget || c.Type == corev1.PodReady {
			f.since = c.LastTransitionTime.Time
		}
	}
	return f
}

func unscheduledFaults(p *corev1.Pod, now time.Time) []fault {
	f := fault{severity: critical, kind: faultSchedule, since: p.CreationTimestamp.Time}
	c := podCondition(p, corev1.PodScheduled)
	switch {
	case c != nil && c.Reason == corev1.PodReasonSchedulingGated:
		var gates []string
		for _, g := range p.Spec.SchedulingGates {
			gates = append(gates, g.Name)
		}
		f.severity, f.cause = warning, "held by scheduling gates"
		f.what = "is held by scheduling gates: " + some(gates, 5)
		f.next = "whoever set the gates must lift them"
	case c != nil && c.Status == corev1.ConditionFalse:
		f.cause = "unschedulable: " + schedulingCause(c.Message)
		f.what = "cannot be scheduled: " + schedulingCause(c.Message)
		f.message, f.since = c.Message, c.LastTransitionTime.Time
	case now.Sub(p.CreationTimestamp.Time) < slowStart:
		return nil
	default:
		f.cause = "no scheduler has looked at it"
		f.what = fmt.Sprintf("waits since %s for scheduler %q, which has not looked at it", age(p.CreationTimestamp.Time, now), p.Spec.SchedulerName)
		f.next = "a scheduler of that name must run"
	}
	return []fault{f}
}

// startFaults is what keeps a pod whose containers show no fault from being ready.
func startFaults(p *corev1.Pod, now time.Time) []fault {
	ready := podCondition(p, corev1.PodReady)
	if podutils.IsPodReady(p) || p.Status.Phase == corev1.PodFailed {
		return nil
	}
	f := fault{severity: warning, kind: faultStart, since: p.CreationTimestamp.Time}
	if c := podCondition(p, corev1.PodScheduled); c != nil {
		f.since = c.LastTransitionTime.Time
	}
	switch {
	case p.Status.Phase == corev1.PodPending && now.Sub(f.since) < slowStart:
		f.severity, f.cause = info, "starting"
		f.what = "is being started since " + age(f.since, now)
	case p.Status.Phase == corev1.PodPending:
		f.cause = "stuck in ContainerCreating"
		f.what = fmt.Sprintf("is on node %s since %s and has not started", p.Spec.NodeName, age(f.since, now))
	case ready != nil && ready.Reason == "ReadinessGatesNotReady":
		f.kind, f.cause, f.since, f.message = faultReady, "readiness gates not met", ready.LastTransitionTime.Time, ready.Message
		f.what = "waits for its readiness gates"
	case ready != nil && ready.Status == corev1.ConditionFalse && ready.Reason == "":
		f.severity, f.kind, f.cause, f.since = critical, faultNode, "its node does not answer", ready.LastTransitionTime.Time
		f.what = fmt.Sprintf("is marked not ready since its node %s does not answer", p.Spec.NodeName)
		f.next = "k8s_diagnose of node " + p.Spec.NodeName
	default:
		return nil
	}
	return []fault{f}
}

func podCondition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}
