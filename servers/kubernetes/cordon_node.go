package kubernetes

import (
	"context"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/types"
)

var cordonNode = mcpkit.Tool{
	Name:        "k8s_cordon_node",
	Title:       "Cordon a node",
	Description: "Keeps new pods off a node; those on it stay. To move them off too use k8s_drain_node, which cordons first.",
	Rules:       nodeRules,
	Idempotent:  true,
}

var uncordonNode = mcpkit.Tool{
	Name:        "k8s_uncordon_node",
	Title:       "Uncordon a node",
	Description: "Lets new pods onto a node again, after k8s_cordon_node or k8s_drain_node.",
	Rules:       nodeRules,
	Idempotent:  true,
}

// nodeRules are what setting a node's schedulability takes.
var nodeRules = []mcpkit.Rule{{Groups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "patch"}}}

type NodeIn struct {
	Name string `json:"name" jsonschema:"name of the node"`
}

func (b *Backend) planCordon(ctx context.Context, in NodeIn) (mcpkit.Plan, error) {
	ch, err := b.schedulability(ctx, in.Name, cordoned)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	return b.plan(ctx, ch)
}

func (b *Backend) planUncordon(ctx context.Context, in NodeIn) (mcpkit.Plan, error) {
	ch, err := b.schedulability(ctx, in.Name, uncordoned)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	return b.plan(ctx, ch)
}

// Patches of a node.
const (
	cordoned   = `{"spec":{"unschedulable":true}}`
	uncordoned = `{"spec":{"unschedulable":null}}`
)

// schedulability is the change that cordons a node or lets it be scheduled to.
func (b *Backend) schedulability(ctx context.Context, name, patch string) (change, error) {
	ch, err := b.changeOf(ctx, patching, Ref{ResourceType: "nodes", ResourceName: name})
	ch.patchType, ch.patch = types.MergePatchType, []byte(patch)
	return ch, err
}
