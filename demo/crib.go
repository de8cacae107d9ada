package demo

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/image"
)

// The programs that serve an agent.
const (
	agentcore  = "agentcore"
	controller = "controller"
)

// people are the namespaces, and what ada may do there: ask the agent, and
// decide about what it would change.
//
//go:embed people.yaml
var people []byte

// The releases and where they are.
const (
	toolsNamespace  = "toolcrib"
	agentsNamespace = "agents"
	agentName       = "troubleshooter"
)

// story is what the agent's story is told with.
type story struct {
	Thinker thinker `json:"thinker"`
	Person  string  `json:"person,omitempty"` // kubeconfig of ada; none as long as the agent is not ready
	Admin   string  `json:"admin"`            // kubeconfig of who may do everything
	Kubectl string  `json:"kubectl"`
	Where   string  `json:"where"` // the agent runs, for people
}

// crib puts an agent into the cluster, with what it needs: locks, a controller, a
// read server and a write server.
type crib struct {
	cluster *testbed.Cluster
	charts  string // folder
	servers string // folder of the binaries
	out     io.Writer
	helm    string
	stops   []func()
}

func (c *crib) stop() {
	for _, stop := range c.stops {
		stop()
	}
}

// open returns once the agent can be asked: in pods, or where there are none
// beside the cluster.
func (c *crib) open(ctx context.Context, m thinker, pods bool, s *story) error {
	programs, err := build.Build(ctx, c.out, build.Helm)
	if err != nil {
		return err
	}
	c.helm = programs["helm"]
	*s = story{Thinker: m, Kubectl: c.cluster.KubectlPath(), Admin: c.cluster.Kubeconfig, Where: "in the cluster, installed by our charts"}
	base, stop, err := m.serve(ctx, c.cluster, pods)
	if err != nil {
		return err
	}
	c.stops = append(c.stops, stop)
	if err := c.cluster.Apply(ctx, people); err != nil {
		return err
	}
	if err := c.install(ctx, "locks", toolsNamespace, ""); err != nil {
		return err
	}
	open := c.inPods
	if !pods {
		open, s.Where = c.beside, "beside the cluster, whose pods are simulated and have no addresses, with the rights and objects that our charts would give it there"
	}
	if err := open(ctx, m, base); err != nil {
		return err
	}
	s.Person, err = c.cluster.UserKubeconfig(ctx, "ada")
	return err
}

// inPods installs everything, as a platform team would.
func (c *crib) inPods(ctx context.Context, m thinker, base string) error {
	fmt.Fprintln(c.out, "installing the charts for agents: locks, controller, kubernetes with its write tools, and an agent")
	for _, program := range []string{kubernetes, controller, agentcore} {
		if err := c.load(ctx, program); err != nil {
			return err
		}
	}
	for _, r := range []struct{ chart, namespace, values string }{
		{"controller", toolsNamespace, fmt.Sprintf("{image: {tag: demo}, agentImage: {tag: demo}, modelGateways: {%s: %q}}", m.Provider, base)},
		{"kubernetes", toolsNamespace, "{image: {tag: demo}, write: {enabled: true}, remoteMCPServer: {allowedNamespaces: {from: All}}}"},
		{"agents", agentsNamespace, agentValues(m)},
	} {
		if err := c.install(ctx, r.chart, r.namespace, r.values); err != nil {
			return err
		}
	}
	fmt.Fprintln(c.out, "waiting for the agent")
	_, err := c.cluster.Kubectl(ctx, "wait", "-n", agentsNamespace, "agent/"+agentName, "--for=condition=Ready", "--timeout=3m")
	return err
}

// agentValues are those of the chart agents, of which one is enough here.
func agentValues(m thinker) string {
	return fmt.Sprintf(`
model: {provider: %s, model: %q, apiKeySecret: model-key}
servers: {namespace: %s, prometheus: {read: ""}}
deployment: {enabled: false}
security: {enabled: false}
`, m.Provider, m.Model, toolsNamespace)
}

// load puts an image of the program on the node.
func (c *crib) load(ctx context.Context, program string) error {
	return c.cluster.Load(ctx, image.Image{
		Name: "docker.io/toolcrib/" + program + ":demo", Files: map[string]string{program: filepath.Join(c.servers, program)},
		Entrypoint: []string{"/" + program}, User: "65532",
	})
}

func (c *crib) install(ctx context.Context, chart, namespace, values string) error {
	_, err := c.runHelm(ctx, "install", chart, namespace, values)
	return err
}

// render is what the chart would install.
func (c *crib) render(ctx context.Context, chart, namespace, values string) (string, error) {
	return c.runHelm(ctx, "template", chart, namespace, values, "--kube-version", build.KubernetesVersion)
}

// runHelm installs a chart of ours, or renders it, and returns what Helm prints.
func (c *crib) runHelm(ctx context.Context, verb, chart, namespace, values string, args ...string) (string, error) {
	home := filepath.Join(c.cluster.Dir, "helm")
	args = append([]string{verb, "crib-" + chart, filepath.Join(c.charts, chart), "--namespace", namespace, "--values", "-"}, args...)
	cmd := exec.CommandContext(ctx, c.helm, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.cluster.Kubeconfig, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	cmd.Stdin = strings.NewReader(values)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("helm %s %s: %w: %s", verb, chart, err, stderr.String())
	}
	return string(out), nil
}
