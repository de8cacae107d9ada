package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/proc"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// What the controller is given, and what it may take for it.
const (
	benchAgents    = 500
	benchServers   = 50
	benchTools     = 10 // of each server
	maxCold        = time.Minute
	steadyRounds   = 3
	maxGrowth      = 1.1 // of its memory over the rounds after the first
	controllerUser = "system:serviceaccount:toolcrib:toolcrib-controller"
)

// Controller measures how long the controller takes from cold for many Agents
// and tool servers, and what it takes once nothing changes any more.
func Controller(ctx context.Context, w io.Writer, o Options) error {
	cluster, err := testbed.Start(ctx, testbed.Options{Progress: o.Progress})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	servers, err := manyServers()
	if err != nil {
		return err
	}
	defer servers.Close()
	f, err := newFleet(ctx, cluster, o.program("controller"), "http://"+servers.Addr().String())
	if err != nil {
		return err
	}
	if err := f.start(); err != nil {
		return err
	}
	defer f.stop()
	cold, err := f.cold(ctx)
	if err != nil {
		return err
	}
	steady, err := f.steady(ctx)
	if err != nil {
		return err
	}
	reportController(w, cold, steady)
	return nil
}

// steadiness is what the controller took while nothing had to be done.
type steadiness struct {
	resident []int // bytes, after each round
	writes   int   // in all rounds
	again    int   // writes of a controller that was started anew
}

func reportController(w io.Writer, cold time.Duration, s steadiness) {
	fmt.Fprintf(w, "\n## controller\n\n%d Agents and %d RemoteMCPServers with %d tools each, made before the controller starts. It is done when each server's tools are listed and each Agent is accepted and has its Deployment; no pods run. Then each object is reconciled again %d times with nothing to do, and once more by a controller that is started anew. It works as its own ServiceAccount; writes are those in the API server's audit log.\n", benchAgents, benchServers, benchTools, steadyRounds)
	first, last := s.resident[0], s.resident[len(s.resident)-1]
	fmt.Fprint(w, "\n| | | bar |\n|---|---|---|\n")
	fmt.Fprintf(w, "| from start to done | %.1f s | %.0f s %s |\n", cold.Seconds(), maxCold.Seconds(), verdict(cold <= maxCold))
	fmt.Fprintf(w, "| resident after the first round of nothing to do | %.1f MiB | |\n", mib(first))
	fmt.Fprintf(w, "| resident after the last | %.1f MiB | %.2f of the first %s |\n", mib(last), maxGrowth, verdict(float64(last) <= maxGrowth*float64(first)))
	fmt.Fprintf(w, "| writes in all these rounds | %d | 0 %s |\n", s.writes, verdict(s.writes == 0))
	fmt.Fprintf(w, "| writes of a controller that is started anew | %d | 0 %s |\n", s.again, verdict(s.again == 0))
}

func verdict(reached bool) string {
	if reached {
		return "reached"
	}
	return "**missed**"
}

// manyServers serves tools at every path, which is one server each.
func manyServers() (net.Listener, error) {
	s := mcp.NewServer(&mcp.Implementation{Name: "bench", Version: "1"}, nil)
	for i := range benchTools {
		mcp.AddTool(s, &mcp.Tool{Name: fmt.Sprintf("read_%d", i), Description: "Reads.", Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}},
			func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
				return &mcp.CallToolResult{}, nil, nil
			})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for tool servers: %w", err)
	}
	go func() {
		_ = http.Serve(listener, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil))
	}()
	return listener, nil
}

// fleet is a controller and what it has to reconcile.
type fleet struct {
	cluster *testbed.Cluster
	api     *http.Client
	host    string
	logs    string
	line    []string // program and arguments
	metrics string   // URL
	group   *proc.Group
	process *proc.Process
}

// newFleet brings the types, the controller's own roles and the objects.
func newFleet(ctx context.Context, cluster *testbed.Cluster, program, servers string) (*fleet, error) {
	if err := cluster.Install(ctx, "charts/locks/manifests", "charts/controller/manifests"); err != nil {
		return nil, fmt.Errorf("run this in the repository's folder: %w", err)
	}
	kubeconfig, err := cluster.ServiceAccount(ctx, "toolcrib", "toolcrib-controller", "toolcrib-controller")
	if err != nil {
		return nil, err
	}
	if err := cluster.Apply(ctx, fleetObjects(servers)); err != nil {
		return nil, err
	}
	ports, err := proc.FreePorts(1)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", cluster.Kubeconfig, err)
	}
	api, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", cluster.Kubeconfig, err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	return &fleet{
		cluster: cluster, api: api, host: config.Host, logs: cluster.Dir, metrics: "http://" + address + "/metrics",
		line: []string{program, "--kubeconfig=" + kubeconfig, "--metrics-address=" + address, "--probes-address=0", "--agent-image=toolcrib.test/agentcore:1", "--log-level=error"},
	}, nil
}

func fleetObjects(servers string) []byte {
	var b bytes.Buffer
	b.WriteString("apiVersion: v1\nkind: Namespace\nmetadata: {name: fleet}\n---\n" +
		"apiVersion: kagent.dev/v1alpha2\nkind: ModelConfig\nmetadata: {name: small, namespace: fleet}\nspec: {provider: Ollama, model: small, ollama: {host: \"http://ollama.models.svc:11434\"}}\n")
	for i := range benchServers {
		fmt.Fprintf(&b, "---\napiVersion: kagent.dev/v1alpha2\nkind: RemoteMCPServer\nmetadata: {name: server-%d, namespace: fleet}\nspec: {description: For the benchmark, url: \"%s/%d\"}\n", i, servers, i)
	}
	for i := range benchAgents {
		fmt.Fprintf(&b, "---\napiVersion: kagent.dev/v1alpha2\nkind: Agent\nmetadata: {name: agent-%d, namespace: fleet}\nspec:\n  type: Declarative\n  description: For the benchmark\n  declarative:\n    modelConfig: small\n    systemMessage: You help.\n    tools: [{type: McpServer, mcpServer: {apiGroup: kagent.dev, kind: RemoteMCPServer, name: server-%d, toolNames: [read_%d]}}]\n",
			i, i%benchServers, i%benchTools)
	}
	return b.Bytes()
}

