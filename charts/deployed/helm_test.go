package deployed

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const helmValues = `
callers:
- {kind: ServiceAccount, namespace: agents, name: troubleshooter}
write:
  enabled: true
  callers:
  - {kind: ServiceAccount, namespace: agents, name: troubleshooter}
`

// Without more being said the tools see the release's own namespace alone: Helm
// keeps its releases in Secrets.
func TestHelm(t *testing.T) {
	install(t, "crib", "helm", helmValues)
	s := find(t, "crib", "crib-helm").session(t, requested(t, "agents", "troubleshooter", "--audience=crib-helm.crib.svc"))
	require.ElementsMatch(t, granted(t, "helm/files/read.yaml").Tools, tools(t, s))
	write := find(t, "crib", "crib-helm-write").session(t, requested(t, "agents", "troubleshooter", "--audience=crib-helm-write.crib.svc"))
	require.ElementsMatch(t, granted(t, "helm/files/write.yaml").Tools, tools(t, write))
	a := s.Call("helm_get_status", map[string]any{"name": "crib-helm", "namespace": "crib"})
	require.False(t, a.IsError, a.Text)
	require.Contains(t, a.Text, "chart: helm-")
	a = s.Call("helm_list_releases", map[string]any{"namespace": "shop"})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied")
	cannotWrite(t, "helm", "crib")
}
