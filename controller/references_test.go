package controller_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestEverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	here, there := namespace(t, nil), namespace(t, nil)
	url := serves(t, mcpServer("k8s_get_pods", "k8s_get_nodes"))
	apply(t, here, model+remote("kubernetes", url, "")+remote("writes", serves(t, mcpServer("k8s_scale")), ""))
	apply(t, there, remote("shut", url, "")+remote("secretive", url, "  allowedNamespaces: {from: All}\n  headersFrom: [{name: X-Key, valueFrom: {type: Secret, name: key, key: k}}]\n")+fmt.Sprintf(`
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: other}
spec: {declarative: {systemMessage: I am}}
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: round}
spec:
  allowedNamespaces: {from: All}
  declarative: {systemMessage: I am, tools: [{agent: {name: %[1]s/wrong}}]}
`, here))
	becomes(t, serverOf(here, "kubernetes"), "Accepted", metav1.ConditionTrue, "Discovered")
	becomes(t, serverOf(here, "writes"), "Accepted", metav1.ConditionTrue, "Discovered")
	apply(t, here, fmt.Sprintf(`
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: wrong}
spec:
  declarative:
    modelConfig: default-model
    systemMessageFrom: {type: ConfigMap, name: prompt, key: text}
    promptTemplate: {dataSources: [{name: parts}]}
    deployment: {serviceAccountName: nobody}
    tools:
    - mcpServer: {name: kubernetes, toolNames: [k8s_get_pod, k8s_get_nodes, prometheus_query, k8s_scale]}
    - mcpServer: {name: kubernets, toolNames: [a]}
    - mcpServer: {name: shut, namespace: %[1]s}
    - mcpServer: {name: %[1]s/secretive}
    - agent: {name: nobody}
    - agent: {name: other, namespace: %[1]s}
    - agent: {name: round, namespace: %[1]s}
`, there))
	agent := agentOf(here, "wrong")
	message := becomes(t, agent, "Accepted", metav1.ConditionFalse, "ModelConfigNotFound",
		`spec.declarative.modelConfig: there is no ModelConfig "default-model" in namespace "`+here+`"; the nearest are default-model-config`,
		`spec.declarative.systemMessageFrom: there is no ConfigMap "prompt"`,
		`spec.declarative.promptTemplate.dataSources[0]: there is no ConfigMap "parts"`,
		`spec.declarative.deployment.serviceAccountName: there is no ServiceAccount "nobody"`,
		`spec.declarative.tools[0].mcpServer.toolNames[0]: RemoteMCPServer "kubernetes" has no tool "k8s_get_pod"; the nearest are k8s_get_pods, k8s_get_nodes`,
		`spec.declarative.tools[0].mcpServer.toolNames[2]: RemoteMCPServer "kubernetes" has no tool "prometheus_query"; there are k8s_get_nodes, k8s_get_pods`,
		`spec.declarative.tools[0].mcpServer.toolNames[3]: RemoteMCPServer "kubernetes" has no tool "k8s_scale"; RemoteMCPServer "writes" has it; take it from there`,
		`spec.declarative.tools[1].mcpServer.name: there is no RemoteMCPServer "kubernets" in namespace "`+here+`"; the nearest are kubernetes`,
		`spec.declarative.tools[2].mcpServer: RemoteMCPServer "shut" of namespace "`+there+`" may not be used from namespace "`+here+`"`,
		`RemoteMCPServer "secretive" takes header X-Key from Secret "key" of namespace "`+there+`", which pods of namespace "`+here+`" cannot have`,
		`spec.declarative.tools[4].agent.name: there is no Agent "nobody"`,
		`spec.declarative.tools[5].agent: Agent "other" of namespace "`+there+`" may not be used`,
		`agents as tools go round in a circle: `+here+`/wrong -> `+there+`/round -> `+here+`/wrong`,
	)
	require.NotContains(t, message, "toolNames[1]")
	becomes(t, agent, "Ready", metav1.ConditionFalse, "ModelConfigNotFound")
	err := admin.Get(limit(t), client.ObjectKeyFromObject(agent), &corev1.Service{})
	require.True(t, client.IgnoreNotFound(err) == nil && err != nil, "nothing runs of an Agent that is wrong")
}

