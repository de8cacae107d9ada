package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/deployment"
)

// workloadStates are the workloads that are not as they should be, by object.
type workloadStates struct {
	mu    sync.Mutex
	short map[string]workloadState
}

// workloadState is how far a workload is from what it should be, and what its
// own status gives as the reason.
type workloadState struct {
	available, desired int
	young              bool // has not had the time to come up
	cause, detail      string
}

func (s *workloadStates) add(object string, state workloadState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.short == nil {
		s.short = map[string]workloadState{}
	}
	s.short[object] = state
}

func (h *health) checkDeployments(ctx context.Context) {
	gather(ctx, &h.gathering, "deployments", h.c.typed.AppsV1().Deployments(h.ns).List, metav1.ListOptions{}, func(d *appsv1.Deployment) {
		state := workloadState{available: int(d.Status.AvailableReplicas), desired: replicas(d.Spec.Replicas), cause: "short of replicas"}
		state.young = !h.settled(d.CreationTimestamp)
		bad := state.available < state.desired
		if c := deployment.GetDeploymentCondition(d.Status, appsv1.DeploymentProgressing); c != nil && c.Reason == "ProgressDeadlineExceeded" {
			bad, state.cause, state.detail = true, "rollout stuck", c.Message
		}
		if c := deployment.GetDeploymentCondition(d.Status, appsv1.DeploymentReplicaFailure); c != nil && c.Status == corev1.ConditionTrue {
			bad, state.cause, state.detail = true, creationCause(c.Message), c.Message
		}
		if bad && state.desired > 0 {
			h.workloads.add(objectName("Deployment", d.Namespace, d.Name), state)
		}
	})
}

func (h *health) checkStatefulSets(ctx context.Context) {
	gather(ctx, &h.gathering, "statefulsets", h.c.typed.AppsV1().StatefulSets(h.ns).List, metav1.ListOptions{}, func(s *appsv1.StatefulSet) {
		state := workloadState{available: int(s.Status.AvailableReplicas), desired: replicas(s.Spec.Replicas), young: !h.settled(s.CreationTimestamp), cause: "short of replicas"}
		if state.available < state.desired {
			h.workloads.add(objectName("StatefulSet", s.Namespace, s.Name), state)
		}
	})
}

func (h *health) checkDaemonSets(ctx context.Context) {
	gather(ctx, &h.gathering, "daemonsets", h.c.typed.AppsV1().DaemonSets(h.ns).List, metav1.ListOptions{}, func(s *appsv1.DaemonSet) {
		state := workloadState{available: int(s.Status.NumberAvailable), desired: int(s.Status.DesiredNumberScheduled), young: !h.settled(s.CreationTimestamp), cause: "short of replicas"}
		if state.available < state.desired {
			h.workloads.add(objectName("DaemonSet", s.Namespace, s.Name), state)
		}
	})
}

// controllersAct is how long controllers take to act on a new object.
const controllersAct = 5 * time.Second

// acted reports whether controllers had the time to act on a new object.
func (h *health) acted(created metav1.Time) bool { return h.now.Sub(created.Time) > controllersAct }

// settled reports whether an object had the time to come up.
func (h *health) settled(created metav1.Time) bool { return h.now.Sub(created.Time) > slowStart }

// creationCause is why pods cannot be created, without names and numbers.
func creationCause(message string) string {
	for _, known := range []struct{ sign, cause string }{
		{"exceeded quota", "a quota is used up"},
		{"failed quota", "a quota demands requests or limits that are not set"},
		{"service account", "the ServiceAccount does not exist"},
		{"violates PodSecurity", "the pod security level forbids them"},
		{"failed calling webhook", "an admission webhook does not answer"},
		{"admission webhook", "an admission webhook refuses them"},
		{"usage per ", "they are outside the LimitRange"},
	} {
		if strings.Contains(message, known.sign) {
			return "pods cannot be created: " + known.cause
		}
	}
	return "pods cannot be created"
}

// join brings what workloads say together with what their pods show: pods that
// show a cause explain why their workload is short.
func (h *health) join() {
	for _, object := range sortedKeys(h.workloads.short) {
		s := h.workloads.short[object]
		note := fmt.Sprintf("%d/%d available", s.available, s.desired)
		explained := h.problems.known[object]
		if s.young && !explained && s.cause == "short of replicas" {
			continue
		}
		if !explained || s.cause != "short of replicas" && s.cause != "rollout stuck" {
			severity := warning
			if s.available == 0 {
				severity = critical
			}
			h.problems.add(severity, s.cause, object, abridge(forbiddenPod.ReplaceAllString(s.detail, ""), detailBytes), 0)
		} else if s.cause == "rollout stuck" {
			note += ", rollout stuck"
		}
		for _, p := range h.problems.causes {
			if o := p.objects[object]; o != nil {
				o.note = note
			}
		}
	}
	for _, p := range h.problems.causes {
		h.soften(p)
	}
}

// soften makes a cause a warning where every workload it hits still serves.
func (h *health) soften(p *clusterCause) {
	if p.severity != critical {
		return
	}
	for object := range p.objects {
		kind, _, _ := strings.Cut(object, " ")
		state, short := h.workloads.short[object]
		switch kind {
		case "Deployment", "StatefulSet", "DaemonSet":
			if short && state.available == 0 {
				return
			}
		default:
			return
		}
	}
	p.severity = warning
}

// checkJobs tells of failed jobs; of a cron job's, only where none has
// succeeded since.
func (h *health) checkJobs(ctx context.Context) {
	succeeded := map[string]time.Time{}
	gather(ctx, &h.gathering, "cronjobs", h.c.typed.BatchV1().CronJobs(h.ns).List, metav1.ListOptions{}, func(c *batchv1.CronJob) {
		if c.Status.LastSuccessfulTime != nil {
			succeeded[objectName("CronJob", c.Namespace, c.Name)] = c.Status.LastSuccessfulTime.Time
		}
	})
	gather(ctx, &h.gathering, "jobs", h.c.typed.BatchV1().Jobs(h.ns).List, metav1.ListOptions{}, func(j *batchv1.Job) {
		failed := jobCondition(j, batchv1.JobFailed)
		if failed == nil {
			return
		}
		object := objectName("Job", j.Namespace, j.Name)
		if owner := metav1.GetControllerOf(j); owner != nil {
			object = objectName(owner.Kind, j.Namespace, owner.Name)
		}
		if succeeded[object].After(failed.LastTransitionTime.Time) {
			return
		}
		h.problems.add(warning, "job failed: "+failed.Reason, object, abridge(failed.Message, detailBytes), 0)
	})
}
