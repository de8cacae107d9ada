package coldstart

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller"
	"github.com/toolcrib/toolcrib/controller/controllertest"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/proc"
	"github.com/toolcrib/toolcrib/testbed/served"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	cluster    *testbed.Cluster
	kubeconfig string
	admin      client.Client
)

func TestMain(m *testing.M) {
	os.Exit(testbed.Main(m, testbed.Options{}, func(c *testbed.Cluster) {
		cluster = c
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
		defer cancel()
		config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
		if err == nil {
			admin, err = client.New(config, client.Options{Scheme: controller.Scheme()})
		}
		if err == nil {
			kubeconfig, err = controllertest.Install(ctx, c, "../../charts")
		}
		if err != nil {
			panic(err)
		}
	}))
}

func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// declare declares agents and tool servers in a new namespace.
func declare(t testing.TB, namespace string, agents, servers int) {
	t.Helper()
	s := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	for _, name := range []string{"look", "list", "write"} {
		mcp.AddTool(s, &mcp.Tool{Name: name, Description: "A tool."}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{}, nil, nil
		})
	}
	h := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil))
	t.Cleanup(h.Close)
	var b bytes.Buffer
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", namespace)
	fmt.Fprintf(&b, "---\napiVersion: kagent.dev/v1alpha2\nkind: ModelConfig\nmetadata: {name: default-model-config, namespace: %s}\nspec: {provider: ollama, model: small}\n", namespace)
	for i := range servers {
		fmt.Fprintf(&b, "---\napiVersion: kagent.dev/v1alpha2\nkind: RemoteMCPServer\nmetadata: {name: s%d, namespace: %s, annotations: {toolcrib.dev/audience: s%d.test.svc}}\nspec: {description: d, url: %s}\n", i, namespace, i, h.URL)
	}
	for i := range agents {
		fmt.Fprintf(&b, "---\napiVersion: kagent.dev/v1alpha2\nkind: Agent\nmetadata: {name: a%d, namespace: %s}\nspec: {declarative: {systemMessage: Look., tools: [{mcpServer: {name: s%d, toolNames: [look, list]}}, {mcpServer: {name: s%d, toolNames: [look]}}]}}\n", i, namespace, i%servers, (i+1)%servers)
	}
	require.NoError(t, cluster.Apply(limit(t), b.Bytes()))
}

// process is the controller as it is released.
type process struct {
	*proc.Process
	metrics string
}

func start(t testing.TB, namespace string, more ...string) process {
	t.Helper()
	program, err := served.Build("github.com/toolcrib/toolcrib/controller/cmd/controller")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(filepath.Dir(program))) })
	ports, err := proc.FreePorts(1)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	group := &proc.Group{Logs: t.TempDir()}
	flags := append([]string{"--kubeconfig", kubeconfig, "--watch-namespaces", namespace, "--metrics-address", address, "--probes-address", "0", "--log-level", "warn"}, more...)
	p, err := group.Start("controller", program, flags...)
	require.NoError(t, err)
	t.Cleanup(func() { group.Stop(30 * time.Second) })
	return process{p, "http://" + address + "/metrics"}
}

