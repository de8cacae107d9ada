package images

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The namespace takes no pod that could do more than the servers need to.
const pod = `
apiVersion: v1
kind: Namespace
metadata: {name: images, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Pod
metadata: {name: prometheus-mcp, namespace: images}
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: server
    image: toolcrib/prometheus-mcp:v1.2.3
    imagePullPolicy: Never
    args: ["--http=:8080", "--allowed-hosts=*", "--auth=none", "--insecure-no-auth"]
    readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
`

func TestAPodRunsTheImageUnderTheRestrictedStandard(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "prometheus-mcp.tar")
	require.NoError(t, built(t, release, binary("amd64", prometheus)).Write(archive))
	require.NoError(t, node.LoadArchive(limit(t), archive))
	require.NoError(t, node.Apply(limit(t), []byte(pod)))
	_, err := node.Kubectl(limit(t), "wait", "-n", "images", "pod/prometheus-mcp", "--for=condition=Ready", "--timeout=10m")
	require.NoError(t, err)

	out, err := node.Kubectl(limit(t), "exec", "-n", "images", "prometheus-mcp", "--", "/prometheus-mcp", "version")
	require.NoError(t, err)
	require.Equal(t, "prometheus-mcp", strings.Fields(string(out))[0])
	_, err = node.Kubectl(limit(t), "exec", "-n", "images", "prometheus-mcp", "--", "sh")
	require.ErrorContains(t, err, `exec: "sh": executable file not found`)
}
