package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ChangeOut is what every tool that changes objects answers.
type ChangeOut struct {
	Result string `json:"result"`
	mcpkit.Left
	Diff string `json:"diff,omitempty"`
	mcpkit.Table
}

// applied is the second half of a write tool whose first half is
// [Backend.plan].
func applied[In any](b *Backend) func(context.Context, In, mcpkit.Plan) (ChangeOut, error) {
	return func(ctx context.Context, _ In, p mcpkit.Plan) (ChangeOut, error) { return b.carryOut(ctx, p) }
}

// carryOut makes the changes of a plan in their order. It stops at the first
// that the API server refuses, and then says which were made.
func (b *Backend) carryOut(ctx context.Context, plan mcpkit.Plan) (ChangeOut, error) {
	all, ok := plan.State.([]*planned)
	if !ok {
		return ChangeOut{}, fmt.Errorf("the plan's state is a %T", plan.State)
	}
	out := ChangeOut{Table: mcpkit.Table{Columns: []string{"object", "done", "generation", "resource_version"}, Rows: [][]string{}}}
	made := 0
	var told []*planned
	for i, p := range all {
		if !p.changes() {
			out.Rows = append(out.Rows, b.row(ctx, p))
			continue
		}
		after, err := b.execute(ctx, *p)
		if err != nil {
			return ChangeOut{}, halfway(err, all, i)
		}
		result := *p // what came of it, which need not be what the dry run said
		result.after, result.changing = after, nil
		result.diff = append(difference(ctx, &result, after), p.details...)
		if result.before != nil && len(result.diff) > 0 { // of a new object the caller knows what it says
			told = append(told, &result)
		}
		made++
		out.Rows = append(out.Rows, b.row(ctx, &result))
	}
	out.Result = fmt.Sprintf("%d of %d objects changed", made, len(all))
	var left int
	if out.Diff, left = diffText(told); left > 0 {
		out.Truncated, out.LeftOut = true, fmt.Sprintf("%d lines of the diff; k8s_get_resource_yaml shows an object as it is now", left)
	}
	switch {
	case made == 0:
		out.Result = "nothing was written: the cluster has it so already"
	case len(all) == 1:
		out.Result = "done"
	}
	return out, nil
}

// retries is how often a change is tried again when only the status of its
// object has moved.
const retries = 5

// execute makes one change for real. When the object moved since it was read, and
// in nothing the plan rests on, it is tried again on the version of now.
func (b *Backend) execute(ctx context.Context, p planned) (*unstructured.Unstructured, error) {
	for try := 0; ; try++ {
		after, err := b.send(ctx, p, false)
		if err == nil {
			return after, nil
		}
		if _, answered := errors.AsType[*apierrors.StatusError](err); !answered {
			return nil, mcpkit.Wrap(mcpkit.Unavailable, err, "the answer to %s %s got lost, so whether it was done is not known; look before you try again", p.action, p)
		}
		if !movedOn(err) || p.before == nil || try == retries {
			return nil, translateWrite(err, p.change)
		}
		now, seen, readErr := b.current(ctx, p.change)
		if readErr != nil {
			return nil, readErr
		}
		if seen != p.seen {
			return nil, mcpkit.Errorf(mcpkit.Conflict, "%s changed while this was being done, so it was left as it is. Call again to have a new plan approved", p)
		}
		p.before = now
	}
}

// movedOn reports whether err says that the object has another version than
// was asked for, rather than that a field belongs to somebody else.
func movedOn(err error) bool {
	return apierrors.IsConflict(err) && len(fieldConflicts(err)) == 0
}

// row says what became of one object.
func (b *Backend) row(ctx context.Context, p *planned) []string {
	if p.action == deleting {
		return []string{p.String(), b.farewell(ctx, p.change), "", ""}
	}
	if !p.changes() {
		return []string{p.String(), "unchanged", "", p.before.GetResourceVersion()}
	}
	done := map[action]string{creating: "created", patching: "patched", applying: "applied"}[p.action]
	if p.before == nil {
		done = "created"
	}
	generation := ""
	if g := p.after.GetGeneration(); g > 0 {
		generation = strconv.FormatInt(g, 10)
	}
	return []string{named(p.t.String(), p.namespace, p.after.GetName()), done, generation, p.after.GetResourceVersion()}
}

// farewell says whether a deleted object is gone, and if not what it waits for.
func (b *Backend) farewell(ctx context.Context, ch change) string {
	now, _, err := b.current(ctx, ch)
	switch {
	case err != nil:
		return "deleted"
	case now == nil:
		return "deleted, gone"
	case len(now.GetFinalizers()) > 0:
		return "deleting, waits for finalizers " + strings.Join(now.GetFinalizers(), ", ")
	}
	return "deleting"
}

// halfway says what was done before the change at failed, when it was not alone.
func halfway(err error, all []*planned, at int) error {
	if len(all) == 1 {
		return err
	}
	kind, text := mcpkit.Unavailable, err.Error()
	if known, ok := errors.AsType[*mcpkit.Error](err); ok {
		kind, text = known.Kind, known.Text
	}
	var done, left []string
	for i, p := range all {
		switch {
		case i < at && p.changes():
			done = append(done, p.String())
		case i > at && p.changes():
			left = append(left, p.String())
		}
	}
	return &mcpkit.Error{Kind: kind, Err: err, Text: fmt.Sprintf("stopped at %s: %s\nchanged before it: %s\nnot changed: %s",
		all[at], text, listed(done), listed(append([]string{all[at].String()}, left...)))}
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// translateWrite is translate for a change, with what to do about conflicts.
func translateWrite(err error, ch change) error {
	doing := string(ch.action) + " " + ch.String()
	if owned := fieldConflicts(err); len(owned) > 0 {
		return mcpkit.Wrap(mcpkit.Conflict, err, "cannot %s: these fields belong to other managers:\n- %s\nLeave them out of the manifest, or take them over with force_conflicts if the person wants that", doing, strings.Join(owned, "\n- "))
	}
	if untyped := "failed to create typed patch object"; apierrors.IsInternalError(err) && strings.Contains(clientgo.Reason(err), untyped) {
		return mcpkit.Wrap(mcpkit.Invalid, err, "cannot %s: %s", doing, clientgo.Reason(err)) // the API server calls this its own fault
	}
	if apierrors.IsAlreadyExists(err) {
		return mcpkit.Wrap(mcpkit.Conflict, err, "%s exists already; change it with k8s_apply_manifest or k8s_patch_resource", ch)
	}
	return translate(err, doing)
}

// fieldConflicts lists the fields of a server-side apply that others own.
func fieldConflicts(err error) []string {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || status.Status().Details == nil {
		return nil
	}
	var out []string
	for _, c := range status.Status().Details.Causes {
		if c.Type == metav1.CauseTypeFieldManagerConflict {
			out = append(out, strings.TrimPrefix(c.Field, ".")+": "+c.Message)
		}
	}
	return out
}
