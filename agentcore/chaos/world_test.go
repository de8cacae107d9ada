package chaos_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/testbed/proc"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// Names in the world.
const (
	place      = "chaos" // the namespace of everything
	person     = "ada@example.com"
	modelKey   = "a key of the model"
	keeperUser = "system:serviceaccount:" + place + ":kube-write"
)

var (
	runsOf      = v1alpha1.GroupVersion.WithResource("agentruns")
	approvalsOf = v1alpha1.GroupVersion.WithResource("approvals")
	itemsOf     = schema.GroupVersionResource{Version: "v1", Resource: "podtemplates"}
)

// rights are what the agent and its tool servers may do, and who approves.
const rights = `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: agent, namespace: chaos}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-agent}
subjects: [{kind: ServiceAccount, name: sre}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: caller, namespace: chaos}
rules: [{apiGroups: [toolcrib.dev], resources: [tools], verbs: [call], resourceNames: [k8s_get_resources, k8s_get_resource_yaml, k8s_patch_resource]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: caller, namespace: chaos}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: caller}
subjects: [{kind: ServiceAccount, name: sre}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: keeper, namespace: chaos}
rules:
- {apiGroups: [toolcrib.dev], resources: [approvals], verbs: [list, create, consume]}
- {apiGroups: [toolcrib.dev], resources: [approvals/status], verbs: [update]}
- {apiGroups: [""], resources: [podtemplates], verbs: [get, list, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: keeper, namespace: chaos}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: keeper}
subjects: [{kind: ServiceAccount, name: kube-write}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: chaos}
rules: [{apiGroups: [""], resources: [podtemplates], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: chaos}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: kube-read}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: approver, namespace: chaos}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-approver}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ada@example.com}]
`

// agentYAML is the agent as the controller would render it.
const agentYAML = `
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: sre, namespace: chaos}
spec:
  type: Declarative
  description: Marks items
  declarative:
    modelConfig: scripted
    systemMessage: You mark items.
    tools:
    - {type: McpServer, mcpServer: {apiGroup: kagent.dev, kind: RemoteMCPServer, name: kube-read, toolNames: [k8s_get_resources, k8s_get_resource_yaml]}}
    - {type: McpServer, mcpServer: {apiGroup: kagent.dev, kind: RemoteMCPServer, name: kube-write, toolNames: [k8s_patch_resource]}}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: scripted, namespace: chaos}
spec: {provider: Anthropic, model: scripted, apiKeySecret: model, apiKeySecretKey: key, anthropic: {baseUrl: "http://127.0.0.1:%[1]d"}}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: kube-read, namespace: chaos, annotations: {toolcrib.dev/audience: kube-read}}
spec: {description: Reads, url: "http://127.0.0.1:%[2]d/mcp"}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: kube-write, namespace: chaos, annotations: {toolcrib.dev/audience: kube-write, toolcrib.dev/access: write}}
spec: {description: Writes, url: "http://127.0.0.1:%[3]d/mcp"}
`

// kubectl runs kubectl in the namespace.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := cluster.Kubectl(t.Context(), append([]string{"--namespace", place}, args...)...)
	require.NoError(t, err)
	return string(out)
}

func client(t *testing.T, kubeconfig string) dynamic.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	config.QPS = -1
	c, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return c
}

// accounts makes the ServiceAccounts with what they may do, and returns their
// kubeconfigs by name.
func accounts(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, roles := range map[string][]string{
		"sre": {"toolcrib-agent-reviews"}, "kube-read": {"system:auth-delegator"}, "kube-write": {"system:auth-delegator"},
	} {
		kubeconfig, err := cluster.ServiceAccount(t.Context(), place, name, roles...)
		require.NoError(t, err)
		out[name] = kubeconfig
	}
	require.NoError(t, cluster.Apply(t.Context(), []byte(rights)))
	return out
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// held waits until the API server goes by the policies of charts/locks.
func held(ctx context.Context) error {
	probe := filepath.Join(cluster.Dir, "probe.json")
	if err := os.WriteFile(probe, []byte(`{"apiVersion":"toolcrib.dev/v1alpha1","kind":"Approval","metadata":{"name":"probe"},"spec":{"server":"s","tool":"t","caller":"c","agent":"a","target":"t","arguments":"{}","argumentsHash":"h","plan":"p","planHash":"h","expiresAt":"2001-01-01T00:00:00Z"}}`), 0o600); err != nil {
		return err
	}
	return proc.Until(ctx, "the policy", polling, func(ctx context.Context) (bool, error) {
		_, err := cluster.Kubectl(ctx, "create", "--dry-run=server", "-f", probe)
		return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy"), err
	})
}

// makeItems makes what is marked: an object per run, in which each write leaves
// a trace of its own.
func makeItems(t *testing.T) {
	t.Helper()
	var all strings.Builder
	for i := range runs {
		fmt.Fprintf(&all, "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: item-%d}\ntemplate: {metadata: {labels: {app: item}}, spec: {containers: [{name: c, image: none, args: [new]}]}}\n---\n", i)
	}
	kubectl(t, "create", "-f", write(t, t.TempDir(), "items.yaml", all.String()))
}

// ask makes the AgentRuns.
func ask(t *testing.T) {
	t.Helper()
	var all strings.Builder
	for i := range runs {
		fmt.Fprintf(&all, "apiVersion: toolcrib.dev/v1alpha1\nkind: AgentRun\nmetadata: {name: run-%[1]d}\nspec: {agent: sre, prompt: Mark item-%[1]d.}\n---\n", i)
	}
	kubectl(t, "create", "-f", write(t, t.TempDir(), "runs.yaml", all.String()))
}
