package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kubectl/pkg/polymorphichelpers"
	"k8s.io/kubectl/pkg/util/podutils"
)

var getRollout = mcpkit.Tool{
	Name:        "k8s_get_rollout",
	Title:       "State and history of a rollout",
	Description: "Whether a deployment, statefulset or daemonset has rolled out or why not, its revisions with what changed in each, and what an undo would bring back.",
	Narrow:      "lower limit",
	Rules: []mcpkit.Rule{
		readRule("", "pods"),
		readRule("apps", "controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"),
	},
}

type GetRolloutIn struct {
	Ref
	Limit int `json:"limit,omitempty" jsonschema:"most revisions; 5 if absent"`
}

func (GetRolloutIn) Constrain(p mcpkit.Properties) {
	p["resource_type"].Description = "deployment, statefulset or daemonset"
	p["resource_name"].Description = "its name"
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(50.0)
}

type GetRolloutOut struct {
	State     string   `json:"state" jsonschema:"complete, progressing, stuck or paused"`
	Why       []string `json:"why" jsonschema:"what the state rests on"`
	Pods      string   `json:"pods" jsonschema:"how many are wanted and how far they are"`
	Undo      string   `json:"undo" jsonschema:"what kubectl rollout undo would go back to"`
	Undoes    []string `json:"undo_changes,omitempty" jsonschema:"how that would change the pods, - as they are and + as they were"`
	NotLooked []string `json:"not_looked_at,omitempty"`
	mcpkit.Left
	Revisions mcpkit.Table `json:"revisions" jsonschema:"newest first, each with what it changed"`
}

func (b *Backend) getRollout(ctx context.Context, in GetRolloutIn) (GetRolloutOut, error) {
	obj, t, err := b.get(ctx, in.Ref)
	if err != nil {
		return GetRolloutOut{}, err
	}
	viewer, err := polymorphichelpers.StatusViewerFor(obj.GroupVersionKind().GroupKind())
	if err != nil {
		return GetRolloutOut{}, mcpkit.Errorf(mcpkit.Invalid, "%s have no rollout; only deployments, statefulsets and daemonsets have", t)
	}
	r := &rollout{b: b, obj: obj, viewer: viewer, now: b.now(), limit: cmp.Or(in.Limit, 5)}
	if err := r.part(r.readHistory(ctx), "revisions"); err != nil {
		return GetRolloutOut{}, err
	}
	if err := r.part(r.readPods(ctx), "pods"); err != nil {
		return GetRolloutOut{}, err
	}
	r.judge()
	r.out.Pods = r.counts()
	r.describeHistory(ctx)
	r.describeUndo(ctx)
	return r.out, nil
}

// rollout is one call on its way.
type rollout struct {
	b      *Backend
	obj    *unstructured.Unstructured
	viewer polymorphichelpers.StatusViewer
	now    time.Time
	limit  int

	revisions []revision // newest first, one more than limit
	total     int        // revisions there are
	blocked   grouped    // pods of the newest revision that cannot go on, by why
	slow      grouped    // those that are just not ready yet
	out       GetRolloutOut
}

// part lets the answer go on without what RBAC refuses.
func (r *rollout) part(err error, what string) error {
	var known *mcpkit.Error
	if errors.As(err, &known) && known.Kind == mcpkit.Denied {
		r.out.NotLooked = append(r.out.NotLooked, what+": "+known.Text)
		return nil
	}
	return err
}

// readPods sorts out the pods of the newest revision that are not ready.
func (r *rollout) readPods(ctx context.Context) error {
	selector, err := selectorOf(r.obj)
	if err != nil {
		return err
	}
	label, hash := r.revisionLabel()
	return r.b.eachPod(ctx, r.obj.GetNamespace(), metav1.ListOptions{LabelSelector: selector.String()}, func(pod *corev1.Pod) {
		if pod.DeletionTimestamp != nil || hash != "" && pod.Labels[label] != hash || podutils.IsPodReady(pod) {
			return
		}
		faults := podFaults(pod, r.now)
		switch {
		case len(faults) == 0:
			r.slow.add("not ready yet", pod.Name)
		case faults[0].severity == critical && faults[0].kind != faultReady: // a probe may pass yet
			r.blocked.add(faults[0].what, pod.Name)
		default:
			r.slow.add(faults[0].what, pod.Name)
		}
	})
}

