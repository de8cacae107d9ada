package kubernetes

import (
	"context"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var annotateResource = mcpkit.Tool{
	Name:        "k8s_annotate_resource",
	Title:       "Annotate a Kubernetes object",
	Description: "Sets annotations of one object; others stay. To take one away use k8s_remove_annotation; for what selectors look at use k8s_label_resource.",
	Rules:       labelable,
	Idempotent:  true,
}

var removeAnnotation = mcpkit.Tool{
	Name:        "k8s_remove_annotation",
	Title:       "Remove an annotation from a Kubernetes object",
	Description: "Takes one annotation off one object.",
	Rules:       labelable,
	Idempotent:  true,
}

type AnnotateResourceIn struct {
	Ref
	Annotations KeyValues `json:"annotations" jsonschema:"such as {\"note\": \"any text\"}, or text without spaces in values: a=b c=d"`
}

func (AnnotateResourceIn) Constrain(p mcpkit.Properties) {
	p["annotations"] = keyValues(p["annotations"].Description)
}

type RemoveAnnotationIn struct {
	Ref
	AnnotationKey string `json:"annotation_key"`
}

func (RemoveAnnotationIn) Constrain(p mcpkit.Properties) {
	p["annotation_key"].Description, p["annotation_key"].MinLength = "such as example.com/note", new(1)
}

func (b *Backend) planAnnotate(ctx context.Context, in AnnotateResourceIn) (mcpkit.Plan, error) {
	return b.planMetadata(ctx, in.Ref, "annotations", in.Annotations)
}

func (b *Backend) planRemoveAnnotation(ctx context.Context, in RemoveAnnotationIn) (mcpkit.Plan, error) {
	return b.planMetadata(ctx, in.Ref, "annotations", map[string]any{in.AnnotationKey: nil})
}
