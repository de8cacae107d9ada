package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

var patchResource = mcpkit.Tool{
	Name:        "k8s_patch_resource",
	Title:       "Patch a Kubernetes object",
	Description: "Changes fields of one object. For replicas use k8s_scale, for restarts k8s_rollout, for labels k8s_label_resource, for whole manifests k8s_apply_manifest.",
	Narrow:      "patch fewer fields at once",
	Rules:       changeable("patch"),
	Idempotent:  true,
}

type PatchResourceIn struct {
	Ref
	Patch     string `json:"patch" jsonschema:"JSON or YAML, such as {spec: {paused: true}}"`
	PatchType string `json:"patch_type,omitempty" jsonschema:"merge replaces lists whole; strategic merges them by key, for built-in types alone; json is a list of JSON Patch operations. Strategic if absent, merge for custom resources"`
}

func (PatchResourceIn) Constrain(p mcpkit.Properties) {
	p["patch_type"].Enum = []any{"strategic", "merge", "json"}
}

func (b *Backend) planPatch(ctx context.Context, in PatchResourceIn) (mcpkit.Plan, error) {
	return b.planPatchOf(ctx, in, "")
}

// genericRefusal is all the API server says of a JSON Patch that does not fit.
const genericRefusal = "the server rejected our request due to an error in our request"

// planPatchOf plans a patch of an object, or of one of its subresources.
func (b *Backend) planPatchOf(ctx context.Context, in PatchResourceIn, subresource string) (mcpkit.Plan, error) {
	patch, err := parsePatch(in.Patch, in.PatchType)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	ch, err := b.changeOf(ctx, patching, in.Ref)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	ch.patch, ch.subresource = patch, subresource
	if subresource == "status" {
		ch.notes = []string{"its controller writes the status and may write over this"}
	}
	ch.patchType = map[string]types.PatchType{
		"strategic": types.StrategicMergePatchType, "merge": types.MergePatchType, "json": types.JSONPatchType,
	}[cmp.Or(in.PatchType, "strategic")]
	plan, err := b.plan(ctx, ch)
	if subresource != "" && apierrors.IsNotFound(err) {
		return plan, mcpkit.Errorf(mcpkit.Invalid, "%s have no %s of their own; use k8s_patch_resource", ch.t, subresource)
	}
	if ch.patchType == types.JSONPatchType && apierrors.IsInvalid(err) && strings.HasSuffix(err.Error(), genericRefusal) {
		return plan, mcpkit.Wrap(mcpkit.Invalid, err, "the operations do not fit %s: a test fails, or a path they remove, replace or test is not there", ch)
	}
	if !apierrors.IsUnsupportedMediaType(err) {
		return plan, err
	}
	if in.PatchType != "" {
		return plan, mcpkit.Errorf(mcpkit.Invalid, "%s is a custom resource, whose lists have no merge keys: a strategic patch works for built-in types alone; use patch_type merge or json", ch.t)
	}
	ch.patchType = types.MergePatchType
	return b.plan(ctx, ch)
}

// parsePatch reads a patch as JSON.
func parsePatch(text, patchType string) (json.RawMessage, error) {
	v, err := parseDocument("patch", text)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case map[string]any:
		if patchType == "json" {
			return nil, mcpkit.Errorf(mcpkit.Invalid, `patch_type json needs a list of operations, such as [{"op": "replace", "path": "/spec/paused", "value": true}]`)
		}
		if metadata, given := v["metadata"]; given {
			if _, ok := metadata.(map[string]any); !ok {
				return nil, mcpkit.Errorf(mcpkit.Invalid, "patch: metadata must be an object")
			}
		}
	case []any:
		if patchType != "json" {
			return nil, mcpkit.Errorf(mcpkit.Invalid, "patch is a list; JSON Patch operations need patch_type json")
		}
		for i, op := range v {
			step, _ := op.(map[string]any)
			if !isString(step["op"]) || !isString(step["path"]) {
				return nil, mcpkit.Errorf(mcpkit.Invalid, "patch: operation %d needs op and path", i+1)
			}
		}
	default:
		return nil, mcpkit.Errorf(mcpkit.Invalid, "patch must be an object such as {spec: {paused: true}}, not %s", mcpkit.Flow(v))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode patch: %w", err)
	}
	return raw, nil
}
