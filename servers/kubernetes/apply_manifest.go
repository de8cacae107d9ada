package kubernetes

import (
	"context"
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var applyManifest = mcpkit.Tool{
	Name:        "k8s_apply_manifest",
	Title:       "Apply a Kubernetes manifest",
	Description: "Creates or updates the objects of a manifest by server-side apply; all are checked before any is written. To change a few fields of one object use k8s_patch_resource.",
	Narrow:      "apply fewer objects at once",
	Rules:       changeable("create", "patch"),
	Idempotent:  true,
}

type ApplyManifestIn struct {
	Manifest       string `json:"manifest" jsonschema:"YAML or JSON, one or several documents"`
	Namespace      string `json:"namespace,omitempty" jsonschema:"for objects that name none"`
	ForceConflicts bool   `json:"force_conflicts,omitempty" jsonschema:"take over fields that other managers own"`
	AllowManaged   bool   `json:"allow_managed,omitempty" jsonschema:"change objects of Helm, Argo CD or Flux too"`
}

func (b *Backend) planApply(ctx context.Context, in ApplyManifestIn) (mcpkit.Plan, error) {
	docs, err := parseManifest("manifest", in.Manifest)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	for _, d := range docs {
		if d.GetName() == "" {
			return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.Invalid, "%s (%s) has generateName in place of a name; use k8s_create_resource", d.place, d.GetKind())
		}
	}
	changes, err := b.changesOf(ctx, applying, docs, in.Namespace)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	for i := range changes {
		changes[i].force = in.ForceConflicts
	}
	all, err := b.rehearseAll(ctx, changes)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if !in.AllowManaged {
		if err := refuseManaged(all); err != nil {
			return mcpkit.Plan{}, err
		}
	}
	return planOf(all), nil
}

// refuseManaged keeps out of the way of what deploys an object: it would undo
// the change, or trip over it.
func refuseManaged(all []*planned) error {
	var managed []string
	for _, p := range all {
		if p.before == nil || !p.changes() {
			continue
		}
		if owner := keeper(p.before); owner != "" {
			managed = append(managed, fmt.Sprintf("%s is managed by %s", p, owner))
		}
	}
	if len(managed) == 0 {
		return nil
	}
	return mcpkit.Errorf(mcpkit.Denied, "%s. Make the change there, or set allow_managed if the person wants it here all the same", strings.Join(managed, "; "))
}
