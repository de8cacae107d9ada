package kubernetes

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var patchStatus = mcpkit.Tool{
	Name:        "k8s_patch_status",
	Title:       "Patch the status of a Kubernetes object",
	Description: "Changes the status of one object, which its controller usually writes. For everything else use k8s_patch_resource.",
	Narrow:      "patch fewer fields at once",
	Rules:       statusChangeable,
	Idempotent:  true,
}

type PatchStatusIn struct {
	Ref
	Patch     string `json:"patch" jsonschema:"JSON or YAML, such as {status: {phase: Failed}}"`
	PatchType string `json:"patch_type,omitempty" jsonschema:"as in k8s_patch_resource"`
}

func (PatchStatusIn) Constrain(p mcpkit.Properties) { PatchResourceIn{}.Constrain(p) }

func (b *Backend) planPatchStatus(ctx context.Context, in PatchStatusIn) (mcpkit.Plan, error) {
	patch, err := parsePatch(in.Patch, in.PatchType)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if err := statusAlone(patch); err != nil {
		return mcpkit.Plan{}, err
	}
	return b.planPatchOf(ctx, PatchResourceIn(in), "status")
}

// statusAlone refuses a patch that names fields the status subresource would
// ignore without a word.
func statusAlone(patch json.RawMessage) error {
	var steps []struct{ Path string }
	if json.Unmarshal(patch, &steps) == nil {
		for _, s := range steps {
			if s.Path != "/status" && !strings.HasPrefix(s.Path, "/status/") {
				return mcpkit.Errorf(mcpkit.Invalid, "patch: path %q is outside the status; use k8s_patch_resource", s.Path)
			}
		}
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(patch, &fields); err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, "patch: %w", err)
	}
	for _, f := range sortedKeys(fields) {
		if f != "status" {
			return mcpkit.Errorf(mcpkit.Invalid, "patch: %s is outside the status; use k8s_patch_resource", f)
		}
	}
	return nil
}
