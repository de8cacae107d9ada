package deployed

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const kubernetesValues = `
callers:
- {kind: ServiceAccount, namespace: agents, name: troubleshooter}
- {kind: ServiceAccount, namespace: agents, name: junior, tools: [k8s_get_resources]}
write:
  enabled: true
  callers:
  - {kind: ServiceAccount, namespace: agents, name: troubleshooter}
`

// The chart is installed once for all that a read and a write server promise.
func TestKubernetes(t *testing.T) {
	install(t, "crib", "kubernetes", kubernetesValues)
	t.Run("an agent's pod reads through the Service", func(t *testing.T) {
		s := find(t, "crib", "crib-kubernetes").session(t, projected(t, "kubernetes"))
		require.ElementsMatch(t, granted(t, "kubernetes/files/read.yaml").Tools, tools(t, s))
		a := s.Call("k8s_get_resources", map[string]any{"resource_type": "configmaps", "namespace": "shop", "label_selector": "tier=web"})
		require.Contains(t, a.Text, "settings")
	})
	t.Run("an agent's pod calls by name", callFromPod)
	t.Run("a caller sees what it is granted", callersSeeWhatTheyAreGranted)
	t.Run("a token of another audience is refused", otherAudiencesAreRefused)
	t.Run("the read server cannot write", func(t *testing.T) { cannotWrite(t, "kubernetes", "") })
	t.Run("a write waits for a person", aWriteWaitsForAPerson)
	t.Run("the API server takes the policies", theAPIServerTakesThePolicies)
}

// callFromPod is the way of a real client: its own pod, DNS, the Service.
func callFromPod(t *testing.T) {
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	out := kubectl(t, "exec", "-n", "agents", "troubleshooter", "--", "sh", "-c",
		`wget -q -O - --header "Authorization: Bearer $(cat /tokens/kubernetes)" --header "Content-Type: application/json" --header "Accept: application/json, text/event-stream" --post-data '`+list+`' http://crib-kubernetes.crib.svc:8080/mcp`)
	require.Contains(t, out, `"name":"k8s_diagnose"`)
	require.NotContains(t, out, `"name":"k8s_delete_resource"`)
}

func callersSeeWhatTheyAreGranted(t *testing.T) {
	server := find(t, "crib", "crib-kubernetes")
	audience := "--audience=crib-kubernetes.crib.svc"
	junior := server.session(t, requested(t, "agents", "junior", audience))
	require.Equal(t, []string{"k8s_get_resources"}, tools(t, junior))
	a := junior.Call("k8s_get_events", map[string]any{"namespace": "shop"})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "system:serviceaccount:agents:junior may not call k8s_get_events")
	require.Empty(t, tools(t, server.session(t, requested(t, "agents", "stranger", audience))))
	write := find(t, "crib", "crib-kubernetes-write")
	require.Empty(t, tools(t, write.session(t, requested(t, "agents", "junior", "--audience=crib-kubernetes-write.crib.svc"))))
}

func otherAudiencesAreRefused(t *testing.T) {
	server := find(t, "crib", "crib-kubernetes")
	for _, token := range []string{projected(t, "kubernetes-write"), requested(t, "agents", "troubleshooter")} {
		require.Equal(t, 401, status(t, server, token))
	}
	require.Equal(t, 200, status(t, server, projected(t, "kubernetes")))
}

// aWriteWaitsForAPerson takes the command from the answer, as the person does.
func aWriteWaitsForAPerson(t *testing.T) {
	s := find(t, "crib", "crib-kubernetes-write").session(t, projected(t, "kubernetes-write"))
	require.ElementsMatch(t, granted(t, "kubernetes/files/write.yaml").Tools, tools(t, s))
	args := map[string]any{"resource_type": "configmaps", "resource_name": "settings", "namespace": "shop", "labels": map[string]any{"season": "winter"}}
	season := func() string {
		return kubectl(t, "get", "configmap", "settings", "-n", "shop", "-o", "jsonpath={.metadata.labels.season}")
	}
	a := s.Call("k8s_label_resource", args)
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "a person must approve this write first")
	require.Empty(t, season())

	var command string
	for line := range strings.Lines(a.Text) {
		if strings.HasPrefix(line, "kubectl ") {
			command = line
		}
	}
	ada, err := cluster.UserKubeconfig(limit(t), "ada")
	require.NoError(t, err)
	person := exec.CommandContext(limit(t), "sh", "-c", command)
	person.Env = append(os.Environ(), "KUBECONFIG="+ada, "PATH="+filepath.Dir(cluster.KubectlPath())+":"+os.Getenv("PATH"))
	out, err := person.CombinedOutput()
	require.NoError(t, err, "%s%s", command, out)

	a = s.Call("k8s_label_resource", args)
	require.False(t, a.IsError, a.Text)
	require.Equal(t, "winter", season())
	var approvals struct {
		Items []struct {
			Spec   struct{ Tool, Caller, Plan string }
			Status struct{ Decision, DecidedBy, ConsumedAt string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(kubectl(t, "get", "approvals", "-n", "crib", "-o", "json")), &approvals))
	require.Len(t, approvals.Items, 1)
	got := approvals.Items[0]
	require.Equal(t, "k8s_label_resource", got.Spec.Tool)
	require.Equal(t, "system:serviceaccount:agents:troubleshooter", got.Spec.Caller)
	require.Contains(t, got.Spec.Plan, "season")
	require.Equal(t, "Approved", got.Status.Decision)
	require.Equal(t, "ada", got.Status.DecidedBy)
	require.NotEmpty(t, got.Status.ConsumedAt)
}

// theAPIServerTakesThePolicies is all that can be said here: the cluster's
// network does not enforce them.
func theAPIServerTakesThePolicies(t *testing.T) {
	require.Equal(t, "crib-kubernetes crib-kubernetes-write", kubectl(t, "get", "networkpolicies", "-n", "crib", "-o", "jsonpath={.items[*].metadata.name}"))
}
