package kubernetes

import (
	"context"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var createResource = mcpkit.Tool{
	Name:        "k8s_create_resource",
	Title:       "Create Kubernetes objects",
	Description: "Creates the objects of a manifest, and fails if one is there already; all are checked before any is written. To update too use k8s_apply_manifest.",
	Narrow:      "create fewer objects at once",
	Rules:       changeable("create"),
}

type CreateResourceIn struct {
	YAMLContent string `json:"yaml_content" jsonschema:"YAML or JSON, one or several documents"`
	Namespace   string `json:"namespace,omitempty" jsonschema:"for objects that name none"`
}

func (b *Backend) planCreate(ctx context.Context, in CreateResourceIn) (mcpkit.Plan, error) {
	return b.planCreateOf(ctx, "yaml_content", in.YAMLContent, in.Namespace)
}

// planCreateOf plans the creation of a manifest's objects.
func (b *Backend) planCreateOf(ctx context.Context, argument, manifest, namespace string) (mcpkit.Plan, error) {
	docs, err := parseManifest(argument, manifest)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	changes, err := b.changesOf(ctx, creating, docs, namespace)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	all, err := b.rehearseAll(ctx, changes)
	return planOf(all), err
}
