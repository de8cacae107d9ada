package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/testbed/proc"
	"github.com/toolcrib/toolcrib/testbed/served"
)

// tools are the servers as the chart kubernetes calls them, with their access.
var tools = []struct{ name, access string }{{"crib-kubernetes", "read"}, {"crib-kubernetes-write", "write"}}

// remote is what the chart says of a server, at the address it has here.
const remote = `apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata:
  name: %[1]s
  namespace: %[2]s
  annotations: {toolcrib.dev/access: %[3]s, toolcrib.dev/audience: %[1]s.%[2]s.svc}
spec: {description: The cluster., url: %[4]q, allowedNamespaces: {from: All}}
`

// beside runs the servers and the agent as processes of this machine, under the
// ServiceAccounts and with the roles that the charts make.
func (c *crib) beside(ctx context.Context, m thinker, base string) error {
	fmt.Fprintln(c.out, "starting an agent and its servers beside the cluster, which has no node for their pods")
	roles, err := os.ReadFile(filepath.Join(c.charts, "controller", "manifests", "roles.yaml"))
	if err != nil {
		return fmt.Errorf("the roles of agents: %w", err)
	}
	kubernetesObjects, err := c.render(ctx, "kubernetes", toolsNamespace, "{write: {enabled: true}}")
	if err != nil {
		return err
	}
	agentObjects, err := c.render(ctx, "agents", agentsNamespace, agentValues(m))
	if err != nil {
		return err
	}
	rights := of(kubernetesObjects, "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding") +
		of(agentObjects, "Role", "RoleBinding") + of(string(roles), "ClusterRole") + besideRights
	if err := c.cluster.Apply(ctx, []byte(rights)); err != nil {
		return err
	}
	declared := filepath.Join(c.cluster.Dir, "agent")
	mounts := filepath.Join(c.cluster.Dir, "mounts")
	files := map[string]string{
		filepath.Join(declared, "agent.yaml"):                    of(agentObjects, "Agent", "ModelConfig", "AgentPolicy"),
		filepath.Join(mounts, "secrets", "model-key", "api-key"): "none-here",
	}
	for _, t := range tools {
		url, err := c.server(ctx, t.name, t.access)
		if err != nil {
			return err
		}
		files[filepath.Join(declared, t.name+".yaml")] = fmt.Sprintf(remote, t.name, toolsNamespace, t.access, url)
		token, err := c.cluster.Kubectl(ctx, "create", "token", agentName, "-n", agentsNamespace, "--audience", t.name+"."+toolsNamespace+".svc", "--duration=24h")
		if err != nil {
			return err
		}
		files[filepath.Join(mounts, "tokens", toolsNamespace+"."+t.name, "token")] = string(token)
	}
	files[filepath.Join(declared, "agent.yaml")] = withBase(files[filepath.Join(declared, "agent.yaml")], m, base)
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("folder for the agent: %w", err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return fmt.Errorf("write for the agent: %w", err)
		}
	}
	return c.serve(ctx, declared, mounts)
}

// besideRights is what the controller would bind.
const besideRights = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: troubleshooter, namespace: agents}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-agent}
subjects: [{kind: ServiceAccount, namespace: agents, name: troubleshooter}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: troubleshooter, namespace: agents}
`

// withBase has the ModelConfig say where its model is, as the controller does
// where it knows a gateway.
func withBase(objects string, m thinker, base string) string {
	settings := fmt.Sprintf("spec:\n  %s: {baseUrl: %q}\n  provider:", settingsOf[m.Provider], base)
	return strings.Replace(objects, "spec:\n  provider:", settings, 1)
}

// settingsOf is where a ModelConfig keeps the settings of a provider.
var settingsOf = map[string]string{"Anthropic": "anthropic", "OpenAI": "openAI"}

// of are those of the YAML documents that are of one of the kinds.
func of(documents string, kinds ...string) string {
	wanted := regexp.MustCompile(`(?m)^kind: (?:` + strings.Join(kinds, "|") + `)$`)
	var out strings.Builder
	for d := range strings.SplitSeq(documents, "\n---") {
		if d = strings.TrimPrefix(d, "---"); wanted.MatchString(d) {
			out.WriteString("---\n" + strings.TrimSpace(d) + "\n")
		}
	}
	return out.String()
}

// server runs a server as the chart would, and returns its endpoint.
func (c *crib) server(ctx context.Context, name, access string) (string, error) {
	account, err := c.cluster.ServiceAccount(ctx, toolsNamespace, name)
	if err != nil {
		return "", err
	}
	logs := filepath.Join(c.cluster.Dir, name)
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return "", fmt.Errorf("folder for logs: %w", err)
	}
	s, err := served.Start(ctx, logs, filepath.Join(c.servers, kubernetes), "--access="+access, "--kubeconfig", account,
		"--auth=kubernetes", "--audience="+name+"."+toolsNamespace+".svc", "--locks-kubeconfig", account, "--locks-namespace="+toolsNamespace)
	if err != nil {
		return "", err
	}
	c.stops = append(c.stops, s.Stop)
	return s.URL, nil
}

// serve runs the agent.
func (c *crib) serve(ctx context.Context, declared, mounts string) error {
	account, err := c.cluster.ServiceAccount(ctx, agentsNamespace, agentName)
	if err != nil {
		return err
	}
	group := &proc.Group{Logs: c.cluster.Dir}
	p, err := group.Start(agentcore, filepath.Join(c.servers, agentcore), "serve", "-f", declared, "--agent", agentsNamespace+"/"+agentName,
		"--mounts", mounts, "--kubeconfig", account, "--listen=127.0.0.1:0", "--auth=none")
	if err != nil {
		return err
	}
	c.stops = append(c.stops, func() { group.Stop(10 * time.Second) })
	return proc.Until(ctx, "the agent to serve", 50*time.Millisecond, func(context.Context) (bool, error) {
		printed, err := os.ReadFile(p.Log)
		return strings.Contains(string(printed), "listening"), err
	}, p)
}
