package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestCordonAndUncordonAreGated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tool                 mcpkit.Tool
		shown, before, after string
	}{
		{cordonNode, "+ spec.unschedulable: true", "null", "true"},
		{uncordonNode, "- spec.unschedulable: true", "true", "null"},
	} {
		t.Run(c.tool.Name, func(t *testing.T) {
			t.Parallel()
			node := simulatedNode(t)
			poke(t, "node", "", node, `{"spec":{"unschedulable":`+c.before+`}}`)
			requireGated(t, gatedWrite{
				Tool: c.tool, Args: map[string]any{"name": node},
				Shown:   []string{`nodes "` + node + `"`, c.shown},
				State:   func() string { return at(t, "node", "", node, "spec.unschedulable") },
				Before:  c.before,
				After:   c.after,
				Disturb: func() { poke(t, "node", "", node, `{"metadata":{"labels":{"a":"b"}}}`) },
				Restore: func() {},
			})
			requireDenied(t, c.tool, map[string]any{"name": node})
			a := writing(t, admin(t), &person{}).Call(c.tool.Name, map[string]any{"name": node + "x"})
			require.True(t, a.IsError)
			require.Contains(t, a.Text, `not_found: no nodes "`+node+`x"; the nearest names are `+node)
		})
	}
}

func TestCordonOutlivesANodeThatFails(t *testing.T) {
	t.Parallel()
	node := simulatedNode(t)
	taint := func(manager, key string) func() {
		patch := `{"spec":{"taints":[{"key":"toolcrib.test/simulated","effect":"NoSchedule"},{"key":"` + key + `","effect":"NoSchedule"}]}}`
		return func() {
			_, err := testClients(t).typed.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: manager})
			require.NoError(t, err)
		}
	}
	p := &person{Says: "accept", First: taint("kube-controller-manager", "node.kubernetes.io/unreachable")}
	a := writing(t, admin(t), p).Call("k8s_cordon_node", map[string]any{"name": node})
	require.Contains(t, a.Text, "result: done")
	p.First = taint("kubectl", "node.kubernetes.io/out-of-service")
	a = writing(t, admin(t), p).Call("k8s_uncordon_node", map[string]any{"name": node})
	require.Contains(t, a.Text, "conflict: what this plan rests on changed")
}
