package testbed

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// as runs kubectl with another kubeconfig and returns all it prints.
func as(t *testing.T, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(limit(t), node.KubectlPath(), append([]string{"--kubeconfig", kubeconfig}, args...)...).CombinedOutput()
	return string(out), err
}

func TestServiceAccountAndAudit(t *testing.T) {
	viewer, err := node.ServiceAccount(limit(t), "access", "viewer", "view")
	require.NoError(t, err)
	mark, err := node.AuditMark()
	require.NoError(t, err)

	_, err = as(t, viewer, "get", "configmap", "kube-root-ca.crt", "-n", "default")
	require.NoError(t, err)
	out, err := as(t, viewer, "delete", "configmap", "kube-root-ca.crt", "-n", "default")
	require.Error(t, err)
	require.Contains(t, out, "Forbidden")

	events, err := node.Audit(mark)
	require.NoError(t, err)
	codes := map[string]int{}
	for _, e := range events {
		if e.User == "system:serviceaccount:access:viewer" && e.Resource == "configmaps" && e.Name == "kube-root-ca.crt" {
			codes[e.Verb] = e.Code
			require.Contains(t, e.UserAgent, "kubectl/v1.36.4")
			require.Equal(t, "default", e.Namespace)
		}
	}
	require.Equal(t, map[string]int{"get": 200, "delete": 403}, codes)
}

func TestUser(t *testing.T) {
	alice, err := node.UserKubeconfig(limit(t), "alice", "developers")
	require.NoError(t, err)
	out, err := as(t, alice, "auth", "whoami")
	require.NoError(t, err)
	require.Contains(t, out, "alice")
	require.Contains(t, out, "developers")
	out, err = as(t, alice, "get", "pods")
	require.Error(t, err)
	require.Contains(t, out, `User "alice" cannot list resource "pods"`)
}

func TestExistingCluster(t *testing.T) {
	t.Setenv(KubeconfigVariable, node.Kubeconfig)
	t.Setenv("PATH", node.KubectlPath()[:len(node.KubectlPath())-len("/kubectl")]+":/bin")
	c, err := Start(limit(t), Options{Tier: Node})
	require.NoError(t, err)
	require.True(t, c.External())
	reader, err := c.ServiceAccount(limit(t), "access", "reader", "view")
	require.NoError(t, err)
	_, err = as(t, reader, "get", "pods", "-A")
	require.NoError(t, err)
	_, err = c.Audit(0)
	require.ErrorIs(t, err, errExternal)
	require.NoError(t, c.Stop())
	require.NoFileExists(t, reader)
	require.NotEmpty(t, output(t, "get", "nodes", "-o", "name"), "the cluster itself still runs")
}

// The API server learns of grants a moment after they are made.
func TestWhatIsGrantedCountsAtOnce(t *testing.T) {
	client, err := node.unrecorded()
	require.NoError(t, err)
	t.Cleanup(client.Close)
	for i := range 10 {
		user := fmt.Sprint("grantee-", i)
		require.NoError(t, node.Apply(limit(t), fmt.Appendf(nil, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: %[1]s, namespace: kube-public}
rules: [{apiGroups: [toolcrib.test], resources: [grants], verbs: [use]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %[1]s, namespace: kube-public}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[1]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
`, user)))
		ok, err := allowed(limit(t), client, user)
		require.NoError(t, err)
		require.True(t, ok, user)
	}
	require.NotContains(t, output(t, "get", "clusterroles,clusterrolebindings,roles,rolebindings", "-A", "-o", "name"), "/toolcrib-", "nothing is left of the wait")
}
