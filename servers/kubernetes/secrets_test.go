package kubernetes

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// The secrets of disguised, in the clear. None may come out of any tool.
const (
	plantedPassword = "correct-horse-battery-9"
	plantedToken    = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0b29sY3JpYiJ9.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
	plantedURLPass  = "url-pa55word"
	plantedKeyData  = "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVFSUFCUHJpdmF0ZWtleW1hdGVyaWFsMTIzNDU2Nzg5MEFCQ0RFRgotLS0tLUVORCBFQyBQUklWQVRFIEtFWS0tLS0tCg=="
)

// disguised hides them everywhere people leave them.
var disguised = fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata:
  name: vault
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{"apiVersion":"v1","kind":"Secret","data":{"password":"%[2]s"}}'
stringData: {password: %[1]s, token: %[3]s}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: kubeconfig
data:
  config: |
    users:
    - name: admin
      user:
        client-key-data: %[5]s
        token: %[3]s
  dsn: postgres://shop:%[4]s@orders-db:5432/orders
---
apiVersion: v1
kind: Pod
metadata:
  name: leaky
  labels: {app: leaky}
  annotations:
    callback: https://shop:%[4]s@hooks.example.com/x
    note: "tags\U000E0041\U000E0042 and zero\u200Bwidth"
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: toolcrib.test/busybox:1
    command: [sh, -c, 'echo "level=info msg=login password=%[1]s"; echo "Authorization: Bearer %[3]s"; sleep 3600']
    env:
    - {name: DB_PASSWORD, value: %[1]s}
    - {name: DB_URL, value: "postgres://shop:%[4]s@orders-db:5432/orders"}
`, plantedPassword, base64.StdEncoding.EncodeToString([]byte(plantedPassword)), plantedToken, plantedURLPass, plantedKeyData)

// every call here would show a secret to a tool that did not redact.
func leakyCalls(ns string) []map[string]any {
	one := func(kind, name string) map[string]any {
		return map[string]any{"resource_type": kind, "resource_name": name, "namespace": ns}
	}
	return []map[string]any{
		{"tool": "k8s_get_resource_yaml", "args": one("secret", "vault")},
		{"tool": "k8s_get_resource_yaml", "args": one("cm", "kubeconfig")},
		{"tool": "k8s_get_resource_yaml", "args": one("pod", "leaky")},
		{"tool": "k8s_describe_resource", "args": one("secret", "vault")},
		{"tool": "k8s_describe_resource", "args": one("cm", "kubeconfig")},
		{"tool": "k8s_describe_resource", "args": one("pod", "leaky")},
		{"tool": "k8s_get_resources", "args": map[string]any{"resource_type": "secrets", "namespace": ns, "fields": []string{".data", ".metadata.annotations"}}},
		{"tool": "k8s_get_resources", "args": map[string]any{"resource_type": "pods", "namespace": ns, "fields": []string{".spec.containers[*].env", ".metadata.annotations"}}},
		{"tool": "k8s_get_pod_logs", "args": map[string]any{"pod_name": "leaky", "namespace": ns}},
		{"tool": "k8s_diagnose", "args": one("pod", "leaky")},
		{"tool": "k8s_list_changes", "args": map[string]any{"namespace": ns, "since": "10m"}},
	}
}

func TestSecretsNeverComeOut(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, disguised)
	s := reading(t)
	within(t, "the pod has logged", func() bool {
		return strings.Contains(s.Call("k8s_get_pod_logs", map[string]any{"pod_name": "leaky", "namespace": ns}).Text, "Authorization")
	})
	for _, c := range leakyCalls(ns) {
		a := s.Call(c["tool"].(string), c["args"].(map[string]any))
		require.False(t, a.IsError, "%v: %s", c, a.Text)
		for _, form := range []string{a.Text, string(a.JSON)} {
			for _, planted := range []string{plantedPassword, plantedToken, plantedURLPass, plantedKeyData} {
				require.NotContains(t, form, planted, "%v", c)
				require.NotContains(t, form, base64.StdEncoding.EncodeToString([]byte(planted)), "%v", c)
			}
			require.NotContains(t, form, "\U000E0041", "%v", c)
			require.NotContains(t, form, "\u200b", "%v", c)
		}
	}
}

func TestTheSameSecretHasTheSameFingerprint(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, disguised)
	s := reading(t)
	mark := regexp.MustCompile(`(?:password|value): (redacted:[0-9a-f]{8})`)
	secret := s.Call("k8s_get_resource_yaml", map[string]any{"resource_type": "secret", "resource_name": "vault", "namespace": ns})
	pod := s.Call("k8s_get_resource_yaml", map[string]any{"resource_type": "pod", "resource_name": "leaky", "namespace": ns})
	inSecret, inPod := mark.FindStringSubmatch(secret.Text), mark.FindStringSubmatch(pod.Text)
	require.NotNil(t, inSecret, secret.Text)
	require.NotNil(t, inPod, pod.Text)
	require.Equal(t, inSecret[1], inPod[1])
}

func TestExpiredTokenIsSaid(t *testing.T) {
	t.Parallel()
	s := serve(t, over(tokenKubeconfig(t, plantedToken), "kubernetes-mcp/test"), mcpkit.AccessRead, nil)
	a := s.Call("k8s_get_resources", map[string]any{"resource_type": "pods"})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: the cluster rejects this server's credentials")
	require.NotContains(t, a.Text, plantedToken)
}
