package controller_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The namespace takes restricted pods alone.
func TestRestrictedPodSecurityWins(t *testing.T) {
	t.Parallel()
	here := namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	apply(t, here, model+`
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: bold}
spec:
  declarative:
    systemMessage: Hello.
    memory: {modelConfig: x}
    tools: [{mcpServer: {name: other, kind: MCPServer}}, {mcpServer: {name: another, kind: Service, apiGroup: ""}}]
    deployment:
      imageRegistry: mirror.example:5000
      podSecurityContext: {runAsUser: 0, fsGroup: 7}
      securityContext: {privileged: true, readOnlyRootFilesystem: false, capabilities: {add: [NET_ADMIN]}}
      extraContainers: [{name: beside, image: "toolcrib.test/beside:1", securityContext: {allowPrivilegeEscalation: true}}]
`)
	agent := agentOf(here, "bold")
	becomes(t, agent, "Ready", metav1.ConditionTrue, "Serving")
	require.Equal(t, "admitted and not served: spec.declarative.memory, spec.declarative.tools[0].mcpServer.kind=MCPServer, spec.declarative.tools[1].mcpServer.kind=Service, "+
		"spec.declarative.deployment.podSecurityContext.runAsUser (restricted pod security wins), "+
		"spec.declarative.deployment.securityContext.privileged (restricted pod security wins), "+
		"spec.declarative.deployment.securityContext.readOnlyRootFilesystem (restricted pod security wins), "+
		"spec.declarative.deployment.securityContext.capabilities.add (restricted pod security wins), "+
		"spec.declarative.deployment.extraContainers[0].securityContext.allowPrivilegeEscalation (restricted pod security wins); the agent runs without",
		becomes(t, agent, "UnsupportedFeatures", metav1.ConditionTrue, "NotServed"))
	var d appsv1.Deployment
	require.NoError(t, admin.Get(limit(t), client.ObjectKeyFromObject(agent), &d))
	pod := d.Spec.Template.Spec
	require.Equal(t, int64(65532), *pod.SecurityContext.RunAsUser)
	require.Equal(t, int64(7), *pod.SecurityContext.FSGroup)
	require.Equal(t, "mirror.example:5000/agentcore:1", pod.Containers[0].Image)
	require.Equal(t, &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}, pod.Containers[0].SecurityContext)
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, model+`
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: odd}
spec:
  declarative:
    systemMessage: Hello.
    deployment:
      env: [{name: A, valu: hunter2}]
      resources: {limits: {memory: lots}}
      tolerations: [{operator: [hunter2]}]
      volumeMounts: [{name: x, mountPath: /etc/toolcrib}]
      extraContainers: [{name: agent}]
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: host}
spec: {declarative: {systemMessage: Hello., deployment: {volumes: [{name: host, hostPath: {path: /}}]}}}
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: own}
spec: {type: BYO, byo: {deployment: {image: "own:1"}}}
`)
	message := becomes(t, agentOf(here, "odd"), "Accepted", metav1.ConditionFalse, "Invalid",
		`spec.declarative.deployment.env[0]: read *v1.EnvVar: unknown field "valu"`,
		`spec.declarative.deployment.resources: this cannot be read`,
		`spec.declarative.deployment.tolerations[0]: array does not fit`,
		`spec.declarative.deployment.volumeMounts[0].mountPath: /etc/toolcrib is in the way of the agent's own /etc/toolcrib/agent`,
		`spec.declarative.deployment.extraContainers[0].name: "agent" is the agent's own container`,
	)
	require.NotContains(t, message, "hunter2")
	becomes(t, agentOf(here, "host"), "Accepted", metav1.ConditionFalse, "PodSecurity", `volume "host" uses restricted volume type "hostPath"`)
	becomes(t, agentOf(here, "own"), "Accepted", metav1.ConditionFalse, "TypeNotServed")
	becomes(t, agentOf(here, "own"), "UnsupportedFeatures", metav1.ConditionTrue, "NotServed", "spec.type=BYO")
}

func TestModelsSayWhetherTheyCanBeUsed(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	letReadSecrets(t, here)
	apply(t, here, `
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: keyless}
spec: {provider: Anthropic, model: m, apiKeySecret: nothing, apiKeySecretKey: k}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: empty}
spec: {provider: Anthropic, model: m, apiKeySecret: key, apiKeySecretKey: other}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: good}
spec: {provider: openai, model: m, apiKeySecretRef: {name: key, key: k}, openAI: {apiFormat: responses}}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: elsewhere}
spec: {provider: Bedrock, model: m, bedrock: {region: eu}}
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: keyless}
spec: {declarative: {systemMessage: Hello., modelConfig: keyless}}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {k: hunter2}
`)
	becomes(t, modelOf(here, "keyless"), "Accepted", metav1.ConditionFalse, "SecretNotFound")
	becomes(t, agentOf(here, "keyless"), "Accepted", metav1.ConditionFalse, "ModelConfigNotAccepted", `ModelConfig "keyless" cannot be used: there is no Secret "nothing"`)
	becomes(t, modelOf(here, "empty"), "Accepted", metav1.ConditionFalse, "SecretKeyNotFound")
	becomes(t, modelOf(here, "elsewhere"), "Accepted", metav1.ConditionFalse, "ProviderNotServed")
	good := modelOf(here, "good")
	becomes(t, good, "Accepted", metav1.ConditionTrue, "Accepted")
	require.Regexp(t, `^[0-9a-f]{16}$`, good.Status.SecretHash)
	becomes(t, good, "UnsupportedFeatures", metav1.ConditionTrue, "NotServed", "spec.openAI.apiFormat=responses")
}