// up waits until all agents are rolled out and all servers discovered.
func up(t testing.TB, p process, namespace string, agents, servers int) {
	t.Helper()
	require.NoError(t, proc.Until(limit(t), "everything to be up", 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		var s kagent.RemoteMCPServerList
		if err := admin.List(ctx, &s, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		for _, server := range s.Items {
			if !meta.IsStatusConditionTrue(server.Status.Conditions, "Accepted") {
				return false, nil
			}
		}
		var a kagent.AgentList
		if err := admin.List(ctx, &a, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		for _, agent := range a.Items {
			if !meta.IsStatusConditionTrue(agent.Status.Conditions, "Accepted") || agent.Status.TargetRevision == "" {
				return false, nil
			}
		}
		return len(s.Items) == servers && len(a.Items) == agents, nil
	}, p.Process))
}

var counter = regexp.MustCompile(`(?m)^controller_runtime_reconcile_total\{controller="agent",result="([a-z_]+)"\} ([0-9.e+]+)$`)

// reconciled is how often Agents have been reconciled.
func (p process) reconciled(t testing.TB) int {
	t.Helper()
	response, err := http.Get(p.metrics)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	sum := 0.0
	for _, m := range counter.FindAllSubmatch(text, -1) {
		n, err := strconv.ParseFloat(string(m[2]), 64)
		require.NoError(t, err)
		sum += n
	}
	return int(sum)
}

// resync has every agent reconciled once more.
func (p process) resync(t testing.TB, namespace string, agents, round int) {
	t.Helper()
	before := p.reconciled(t)
	_, err := cluster.Kubectl(limit(t), "label", "namespace", namespace, "--overwrite", fmt.Sprintf("round=%d", round))
	require.NoError(t, err)
	require.NoError(t, proc.Until(limit(t), "all agents to be reconciled", 50*time.Millisecond, func(context.Context) (bool, error) {
		return p.reconciled(t) >= before+agents, nil
	}, p.Process))
}

var resident = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// memory is the process's resident memory in MiB.
func (p process) memory(t testing.TB) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	require.NoError(t, err)
	kb, err := strconv.Atoi(string(resident.FindSubmatch(status)[1]))
	require.NoError(t, err)
	return float64(kb) / 1024
}

// cpu is the processor time that the process has taken.
func (p process) cpu(t testing.TB) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var ticks int
	for _, field := range fields[11:13] { // of a hundredth of a second, for itself and in the kernel
		n, err := strconv.Atoi(field)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func TestManyAgentsComeUpAndThenNothingIsWritten(t *testing.T) {
	const agents, servers = 50, 5
	declare(t, "cold", agents, servers)
	p := start(t, "cold")
	up(t, p, "cold", agents, servers)
	round := 0
	require.NoError(t, proc.Until(limit(t), "rest", 100*time.Millisecond, func(context.Context) (bool, error) { // from what began before
		mark, err := cluster.AuditMark()
		require.NoError(t, err)
		for range 10 {
			round++
			p.resync(t, "cold", agents, round)
		}
		written := writes(t, mark)
		return len(written) == 0, fmt.Errorf("writes after %d rounds: %v", round, written)
	}, p.Process))
}

// writes are the controller's since mark, but for questions, which are made by
// creating them, and for events: the library that makes them notes minutes later
// that one is over.
func writes(t testing.TB, mark testbed.AuditMark) []string {
	t.Helper()
	events, err := cluster.Audit(mark)
	require.NoError(t, err)
	var out []string
	for _, e := range events {
		if e.User != "system:serviceaccount:toolcrib:toolcrib-controller" || e.Resource == "subjectaccessreviews" {
			continue
		}
		if e.Verb != "get" && e.Verb != "list" && e.Verb != "watch" && e.Resource != "events" {
			out = append(out, e.Verb+" "+e.Resource+" "+e.Name)
		}
	}
	return out
}

// BenchmarkColdStart brings up 500 agents of 50 servers and looks at them again
// ten times. Memory must not grow, and nothing must be written.
func BenchmarkColdStart(b *testing.B) {
	const agents, servers = 500, 50
	for i := range b.N {
		namespace := fmt.Sprintf("bench%d", i)
		declare(b, namespace, agents, servers)
		began := time.Now()
		p := start(b, namespace)
		up(b, p, namespace, agents, servers)
		b.ReportMetric(time.Since(began).Seconds(), "s/start")
		b.ReportMetric(p.cpu(b).Seconds(), "cpu-s/start")
		for round := range 5 {
			p.resync(b, namespace, agents, round)
		}
		b.ReportMetric(p.memory(b), "MiB-after-5")
		mark, err := cluster.AuditMark()
		require.NoError(b, err)
		for round := range 5 {
			p.resync(b, namespace, agents, 100+round)
		}
		b.ReportMetric(p.memory(b), "MiB-after-10")
		require.Empty(b, writes(b, mark))
		_, err = cluster.Kubectl(limit(b), "delete", "namespace", namespace)
		require.NoError(b, err)
	}
}
