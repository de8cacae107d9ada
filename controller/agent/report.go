package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/controller/labels"
	"github.com/toolcrib/toolcrib/controller/outcome"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Conditions that only Agents have.
const (
	// RolledOut says whether all pods serve what the Agent declares.
	RolledOut = "RolledOut"
	// RolledBack says that somebody went back to an earlier revision.
	RolledBack = "RolledBack"
)

// reportAccepted says whether the Agent can be run.
func (r *Reconciler) reportAccepted(w *work, err error) {
	w.Status.ObservedGeneration = w.Generation
	message := "everything that it names is there and fits"
	if len(w.notes) > 0 {
		message += "; but " + strings.Join(w.notes, "; ")
	}
	outcome.Set(&w.Status.Conditions, w.Generation, outcome.Accepted, err, "Accepted", message)
	unsupported := w.unserved
	becomes := "the agent runs without"
	if w.declared.Spec.BYO != nil {
		becomes = ""
	}
	for _, path := range w.overridden {
		unsupported = append(unsupported, path+" (restricted pod security wins)")
	}
	outcome.SetUnsupported(&w.Status.Conditions, w.Generation, unsupported, becomes)
}

// reportRollout says what serves, and what keeps the rest from it. err is what
// kept us from rolling out.
func (r *Reconciler) reportRollout(ctx context.Context, w *work, err error) error {
	var live appsv1.Deployment
	if err := r.Get(ctx, client.ObjectKeyFromObject(&w.Agent), &live); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the Deployment: %w", err)
	}
	if !w.apply.Owns(&live) {
		live = appsv1.Deployment{}
	}
	if err := r.listReplicaSets(ctx, w); err != nil {
		return err
	}
	s := rolloutOf(&live, w.replicas)
	if w.rolling { // whatever is known of the Deployment may be from before
		s.wants, s.done = w.revision, false
	}
	w.Status.Revision, w.Status.Replicas = s.serves, s.pods()
	if !s.done {
		if s.why, err = r.why(ctx, w, s, err); err != nil {
			return err
		}
	} else if err != nil {
		s.done, s.why = false, reasonOf(err)
	}
	s.report(w)
	return nil
}

// rollout is how far a Deployment is.
type rollout struct {
	wants, serves   string // revisions
	ready, replicas int32
	done            bool
	why             *outcome.Error // not done
	stuck           bool
}

func rolloutOf(d *appsv1.Deployment, replicas []appsv1.ReplicaSet) *rollout {
	s := &rollout{wants: d.Spec.Template.Annotations[labels.Revision], ready: d.Status.AvailableReplicas, replicas: 1}
	if d.Spec.Replicas != nil {
		s.replicas = *d.Spec.Replicas
	}
	for _, set := range replicas {
		revision := set.Spec.Template.Annotations[labels.Revision]
		if set.Status.AvailableReplicas > 0 && (s.serves == "" || revision == s.wants) {
			s.serves = revision
		}
	}
	seen := s.serves == s.wants || s.replicas == 0 // what is known of the ReplicaSets may be behind
	s.done = d.UID != "" && seen && d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas >= s.replicas &&
		d.Status.Replicas == d.Status.UpdatedReplicas && d.Status.AvailableReplicas >= s.replicas
	for _, c := range d.Status.Conditions {
		s.stuck = s.stuck || c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded"
	}
	return s
}

func (s *rollout) pods() string {
	if s.wants == "" {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.ready, s.replicas)
}

// report sets the conditions.
func (s *rollout) report(w *work) {
	set := func(kind string, err error, reason, message string) {
		outcome.Set(&w.Status.Conditions, w.Generation, kind, err, reason, message)
	}
	serving := fmt.Sprintf("revision %s serves", s.serves)
	switch {
	case s.done:
		set(outcome.Ready, nil, "Serving", serving)
		set(RolledOut, nil, "Complete", serving+" with all pods")
	case s.serves == "":
		set(outcome.Ready, s.why, "", "")
		set(RolledOut, s.why, "", "")
	case s.serves == s.wants:
		set(outcome.Ready, nil, "Serving", serving)
		set(RolledOut, s.why, "", "")
	default:
		set(outcome.Ready, nil, "EarlierRevisionServes", fmt.Sprintf("%s; revision %s does not: %s", serving, s.wants, s.why.Message))
		set(RolledOut, s.why, "", "")
	}
	if w.revision == "" {
		return // what would be rolled out is not known
	}
	if w.rolledBack == "" {
		meta.RemoveStatusCondition(&w.Status.Conditions, RolledBack)
		return
	}
	set(RolledBack, nil, "Undone", fmt.Sprintf("somebody went back to revision %s, and that is kept until the Agent's spec changes; it declares revision %s", w.rolledBack, w.revision))
}

