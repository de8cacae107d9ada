package agent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/labels"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// history is how many revisions can be gone back to.
	history = 5
	// deadline is after how many seconds a rollout without progress is called
	// stuck.
	deadline = 300
	// number is the annotation by which Kubernetes counts ReplicaSets.
	number = "deployment.kubernetes.io/revision"
	// restarted is the annotation that kubectl rollout restart sets.
	restarted = "kubectl.kubernetes.io/restartedAt"
)

// deploymentOf runs the template. A pod serves until another is ready to.
func (r *Reconciler) deploymentOf(w *work, template corev1.PodTemplateSpec) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: w.Name, Annotations: maps.Clone(w.settings.DeploymentAnnotations)},
		Spec: appsv1.DeploymentSpec{
			Replicas: w.settings.Replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{labels.Agent: w.Name, labels.ManagedBy: labels.Us}},
			Template: template,
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxUnavailable: new(intstr.FromInt32(0)), MaxSurge: new(intstr.FromInt32(1)),
			}},
			RevisionHistoryLimit:    new(int32(history)),
			ProgressDeadlineSeconds: new(int32(deadline)),
		},
	}
}

// roll makes the Deployment serve the revision, unless somebody has gone back
// to an earlier one since the Agent was last changed.
func (r *Reconciler) roll(ctx context.Context, w *work) error {
	if err := r.own(w, w.deployment); err != nil {
		return err
	}
	if err := r.listReplicaSets(ctx, w); err != nil {
		return err
	}
	var live appsv1.Deployment
	err := r.Get(ctx, client.ObjectKeyFromObject(w.deployment), &live)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the Deployment: %w", err)
	}
	if err == nil && w.apply.Owns(&live) {
		back, err := r.wentBack(ctx, w, &live)
		if err != nil {
			return err
		}
		if back != "" {
			w.rolledBack = back
			return nil
		}
		if at, ok := live.Spec.Template.Annotations[restarted]; ok {
			w.deployment.Spec.Template.Annotations[restarted] = at
		}
		if w.deployment.Spec.Replicas == nil {
			w.deployment.Spec.Replicas = live.Spec.Replicas // somebody scales it
		}
	}
	rolling := live.Spec.Template.Annotations[labels.Revision] != w.revision
	if rolling {
		if err := r.forget(ctx, w, &live); err != nil {
			return err
		}
	}
	if err := w.apply.Apply(ctx, w.deployment); err != nil {
		return err
	}
	w.Status.TargetRevision, w.rolling = w.revision, rolling
	return nil
}

// forget takes out of the status what was rolled out last, before something else
// is: should we not get to write down what that was, it is not somebody else's
// choice.
func (r *Reconciler) forget(ctx context.Context, w *work, live *appsv1.Deployment) error {
	if err := r.fresh.Get(ctx, client.ObjectKeyFromObject(w.deployment), live); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the Deployment again: %w", err)
	}
	if live.Spec.Template.Annotations[labels.Revision] == w.revision {
		return nil // we did that already, and the cache is behind
	}
	forgetful := w.before.DeepCopy()
	forgetful.Status.TargetRevision = ""
	if err := r.Client.Status().Patch(ctx, forgetful, client.MergeFromWithOptions(w.before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	w.before.Status.TargetRevision, w.Status.TargetRevision = "", ""
	w.before.ResourceVersion, w.ResourceVersion = forgetful.ResourceVersion, forgetful.ResourceVersion
	return nil
}

// wentBack is the revision that somebody went back to, with kubectl rollout
// undo, since the Agent was last changed. It must still be there.
func (r *Reconciler) wentBack(ctx context.Context, w *work, live *appsv1.Deployment) (string, error) {
	if live.Spec.Template.Annotations[labels.Revision] == w.revision || !w.mayBeBack(w.Status) {
		return "", nil
	}
	// The cache may be behind: what it has may be from before our own rollout.
	if err := r.fresh.Get(ctx, client.ObjectKeyFromObject(live), live); err != nil {
		return "", fmt.Errorf("read the Deployment again: %w", err)
	}
	var now kagent.Agent
	if err := r.fresh.Get(ctx, client.ObjectKeyFromObject(&w.Agent), &now); err != nil {
		return "", fmt.Errorf("read the Agent again: %w", err)
	}
	if !w.mayBeBack(now.Status) {
		return "", nil
	}
	was := live.Spec.Template.Annotations[labels.Revision]
	if was == "" || was == w.revision {
		return "", nil
	}
	_, err := r.configuration(ctx, client.ObjectKey{Namespace: w.Namespace, Name: configurationName(w.Name, was)})
	if apierrors.IsNotFound(err) {
		return "", nil // nothing that could serve: forward
	}
	return was, err
}

// mayBeBack says whether a template that is not that of the spec is somebody's
// choice: the spec's was rolled out before, or that is how it was already and
// the spec is still the same.
func (w *work) mayBeBack(s kagent.AgentStatus) bool {
	c := meta.FindStatusCondition(s.Conditions, RolledBack)
	if c != nil && c.Status == metav1.ConditionTrue {
		return c.ObservedGeneration == w.Generation
	}
	return s.TargetRevision == w.revision
}

// listReplicaSets notes the Deployment's ReplicaSets, newest first.
func (r *Reconciler) listReplicaSets(ctx context.Context, w *work) error {
	var list appsv1.ReplicaSetList
	if err := r.List(ctx, &list, client.InNamespace(w.Namespace), client.MatchingLabels(labels.OfAgent(w.Name))); err != nil {
		return fmt.Errorf("list the ReplicaSets: %w", err)
	}
	w.replicas = slices.DeleteFunc(list.Items, func(s appsv1.ReplicaSet) bool { return !s.DeletionTimestamp.IsZero() })
	slices.SortFunc(w.replicas, func(a, b appsv1.ReplicaSet) int { return cmp.Compare(numberOf(b), numberOf(a)) })
	return nil
}

func numberOf(s appsv1.ReplicaSet) int {
	n, _ := strconv.Atoi(s.Annotations[number]) // a new one has none yet, and comes last
	return n
}

// active are the revisions that have pods, or are about to, and the
// ServiceAccounts of those pods.
func (w *work) active() (revisions, accounts []string) {
	revisions, accounts = []string{w.revision}, []string{serviceAccount(w)}
	if w.rolledBack != "" {
		revisions = append(revisions, w.rolledBack)
	}
	for _, s := range w.replicas {
		if s.Status.Replicas > 0 || s.Spec.Replicas != nil && *s.Spec.Replicas > 0 {
			revisions = append(revisions, s.Spec.Template.Annotations[labels.Revision])
			accounts = append(accounts, s.Spec.Template.Spec.ServiceAccountName)
		}
	}
	slices.Sort(revisions)
	slices.Sort(accounts)
	return slices.Compact(revisions), slices.Compact(accounts)
}
