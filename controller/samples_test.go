package controller_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const samples = "../api/kagent/v1alpha2/testdata/samples/"

// The namespace takes restricted pods alone.
func TestTheSamplesRunAsTheyStand(t *testing.T) {
	t.Parallel()
	require.NoError(t, admin.Create(limit(t), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kagent", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}))
	for _, file := range []string{"agent.yaml", "modelconfig.yaml"} {
		text, err := os.ReadFile(samples + file)
		require.NoError(t, err)
		apply(t, "kagent", string(text))
	}
	agent := agentOf("kagent", "k8s-troubleshooter")
	becomes(t, agent, "Accepted", metav1.ConditionFalse, "ServerNotFound",
		`there is no RemoteMCPServer "kagent-tool-server" in namespace "kagent"`, `there is no RemoteMCPServer "prometheus-tool-server" in namespace "kagent"`)

	apply(t, "kagent", remote("kagent-tool-server", serves(t, mcpServer("k8s_get_resources", "k8s_get_pod_logs", "k8s_get_events", "write_more")), "")+
		remote("prometheus-tool-server", serves(t, mcpServer("prometheus_query")), ""))
	becomes(t, agent, "Accepted", metav1.ConditionTrue, "Accepted")
	becomes(t, agent, "Ready", metav1.ConditionTrue, "Serving")
	becomes(t, agent, "RolledOut", metav1.ConditionTrue, "Complete")
	becomes(t, modelOf("kagent", "anthropic-claude"), "Accepted", metav1.ConditionTrue, "SecretNotChecked")
	require.Equal(t, "1/1", agent.Status.Replicas)
	require.Regexp(t, `^[0-9a-f]{10}$`, agent.Status.Revision)

	key := client.ObjectKeyFromObject(agent)
	var configuration corev1.ConfigMap
	require.NoError(t, admin.Get(limit(t), client.ObjectKey{Namespace: "kagent", Name: agent.Name + "-" + agent.Status.Revision}, &configuration))
	require.True(t, *configuration.Immutable)
	require.Equal(t, agent.Status.Revision, kagent.Revision(configuration.Data))
	require.Contains(t, configuration.Data, "server-kagent.prometheus-tool-server.yaml")
	require.Contains(t, configuration.Data["prices.yaml"], "claude-sonnet-4")
	m := object[kagent.ModelConfig](t, configuration.Data["modelconfig.yaml"])
	require.Equal(t, kagent.ProviderAnthropic, m.Spec.Provider)
	require.Equal(t, "anthropic-api-key", m.Spec.APIKeySecret)

	var d appsv1.Deployment
	require.NoError(t, admin.Get(limit(t), key, &d))
	pod := d.Spec.Template.Spec
	require.Equal(t, []string{"serve", "-f", "/etc/toolcrib/agent", "--agent", "kagent/k8s-troubleshooter", "--mounts", "/var/run/toolcrib",
		"--listen", ":8080", "--metrics", ":9090", "--runs", "cluster", "--auth", "kubernetes", "--audience", "k8s-troubleshooter.kagent.svc"}, pod.Containers[0].Args)
	require.Equal(t, "toolcrib.test/agentcore:1", pod.Containers[0].Image)
	require.Equal(t, "secrets/anthropic-api-key/api-key", pod.Volumes[1].Projected.Sources[0].Secret.Items[0].Path)
	require.Equal(t, agent.Status.Revision, d.Spec.Template.Annotations["toolcrib.dev/revision"])

	var policy networkingv1.NetworkPolicy
	require.NoError(t, admin.Get(limit(t), key, &policy))
	require.Contains(t, fmt.Sprint(policy.Spec.Egress), "127.0.0.1/32")
	require.Equal(t, int32(8080), policy.Spec.Ingress[0].Ports[0].Port.IntVal)
	require.Empty(t, policy.Spec.Ingress[0].From)
	require.Equal(t, int32(9090), policy.Spec.Ingress[1].Ports[0].Port.IntVal)
	require.Equal(t, "monitoring", policy.Spec.Ingress[1].From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
	var service corev1.Service
	require.NoError(t, admin.Get(limit(t), key, &service))
	require.Equal(t, "metrics", service.Spec.Ports[1].Name)
	require.Equal(t, int32(9090), service.Spec.Ports[1].Port)
	require.Equal(t, "metrics", pod.Containers[0].Ports[1].Name)
	for _, o := range []client.Object{&corev1.Service{}, &corev1.ServiceAccount{}, &rbacv1.RoleBinding{}} {
		require.NoError(t, admin.Get(limit(t), key, o))
		require.True(t, metav1.IsControlledBy(o, agent))
	}
	var reviews rbacv1.ClusterRoleBinding
	require.NoError(t, admin.Get(limit(t), client.ObjectKey{Name: "toolcrib:agent:kagent:k8s-troubleshooter"}, &reviews))
	require.Equal(t, "toolcrib-agent-reviews", reviews.RoleRef.Name)

	// Deleting it leaves nothing.
	require.NoError(t, admin.Delete(limit(t), agent))
	until(t, func() error {
		var left []string
		for _, list := range []client.ObjectList{&corev1.ConfigMapList{}, &appsv1.DeploymentList{}, &appsv1.ReplicaSetList{}, &corev1.PodList{}, &corev1.ServiceList{},
			&corev1.ServiceAccountList{}, &rbacv1.RoleBindingList{}, &networkingv1.NetworkPolicyList{}, &rbacv1.ClusterRoleBindingList{}} {
			if err := admin.List(limit(t), list, client.MatchingLabels{"toolcrib.dev/agent": agent.Name}); err != nil {
				return err
			}
			left = append(left, names(list)...)
		}
		if len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}