// why is what keeps a rollout from being done: what kept us from it, or what
// its pods say.
func (r *Reconciler) why(ctx context.Context, w *work, s *rollout, err error) (*outcome.Error, error) {
	if err != nil {
		return reasonOf(err), nil
	}
	var list corev1.PodList
	if err := r.List(ctx, &list, client.InNamespace(w.Namespace), client.MatchingLabels(labels.OfAgent(w.Name)), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the pods: %w", err)
	}
	hash := ""
	for _, set := range w.replicas {
		if set.Spec.Template.Annotations[labels.Revision] == s.wants && hash == "" {
			hash = set.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
			for _, c := range set.Status.Conditions {
				if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
					return &outcome.Error{Reason: "PodsRefused", Message: "pods are refused: " + c.Message}, nil
				}
			}
		}
	}
	var reasons []string
	bad := false
	for _, pod := range list.Items {
		if pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] == hash {
			if reason, passing := trouble(&pod, r.options.Clock.Now()); reason != "" {
				reasons, bad = append(reasons, reason), bad || !passing
			}
		}
	}
	slices.Sort(reasons)
	e := &outcome.Error{Reason: outcome.RollingOut, Message: fmt.Sprintf("revision %s is not ready yet", s.wants)}
	if s.stuck {
		e.Reason, e.Message = "Stuck", fmt.Sprintf("revision %s does not become ready", s.wants)
	}
	if bad {
		e.Reason = "PodsNotReady"
	}
	if len(reasons) > 0 {
		e.Message += ": " + strings.Join(slices.Compact(reasons), "; ")
	}
	return e, nil
}

func reasonOf(err error) *outcome.Error {
	var e *outcome.Error
	if errors.As(err, &e) {
		return &outcome.Error{Reason: e.Reason, Message: "what the Agent declares is not rolled out: " + e.Message}
	}
	return &outcome.Error{Reason: "Trying", Message: "the controller tries again; its log says why"}
}

// trouble is why a pod is not ready, in words that stay the same while that
// does, and whether that may be over by itself in a moment. It is empty for a pod
// that is on its way.
func trouble(pod *corev1.Pod, now time.Time) (reason string, passing bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "no node for it: " + c.Message, false
		}
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return "", true
		}
	}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		last := c.LastTerminationState.Terminated
		if c.State.Terminated != nil {
			last = c.State.Terminated
		}
		switch {
		case last != nil && c.RestartCount > 0 || c.State.Terminated != nil:
			return fmt.Sprintf("container %s ends again and again: %s, exit code %d; see kubectl -n %s logs -l %s=%s -c %s", c.Name, last.Reason, last.ExitCode, pod.Namespace, labels.Agent, pod.Labels[labels.Agent], c.Name), false
		case c.State.Waiting != nil && c.State.Waiting.Reason != "ContainerCreating" && c.State.Waiting.Reason != "PodInitializing":
			return fmt.Sprintf("container %s: %s", c.Name, waiting(c)), false
		case c.State.Running != nil && !c.Ready:
			return fmt.Sprintf("container %s runs and is not ready", c.Name), now.Sub(c.State.Running.StartedAt.Time) < deadline*time.Second
		}
	}
	return "", true
}

// waiting is why a container waits. Pulling an image fails by turns in two
// words for the same.
func waiting(c corev1.ContainerStatus) string {
	switch reason := c.State.Waiting.Reason; reason {
	case "ErrImagePull", "ImagePullBackOff":
		return fmt.Sprintf("ImagePullBackOff: image %s cannot be pulled", c.Image)
	default:
		return strings.TrimSpace(reason + ": " + c.State.Waiting.Message)
	}
}