func (f *fleet) start() (err error) {
	f.group = &proc.Group{Logs: f.logs}
	f.process, err = f.group.Start(filepath.Base(f.line[0]), f.line[0], f.line[1:]...)
	return err
}

func (f *fleet) stop() { f.group.Stop(30 * time.Second) }

// cold waits until the controller that was just started has done everything,
// and returns how long that took.
func (f *fleet) cold(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	err := proc.Until(ctx, "the controller to be done", 250*time.Millisecond, func(ctx context.Context) (bool, error) {
		for _, want := range []struct {
			path, condition string
			count           int
		}{
			{"/apis/kagent.dev/v1alpha2/namespaces/fleet/remotemcpservers", "Accepted", benchServers},
			{"/apis/kagent.dev/v1alpha2/namespaces/fleet/agents", "Accepted", benchAgents},
			{"/apis/apps/v1/namespaces/fleet/deployments", "", benchAgents},
		} {
			if n, err := f.count(ctx, want.path, want.condition); err != nil || n < want.count {
				return false, err
			}
		}
		return true, nil
	}, f.process)
	return time.Since(began), err
}

// count is how many objects there are of which the condition is true, if one is
// named.
func (f *fleet) count(ctx context.Context, path, condition string) (n int, err error) {
	body, err := f.get(ctx, f.api, f.host+path)
	if err != nil {
		return 0, err
	}
	var list struct {
		Items []struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	for _, item := range list.Items {
		is := condition == ""
		for _, c := range item.Status.Conditions {
			is = is || c.Type == condition && c.Status == "True"
		}
		if is {
			n++
		}
	}
	return n, nil
}

func (f *fleet) get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, res.Status, beginning(string(body)))
	}
	return body, err
}

// steady has everything reconciled again and again with nothing to do.
func (f *fleet) steady(ctx context.Context) (s steadiness, err error) {
	if err := f.quiet(ctx); err != nil {
		return s, err
	}
	mark, err := f.cluster.AuditMark()
	if err != nil {
		return s, err
	}
	for round := range steadyRounds {
		if err := f.touch(ctx, round); err != nil {
			return s, err
		}
		now, err := resident(f.process)
		if err != nil {
			return s, err
		}
		s.resident = append(s.resident, now)
	}
	if s.writes, err = f.writes(mark); err != nil {
		return s, err
	}
	f.stop()
	if mark, err = f.cluster.AuditMark(); err != nil {
		return s, err
	}
	if err := f.start(); err != nil {
		return s, err
	}
	if err := f.quiet(ctx); err != nil {
		return s, err
	}
	s.again, err = f.writes(mark)
	return s, err
}

// touch changes each object in a way that means nothing, and waits until the
// controller has looked at all of them.
func (f *fleet) touch(ctx context.Context, round int) error {
	before, err := f.reconciled(ctx)
	if err != nil {
		return err
	}
	for _, kind := range []string{"agents.kagent.dev", "remotemcpservers.kagent.dev"} {
		if _, err := f.cluster.Kubectl(ctx, "annotate", kind, "--all", "--namespace=fleet", "--overwrite", fmt.Sprintf("bench.toolcrib.dev/round=%d", round)); err != nil {
			return err
		}
	}
	return f.until(ctx, before+benchAgents+benchServers)
}

// quiet waits until a controller has looked at everything there is and has
// nothing left to do.
func (f *fleet) quiet(ctx context.Context) error { return f.until(ctx, benchAgents+benchServers) }

func (f *fleet) until(ctx context.Context, reconciled float64) error {
	still, last := 0, -1.0
	return proc.Until(ctx, "the controller to have looked at everything", 250*time.Millisecond, func(ctx context.Context) (bool, error) {
		n, err := f.reconciled(ctx)
		if err != nil {
			return false, err
		}
		if still++; n != last {
			still, last = 0, n
		}
		return n >= reconciled && still >= 8, nil // two seconds
	}, f.process)
}

// reconciled is how often the controller has looked at an Agent or a server
// that it was then done with.
func (f *fleet) reconciled(ctx context.Context) (total float64, err error) {
	body, err := f.get(ctx, http.DefaultClient, f.metrics)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, "controller_runtime_reconcile_total{") || !strings.Contains(line, `controller="agent"`) && !strings.Contains(line, `controller="remotemcpserver"`) || strings.Contains(line, `result="error"`) {
			continue
		}
		var n float64
		if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
			return 0, fmt.Errorf("read %q: %w", line, err)
		}
		total += n
	}
	return total, nil
}

// writes are the requests of the controller since the mark that change anything.
func (f *fleet) writes(since testbed.AuditMark) (n int, err error) {
	events, err := f.cluster.Audit(since)
	for _, e := range events {
		switch e.Verb {
		case "create", "update", "patch", "delete", "deletecollection":
			ask := e.Group == "authorization.k8s.io" || e.Subresource == "token"
			if e.User == controllerUser && !ask && !strings.Contains(e.RequestURI, "dryRun=All") {
				n++
			}
		}
	}
	return n, err
}
