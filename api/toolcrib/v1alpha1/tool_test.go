package v1alpha1_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestToolsAreGrantedAndNeverMade(t *testing.T) {
	err := cluster.Apply(t.Context(), []byte(`{apiVersion: toolcrib.dev/v1alpha1, kind: Tool, metadata: {name: shelf, namespace: tools}}`))
	require.ErrorContains(t, err, "tools are granted by name and never made: bind callers to a role with the verb call on tools.toolcrib.dev")
}

func TestKubectlKnowsTools(t *testing.T) {
	for _, args := range [][]string{
		{"create", "role", "reads", "--verb=call", "--resource=tools.toolcrib.dev", "--resource-name=k8s_get_resources"},
		{"create", "rolebinding", "reads", "--role=reads", "--serviceaccount=agents:reader"},
	} {
		_, err := cluster.Kubectl(t.Context(), append(args, "-n", "tools")...)
		require.NoError(t, err)
		t.Cleanup(func() { _, _ = cluster.Kubectl(context.Background(), "-n", "tools", "delete", args[1], "reads") })
	}
	for tool, want := range map[string]string{"k8s_get_resources": "yes\n", "k8s_delete_resource": "no\n"} {
		out, _ := cluster.Kubectl(t.Context(), "-n", "tools", "auth", "can-i", "call", "tools.toolcrib.dev/"+tool, "--as=system:serviceaccount:agents:reader")
		require.Equal(t, want, string(out), tool) // kubectl fails on a no
	}
}