// revisionLabel is how pods of the newest revision are told from older ones.
func (r *rollout) revisionLabel() (label, hash string) {
	switch r.obj.GetKind() {
	case "Deployment":
		if len(r.revisions) > 0 {
			return "pod-template-hash", r.revisions[0].hash
		}
	case "StatefulSet":
		return "controller-revision-hash", text(r.obj, "status", "updateRevision")
	case "DaemonSet":
		if len(r.revisions) > 0 {
			return "controller-revision-hash", r.revisions[0].hash
		}
	}
	return "", ""
}

// judge decides the state, by kubectl's own rule where it has one.
func (r *rollout) judge() {
	message, done, err := r.viewer.Status(r.obj, 0)
	message = strings.TrimRight(strings.TrimSpace(message), ".")
	paused, _, _ := unstructured.NestedBool(r.obj.Object, "spec", "paused")
	strategy := cmp.Or(text(r.obj, "spec", "updateStrategy", "type"), "RollingUpdate")
	conditions := r.badConditions(err != nil)
	r.out.Why = []string{message}
	switch {
	case strategy == "OnDelete":
		r.out.State, r.out.Why = "progressing", []string{"update strategy OnDelete: a pod changes only when it is deleted"}
		if r.updated() {
			r.out.State = "complete"
		}
	case err != nil:
		r.out.State, r.out.Why = "stuck", []string{err.Error()}
	case paused && !done:
		r.out.State, r.out.Why = "paused", []string{"spec.paused is set: nothing goes on until it is resumed", message}
	case done:
		r.out.State = "complete"
	case len(r.blocked.order)+len(conditions) > 0:
		r.out.State = "stuck"
	default:
		r.out.State = "progressing"
	}
	if paused && done {
		r.out.Why = append(r.out.Why, "it is paused, so a change of its template would not roll out")
	}
	r.out.Why = slices.Concat(r.out.Why, conditions, r.blocked.lines(), r.slow.lines())
	if r.out.State == "stuck" && r.obj.GetKind() == "StatefulSet" && text(r.obj, "spec", "podManagementPolicy") != "Parallel" && len(r.blocked.order) > 0 {
		r.out.Why = append(r.out.Why, "a statefulset does not replace a pod that never became ready, even by a corrected template: once corrected, that pod must be deleted")
	}
}

// badConditions are the object's conditions that say why nothing moves; that
// its deadline has passed may have been said already.
func (r *rollout) badConditions(late bool) []string {
	var out []string
	for _, c := range maps(r.obj.Object, "status", "conditions") {
		bad := c["type"] == "ReplicaFailure" && c["status"] == "True" || c["type"] == "Progressing" && c["status"] == "False" && !late
		if bad {
			reason, _ := c["reason"].(string)
			message, _ := c["message"].(string)
			out = append(out, brief(reason, message))
		}
	}
	return out
}

// number reads a count from the object's status or spec.
func (r *rollout) number(path ...string) int64 {
	n, _, _ := unstructured.NestedInt64(r.obj.Object, path...)
	return n
}

// updated reports whether every pod is of the newest revision, whatever the strategy.
func (r *rollout) updated() bool {
	if r.obj.GetKind() == "DaemonSet" {
		return r.number("status", "updatedNumberScheduled") == r.number("status", "desiredNumberScheduled")
	}
	return text(r.obj, "status", "updateRevision") == text(r.obj, "status", "currentRevision")
}

func (r *rollout) counts() string {
	if r.obj.GetKind() == "DaemonSet" {
		return fmt.Sprintf("%d wanted, %d updated, %d ready, %d available", r.number("status", "desiredNumberScheduled"),
			r.number("status", "updatedNumberScheduled"), r.number("status", "numberReady"), r.number("status", "numberAvailable"))
	}
	return fmt.Sprintf("%d wanted, %d there, %d updated, %d ready, %d available", r.number("spec", "replicas"),
		r.number("status", "replicas"), r.number("status", "updatedReplicas"), r.number("status", "readyReplicas"), r.number("status", "availableReplicas"))
}
