package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

var actOnRollout = mcpkit.Tool{
	Name:        "k8s_rollout",
	Title:       "Act on a rollout",
	Description: "Restarts the pods of a deployment, stateful set or daemon set one after another, undoes to an earlier revision, or pauses or resumes a deployment's rollout. k8s_get_rollout lists the revisions and shows how far it is.",
	Narrow:      "undo fewer revisions at once",
	Rules: []mcpkit.Rule{
		{Groups: []string{"apps"}, Resources: []string{"daemonsets", "deployments", "statefulsets"}, Verbs: []string{"get", "list", "patch"}},
		{Groups: []string{"apps"}, Resources: []string{"controllerrevisions", "replicasets"}, Verbs: []string{"list"}},
	},
}

type RolloutIn struct {
	Action string `json:"action" jsonschema:"pause and resume work for deployments alone"`
	Ref
	ToRevision int64 `json:"to_revision,omitempty" jsonschema:"undo to this one; the one before the newest if absent"`
}

func (RolloutIn) Constrain(p mcpkit.Properties) {
	p["action"].Enum = []any{"restart", "undo", "pause", "resume"}
	p["resource_type"].Description = "deployment, statefulset or daemonset"
	p["to_revision"].Minimum = new(1.0)
}

const restartedAt = "kubectl.kubernetes.io/restartedAt"

func (b *Backend) planRollout(ctx context.Context, in RolloutIn) (mcpkit.Plan, error) {
	obj, t, err := b.get(ctx, in.Ref)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	ch := change{action: patching, t: t, namespace: obj.GetNamespace(), name: obj.GetName(), patchType: types.MergePatchType, now: replicasNow(obj)}
	if err := rollable(in, ch, obj); err != nil {
		return mcpkit.Plan{}, err
	}
	switch in.Action {
	case "restart":
		err = ch.restart(obj, b.now())
	case "undo":
		err = b.undo(ctx, &ch, obj, in.ToRevision)
	case "pause":
		ch.patch = []byte(`{"spec":{"paused":true}}`)
		ch.notes = []string{"until it is resumed, changes of its pod template reach no pod, and it cannot be restarted or undone"}
	default:
		ch.patch = []byte(`{"spec":{"paused":null}}`)
	}
	if err != nil {
		return mcpkit.Plan{}, err
	}
	return b.plan(ctx, ch)
}

// rollable says whether the object rolls out at all, and lets it be done now.
func rollable(in RolloutIn, ch change, obj *unstructured.Unstructured) error {
	kinds := []string{"deployments.apps", "statefulsets.apps", "daemonsets.apps"}
	halting := in.Action == "pause" || in.Action == "resume"
	if halting {
		kinds = kinds[:1]
	}
	paused, _, _ := unstructured.NestedBool(obj.Object, "spec", "paused")
	switch {
	case !slices.Contains(kinds, ch.t.String()):
		return mcpkit.Errorf(mcpkit.Invalid, "cannot %s %s: it works for %s", in.Action, ch, strings.Join(kinds, ", "))
	case in.ToRevision != 0 && in.Action != "undo":
		return mcpkit.Errorf(mcpkit.Invalid, "to_revision belongs to action undo, not %s", in.Action)
	case paused && !halting:
		return mcpkit.Errorf(mcpkit.Conflict, "%s is paused, so its pods would not follow; resume it first", ch)
	}
	return nil
}

// restart sets the annotation kubectl sets, which makes the pod template a new one.
func (ch *change) restart(obj *unstructured.Unstructured, now time.Time) (err error) {
	ch.changing, ch.notes = []string{mcpkit.FieldPath("spec.template.metadata.annotations", restartedAt)}, onDelete(obj)
	ch.patch, err = json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
		"annotations": map[string]any{restartedAt: now.UTC().Format(time.RFC3339)}}}}})
	return err
}

// onDelete warns of the strategy that replaces no pod by itself.
func onDelete(obj *unstructured.Unstructured) []string {
	if text(obj, "spec", "updateStrategy", "type") != "OnDelete" {
		return nil
	}
	return []string{"its update strategy is OnDelete: only pods that somebody deletes come back changed"}
}

// replicasNow says how many pods an object has and how many of them serve, as
// far as it says so.
func replicasNow(o *unstructured.Unstructured) []string {
	all, serving := "replicas", "readyReplicas"
	if o.GetKind() == "DaemonSet" {
		all, serving = "desiredNumberScheduled", "numberReady"
	}
	have, found, _ := unstructured.NestedInt64(o.Object, "status", all)
	if !found {
		return nil
	}
	ready, said, _ := unstructured.NestedInt64(o.Object, "status", serving)
	if !said && o.GroupVersionKind().Group != "apps" { // others may have no such field
		return []string{fmt.Sprintf("pods: %d", have)}
	}
	return []string{fmt.Sprintf("pods: %d, ready: %d", have, ready)}
}