func TestNamespacesThatAServerAllows(t *testing.T) {
	t.Parallel()
	there, friend := namespace(t, nil), namespace(t, map[string]string{"team": "sre"})
	apply(t, there, remote("shared", serves(t, mcpServer("look")), "  allowedNamespaces: {from: Selector, selector: {matchLabels: {team: sre}}}\n"))
	agent := model + fmt.Sprintf(`
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: reader}
spec: {declarative: {systemMessage: Look., tools: [{mcpServer: {name: %s/shared}}]}}
`, there)
	apply(t, friend, agent)
	becomes(t, agentOf(friend, "reader"), "Accepted", metav1.ConditionTrue, "Accepted")

	stranger := namespace(t, nil)
	apply(t, stranger, agent)
	becomes(t, agentOf(stranger, "reader"), "Accepted", metav1.ConditionFalse, "NamespaceNotAllowed")
	require.NoError(t, admin.Patch(limit(t), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: stranger}}, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"team":"sre"}}}`))))
	becomes(t, agentOf(stranger, "reader"), "Accepted", metav1.ConditionTrue, "Accepted")
}

func TestTextsPoliciesAndHeadersAreRendered(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, model+remote("tools", serves(t, mcpServer("look")), "  headersFrom: [{name: X-Team, valueFrom: {type: ConfigMap, name: settings, key: team}}, {name: X-Key, valueFrom: {type: Secret, name: key, key: k}}]\n")+`
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {team: sre, text: "You look."}
---
apiVersion: toolcrib.dev/v1alpha1
kind: AgentPolicy
metadata: {name: careful}
spec: {agentSelector: {matchLabels: {careful: "yes"}}, access: ReadOnly}
---
apiVersion: toolcrib.dev/v1alpha1
kind: AgentPolicy
metadata: {name: others}
spec: {agentSelector: {matchLabels: {careful: "no"}}}
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: sub}
spec: {description: Digs., declarative: {systemMessage: secret sauce, a2aConfig: {skills: [{name: Dig}]}}}
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: looker, labels: {careful: "yes", chart: v1}}
spec:
  declarative:
    systemMessageFrom: {type: ConfigMap, name: settings, key: text}
    tools: [{mcpServer: {name: tools}}, {agent: {name: sub}}]
`)
	agent := agentOf(here, "looker")
	var data map[string]string
	until(t, func() error { // the controller may hear of the Agent before it hears of the policy
		becomes(t, agent, "Ready", metav1.ConditionTrue, "Serving")
		if data = configuration(t, agent); data["policy-careful.yaml"] == "" {
			return fmt.Errorf("revision %s has no policy", agent.Status.Revision)
		}
		return nil
	})
	require.Contains(t, data["configmap-settings.yaml"], "You look.")
	require.Contains(t, data["policy-careful.yaml"], "access: ReadOnly")
	require.NotContains(t, data, "policy-others.yaml")
	require.Contains(t, data["agent.yaml"], "careful: \"yes\"")
	require.NotContains(t, data["agent.yaml"], "chart: v1")
	require.Contains(t, data["server-"+here+".tools.yaml"], "value: sre")
	require.Contains(t, data["server-"+here+".tools.yaml"], "name: key", "Secrets are named, never copied")
	require.Contains(t, data["agent-"+here+".sub.yaml"], "name: Dig")
	require.NotContains(t, data["agent-"+here+".sub.yaml"], "sauce")

	was := agent.Status.Revision
	apply(t, here, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {team: sre, text: You look closely.}\n")
	until(t, func() error {
		becomes(t, agent, "RolledOut", metav1.ConditionTrue, "Complete")
		if agent.Status.Revision == was {
			return fmt.Errorf("still revision %s", was)
		}
		return nil
	})
	require.Contains(t, configuration(t, agent)["configmap-settings.yaml"], "You look closely.")
}
