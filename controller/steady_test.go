package controller_test

import (
	"fmt"
	"maps"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// reconciled is how often objects of a kind have been reconciled.
func reconciled(t *testing.T, kind string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "controller" && l.GetValue() == kind {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// rounds has objects of the kind reconciled that often.
func rounds(t *testing.T, kind string, n int, cause func()) {
	t.Helper()
	for range n {
		before := reconciled(t, kind)
		cause()
		until(t, func() error {
			if now := reconciled(t, kind); now <= before {
				return fmt.Errorf("%s was reconciled %g times, as before", kind, now)
			}
			return nil
		})
	}
}

var touches atomic.Int64

// touch changes a label of the namespace, for which all Agents are looked at
// again.
func touch(t *testing.T, namespace string) {
	t.Helper()
	merge(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, fmt.Sprintf(`{"metadata":{"labels":{"touched":"%d"}}}`, touches.Add(1)))
}

func TestAtRestNothingIsWritten(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, plain+`
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {team: sre}
---
`+remote("tools", serves(t, mcpServer("look", "write_it")), "  headersFrom: [{name: X-Team, valueFrom: {type: ConfigMap, name: settings, key: team}}]\n")+`
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: busy}
spec:
  declarative:
    systemMessage: Look.
    tools: [{mcpServer: {name: tools, toolNames: [look]}}, {agent: {name: plain}}]
    deployment:
      replicas: 2
      labels: {team: sre}
      annotations: {note: this}
      deploymentAnnotations: {note: that}
      env: [{name: A, value: b}, {name: C, valueFrom: {secretKeyRef: {name: s, key: k, optional: true}}}]
      envFrom: [{configMapRef: {name: nothing, optional: true}}]
      volumes: [{name: scratch, emptyDir: {}}, {name: more, configMap: {name: settings}}, {name: mixed, projected: {sources: [{downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}}]}}]
      volumeMounts: [{name: scratch, mountPath: /scratch}]
      resources: {limits: {cpu: "1", memory: 1Gi}, requests: {memory: 64Mi}}
      tolerations: [{operator: Exists, effect: NoSchedule}]
      affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {team: sre}}}}]}}
      extraContainers: [{name: beside, image: "toolcrib.test/beside:1", ports: [{containerPort: 9000}], resources: {limits: {memory: 10Mi}}, livenessProbe: {httpGet: {path: /, port: 9000}}}]
      serviceAccountConfig: {annotations: {role: reader}, labels: {team: sre}}
`)
	for _, name := range []string{"plain", "busy"} {
		serving(t, agentOf(here, name))
	}
	becomes(t, serverOf(here, "tools"), "Accepted", metav1.ConditionTrue, "Discovered")
	becomes(t, agentOf(here, "busy"), "Accepted", metav1.ConditionTrue, "Accepted")
	until(t, func() error { // what began before comes to rest
		before := versions(t, here)
		require.Greater(t, len(before), 14)
		rounds(t, "agent", 20, func() { touch(t, here) })
		rounds(t, "remotemcpserver", 5, func() {
			merge(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: here, Name: "settings"}}, fmt.Sprintf(`{"metadata":{"annotations":{"touched":"%d"}}}`, touches.Add(1)))
		})
		after := versions(t, here)
		delete(before, "*v1.ConfigMapList settings")
		delete(after, "*v1.ConfigMapList settings")
		if !maps.Equal(before, after) {
			return fmt.Errorf("there were %v, and are %v", before, after)
		}
		return nil
	})

	// What is taken out of the spec is taken off the objects.
	merge(t, agentOf(here, "busy"), `{"spec":{"declarative":{"deployment":{"deploymentAnnotations":null,"serviceAccountConfig":{"annotations":null}}}}}`)
	until(t, func() error {
		var d appsv1.Deployment
		var a corev1.ServiceAccount
		for _, o := range []client.Object{&d, &a} {
			if err := admin.Get(limit(t), client.ObjectKey{Namespace: here, Name: "busy"}, o); err != nil {
				return err
			}
		}
		if d.Annotations["note"] != "" || a.Annotations["role"] != "" || a.Labels["team"] != "sre" {
			return fmt.Errorf("annotations %v and %v, labels %v", d.Annotations, a.Annotations, a.Labels)
		}
		return nil
	})
}

// versions are the resourceVersions of everything in the namespace.
func versions(t *testing.T, namespace string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, list := range []client.ObjectList{&kagent.AgentList{}, &kagent.ModelConfigList{}, &kagent.RemoteMCPServerList{}, &corev1.ConfigMapList{}, &appsv1.DeploymentList{}, &appsv1.ReplicaSetList{},
		&corev1.ServiceList{}, &corev1.ServiceAccountList{}, &rbacv1.RoleBindingList{}, &networkingv1.NetworkPolicyList{}} {
		require.NoError(t, admin.List(limit(t), list, client.InNamespace(namespace)))
		require.NoError(t, meta.EachListItem(list, func(o runtime.Object) error {
			out[fmt.Sprintf("%T %s", list, o.(client.Object).GetName())] = o.(client.Object).GetResourceVersion()
			return nil
		}))
	}
	return out
}
