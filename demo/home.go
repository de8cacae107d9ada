package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// declared is an agent as a person has it on disk: it reads, and no more.
const declared = `apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: troubleshooter, namespace: default}
spec:
  description: Finds out why something in the cluster does not work.
  declarative:
    modelConfig: model
    systemMessage: |
      You find out why something in a Kubernetes cluster does not work. Name the
      cause, and the facts that show it. You change nothing.
    tools:
    - type: McpServer
      mcpServer:
        {apiGroup: kagent.dev, kind: RemoteMCPServer, name: kubernetes, toolNames: [k8s_cluster_health, k8s_diagnose, k8s_get_resources, k8s_get_pod_logs, k8s_get_events, k8s_get_rollout, k8s_list_changes]}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: kubernetes, namespace: default}
spec: {description: The cluster., url: %q}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: model, namespace: default}
spec: {provider: %s, model: %q, %s: {baseUrl: %q}}
`

// atHome has an agent answer on the terminal, with read tools and nothing in the
// cluster.
func (t *teller) atHome(ctx context.Context, m thinker, program, dir, server string) error {
	at, stop, err := m.serve(ctx, nil, false)
	if err != nil {
		return err
	}
	defer stop()
	agent := filepath.Join(dir, "agent")
	if err := os.Mkdir(agent, 0o700); err != nil {
		return fmt.Errorf("folder of the agent: %w", err)
	}
	yaml := fmt.Sprintf(declared, server, m.Provider, m.Model, settingsOf[m.Provider], at)
	if err := os.WriteFile(filepath.Join(agent, "agent.yaml"), []byte(yaml), 0o600); err != nil {
		return fmt.Errorf("write the agent: %w", err)
	}
	const question = "Does anything not stay up, and why?"
	t.say("\n%s\n\n%s\n", t.paint(bold, "An agent, on this machine, with the same read tools"), m.what())
	t.say("%s\n%s", t.paint(faint, strings.TrimSpace(yaml)), t.paint(cyan, "\n$ agentcore run -f agent/ \""+question+"\""))
	cmd := exec.CommandContext(ctx, program, "run", "-f", agent, "--runs", filepath.Join(dir, "runs"), question)
	cmd.Env = append(os.Environ(), "ANTHROPIC_API_KEY=none-here", "OPENAI_API_KEY=none-here") // the demo adds the real one
	cmd.Stdout, cmd.Stderr = t.out, t.out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	return nil
}
