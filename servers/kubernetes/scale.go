package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/types"
)

var scale = mcpkit.Tool{
	Name:        "k8s_scale",
	Title:       "Scale a workload",
	Description: "Sets how many replicas a deployment, stateful set, replica set or any custom resource with a scale has. Where a HorizontalPodAutoscaler sets them, patch that instead.",
	Rules: []mcpkit.Rule{
		{Groups: []string{""}, Resources: []string{"replicationcontrollers/scale"}, Verbs: []string{"get", "patch"}},
		{Groups: []string{"apps"}, Resources: []string{"deployments/scale", "replicasets/scale", "statefulsets/scale"}, Verbs: []string{"get", "patch"}},
		readRule("", "replicationcontrollers"),
		readRule("apps", "deployments", "replicasets", "statefulsets"),
		readRule("autoscaling", "horizontalpodautoscalers"),
	},
	Idempotent: true,
}

type ScaleIn struct {
	Name         string `json:"name"`
	Namespace    string `json:"namespace,omitempty" jsonschema:"default if absent"`
	Replicas     int    `json:"replicas"`
	ResourceType string `json:"resource_type,omitempty" jsonschema:"deployment if absent"`
}

func (ScaleIn) Constrain(p mcpkit.Properties) {
	p["name"].Description = "name of the workload"
	p["replicas"].Description = "how many there should be; 0 stops it"
	p["replicas"].Minimum = new(0.0)
}

func (b *Backend) planScale(ctx context.Context, in ScaleIn) (mcpkit.Plan, error) {
	ref := Ref{ResourceType: cmp.Or(in.ResourceType, "deployments.apps"), ResourceName: in.Name, Namespace: in.Namespace}
	obj, t, err := b.get(ctx, ref)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	plan, err := b.plan(ctx, change{
		action: patching, t: t, namespace: obj.GetNamespace(), name: in.Name, subresource: "scale",
		patchType: types.MergePatchType, patch: fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, in.Replicas),
		now: replicasNow(obj),
	})
	if known, ok := errors.AsType[*mcpkit.Error](err); ok && known.Kind == mcpkit.NotFound { // the object itself was just there
		return plan, mcpkit.Errorf(mcpkit.Invalid, "%s have no scale, so there is no number of replicas to set", t)
	}
	return plan, err
}
