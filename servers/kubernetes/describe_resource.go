package kubernetes

import (
	"context"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/kubectl/pkg/describe"
)

var describeResource = mcpkit.Tool{
	Name:        "k8s_describe_resource",
	Title:       "Describe a Kubernetes object",
	Description: "Describes one object as kubectl describe does, events included. For why something is broken use k8s_diagnose, which looks further.",
	Narrow:      "read single fields with k8s_get_resources and fields",
	Rules:       readable,
}

type DescribeResourceIn struct{ Ref }

type DescribeResourceOut struct {
	mcpkit.Left
	Description string `json:"description"`
}

func (b *Backend) describeResource(ctx context.Context, in DescribeResourceIn) (DescribeResourceOut, error) {
	obj, t, err := b.get(ctx, in.Ref)
	if err != nil {
		return DescribeResourceOut{}, err
	}
	c, err := b.open()
	if err != nil {
		return DescribeResourceOut{}, err
	}
	config := c.boundConfig(ctx)
	describer, ok := describe.DescriberFor(t.GroupVersion().WithKind(t.Kind).GroupKind(), config)
	if !ok {
		describer, ok = describe.GenericDescriberFor(t.mapping(), config)
	}
	if !ok {
		return DescribeResourceOut{}, mcpkit.Errorf(mcpkit.Invalid, "%s cannot be described; use k8s_get_resource_yaml", t)
	}
	text, err := describer.Describe(obj.GetNamespace(), obj.GetName(), describe.DescriberSettings{ShowEvents: true, ChunkSize: pageSize})
	if err != nil {
		return DescribeResourceOut{}, translate(err, "describe "+named(t.String(), obj.GetNamespace(), obj.GetName()))
	}
	return DescribeResourceOut{Description: text}, nil
}
