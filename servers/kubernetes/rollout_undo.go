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

// mostRevisions is more than a workload's revisionHistoryLimit lets it keep.
const mostRevisions = 1000

// undo makes ch bring back the pod template of an earlier revision, and the
// cause it was given for. kubectl's rollback drops every annotation set since;
// that is left out here.
func (b *Backend) undo(ctx context.Context, ch *change, obj *unstructured.Unstructured, to int64) error {
	r := &rollout{b: b, obj: obj, limit: mostRevisions}
	if err := r.readHistory(ctx); err != nil {
		return err
	}
	back, err := earlier(*ch, r.revisions, to)
	if err != nil {
		return err
	}
	steps := append(causeStep(obj.GetAnnotations(), back.cause), map[string]any{"op": "replace", "path": "/spec/template", "value": back.template})
	ch.patchType = types.JSONPatchType
	if ch.patch, err = json.Marshal(steps); err != nil {
		return fmt.Errorf("encode revision %d of %s: %w", back.number, ch, err)
	}
	ch.notes = append(ch.notes, fmt.Sprintf("it goes back to revision %d, made %s; ConfigMaps and whatever else its pods read stay as they are",
		back.number, back.created.UTC().Format(time.RFC3339)))
	ch.notes = append(ch.notes, onDelete(obj)...)
	return nil
}

// earlier is the revision asked for, or the one before the newest.
func earlier(ch change, revisions []revision, to int64) (revision, error) {
	if to == 0 {
		if len(revisions) < 2 {
			return revision{}, mcpkit.Errorf(mcpkit.NotFound, "%s has no earlier revision to go back to", ch)
		}
		return revisions[1], nil
	}
	var kept []string
	for _, r := range slices.Backward(revisions) {
		if r.number == to {
			return r, nil
		}
		kept = append(kept, fmt.Sprint(r.number))
	}
	return revision{}, mcpkit.Errorf(mcpkit.NotFound, "no revision %d of %s is kept; there are %s", to, ch, strings.Join(kept, ", "))
}

// causeStep is the JSON Patch operation that brings back why a revision was made.
func causeStep(now map[string]string, was string) []map[string]any {
	path := "/metadata/annotations/" + strings.ReplaceAll(changeCause, "/", "~1")
	switch {
	case was == now[changeCause]:
		return nil
	case was == "":
		return []map[string]any{{"op": "remove", "path": path}}
	case len(now) == 0:
		return []map[string]any{{"op": "add", "path": "/metadata/annotations", "value": map[string]string{changeCause: was}}}
	}
	return []map[string]any{{"op": "add", "path": path, "value": was}}
}
