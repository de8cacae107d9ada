package deployed

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const identityValues = `
callers:
- {kind: ServiceAccount, namespace: agents, name: troubleshooter}
identity: {mode: caller}
`

// The agent may look into the shop, and the server into nothing.
func TestAServerActsAsTheAgentWhosePodCalls(t *testing.T) {
	install(t, "personal", "kubernetes", identityValues)
	s := find(t, "personal", "crib-kubernetes").session(t, projected(t, "personal"))
	mark, err := cluster.AuditMark()
	require.NoError(t, err)
	configMaps := func(namespace string) map[string]any {
		return map[string]any{"resource_type": "configmaps", "namespace": namespace}
	}
	a := s.Call("k8s_get_resources", configMaps("shop"))
	require.Contains(t, a.Text, "settings")
	a = s.Call("k8s_get_resources", configMaps("kube-system"))
	require.True(t, a.IsError, a.Text)
	require.Contains(t, a.Text, "denied")

	events, err := cluster.Audit(mark)
	require.NoError(t, err)
	codes := map[string]int{}
	for _, e := range events {
		if e.Resource == "configmaps" && e.User == "system:serviceaccount:personal:crib-kubernetes" {
			require.Equal(t, "system:serviceaccount:agents:troubleshooter", e.Impersonated)
			codes[e.Namespace] = e.Code
		}
	}
	require.Equal(t, map[string]int{"shop": 200, "kube-system": 403}, codes)
}
