package deployed

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/model"
	"github.com/toolcrib/toolcrib/testbed/proc"
	"github.com/toolcrib/toolcrib/testbed/shop"
)

const samples = "../../api/kagent/v1alpha2/testdata/samples/"

const agent = "k8s-troubleshooter"

// The servers have the names that the sample looks for. One of its tools is
// still to be granted.
const (
	sampleKubernetes = `
remoteMCPServer: {name: kagent-tool-server}
callers:
- {kind: ServiceAccount, namespace: kagent, name: k8s-troubleshooter, tools: [k8s_get_resources, k8s_get_pod_logs]}
write: {enabled: true}
`
	samplePrometheus = `
remoteMCPServer: {name: prometheus-tool-server}
callers:
- {kind: ServiceAccount, namespace: kagent, name: k8s-troubleshooter, tools: [prometheus_query]}
prometheus:
  url: http://prometheus.monitoring.svc:9090
`
)

// asks says what the model was told to be.
const asks = `
about: Says what the system message says first.
rules:
- name: say it
  when: {system: '(?s)^(?P<first>[^\n]+)'}
  say: ${first}
`

// The sample's Agent and ModelConfig, exactly as they stand, with the charts
// around them and a scripted model that its pod reaches through a gateway.
func TestTheSamplesRun(t *testing.T) {
	thinks := script(t)
	for _, file := range []string{"testdata/prometheus.yaml", "testdata/kagent.yaml"} {
		manifests, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, cluster.Apply(limit(t), manifests))
	}
	require.NoError(t, cluster.Apply(limit(t), shop.Manifests))
	install(t, "toolcrib", "controller", fmt.Sprintf("modelGateways: {Anthropic: %q}\n", thinks.gateway))
	install(t, "kagent", "kubernetes", sampleKubernetes)
	install(t, "kagent", "prometheus", samplePrometheus)
	kubectl(t, "apply", "-f", samples+"modelconfig.yaml", "-f", samples+"agent.yaml")
	kubectl(t, "wait", "-n", "kagent", "agent/"+agent, "--for=condition=Ready", "--timeout=15m")
	kubectl(t, "wait", "-n", "shop", "pod", "-l", "app=checkout", "--for=jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=1", "--timeout=15m")

	t.Run("its pod runs our image and keeps the restricted standard", theAgentsPod)
	t.Run("a tool that is not granted is refused", aToolIsGrantedByWhoeverOwnsIt)
	t.Run("an AgentRun names the cause", anAgentRunNamesTheCause)
	t.Run("A2A names the cause", overA2A)
	t.Run("the model was given the key of the Secret, and nobody tells it", func(t *testing.T) { theKeyStaysSecret(t, thinks) })
	t.Run("rollout undo brings the old prompt back", func(t *testing.T) { undoBringsThePromptBack(t, thinks) })
	t.Run("deleting it leaves nothing", deletingLeavesNothing)
}

// scripted is a model server outside of the cluster, and where pods reach it.
type scripted struct {
	*model.Server
	gateway string
}

func script(t *testing.T) scripted {
	t.Helper()
	scenario, err := model.Shipped("crash-loop")
	require.NoError(t, err)
	s, err := model.Start(model.Options{Scenario: scenario, Key: "the-key-of-the-model"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	l, err := cluster.Listen(limit(t))
	require.NoError(t, err)
	front := &http.Server{Handler: s}
	t.Cleanup(func() { require.NoError(t, front.Close()) })
	go func() { _ = front.Serve(l) }()
	return scripted{s, "http://" + l.Addr().String()}
}

func theAgentsPod(t *testing.T) {
	tag, err := appVersion("controller")
	require.NoError(t, err)
	onePod(t)
	pod := []string{"get", "pods", "-n", "kagent", "-l", "toolcrib.dev/agent=" + agent, "-o"}
	require.Equal(t, "toolcrib/agentcore:"+tag, kubectl(t, append(pod, "jsonpath={.items[*].spec.containers[*].image}")...))
	require.Equal(t, "true", kubectl(t, append(pod, "jsonpath={.items[*].spec.securityContext.runAsNonRoot}")...))
	require.Equal(t, "true", kubectl(t, append(pod, "jsonpath={.items[*].spec.containers[*].securityContext.readOnlyRootFilesystem}")...))
	require.Equal(t, `["ALL"]`, kubectl(t, append(pod, "jsonpath={.items[*].spec.containers[*].securityContext.capabilities.drop}")...))
	require.NoError(t, proc.Until(limit(t), "the Service to lead to the pod", 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		metrics, err := cluster.Kubectl(ctx, "get", "--raw", "/api/v1/namespaces/kagent/services/"+agent+":metrics/proxy/metrics")
		return strings.Contains(string(metrics), "# TYPE agent_runs_elsewhere gauge"), err
	}))
}

// onePod waits until the agent's earlier pods are gone.
func onePod(t *testing.T) {
	t.Helper()
	require.NoError(t, proc.Until(limit(t), "the earlier pods to be gone", 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		pods, err := cluster.Kubectl(ctx, "get", "pods", "-n", "kagent", "-l", "toolcrib.dev/agent="+agent, "-o", "name")
		return len(strings.Fields(string(pods))) == 1, err
	}))
}

// aToolIsGrantedByWhoeverOwnsIt takes the line that grants it from the Agent.
func aToolIsGrantedByWhoeverOwnsIt(t *testing.T) {
	server := find(t, "kagent", "crib-kubernetes")
	asAgent := server.session(t, requested(t, "kagent", agent, "--audience=crib-kubernetes.kagent.svc"))
	require.ElementsMatch(t, []string{"k8s_get_resources", "k8s_get_pod_logs"}, tools(t, asAgent))
	events := map[string]any{"namespace": "shop"}
	a := asAgent.Call("k8s_get_events", events)
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "system:serviceaccount:kagent:k8s-troubleshooter may not call k8s_get_events")

	lacks := kubectl(t, "get", "-n", "kagent", "agent/"+agent, "-o", `jsonpath={.status.conditions[?(@.type=="ToolsGranted")].message}`)
	require.Contains(t, lacks, "it may not call k8s_get_events")
	command := regexp.MustCompile(`kubectl .*`).FindString(lacks)
	require.NotEmpty(t, command, lacks)
	asPerson(t, cluster.Kubeconfig, "", command)
	kubectl(t, "wait", "-n", "kagent", "agent/"+agent, "--for=condition=ToolsGranted", "--timeout=15m") // looked at every half minute
	require.Eventually(t, func() bool { return !asAgent.Call("k8s_get_events", events).IsError }, 15*time.Minute, 200*time.Millisecond)
}

// asPerson runs a line of a shell as whoever the kubeconfig is for.
func asPerson(t *testing.T, kubeconfig, stdin, line string) string {
	t.Helper()
	cmd := exec.CommandContext(limit(t), "sh", "-c", line)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+filepath.Dir(cluster.KubectlPath())+":"+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", line, out)
	return strings.TrimSpace(string(out))
}

// namesTheCause is what only the shop's own log says, and that the agent looked
// at it through its tools.
func namesTheCause(t *testing.T, answer string) {
	t.Helper()
	require.Regexp(t, `Pod checkout-\S+ in namespace shop crash-loops`, answer)
	require.Contains(t, answer, "Cause: cannot connect to database: lookup orders-db.shop.svc: no such host")
}
