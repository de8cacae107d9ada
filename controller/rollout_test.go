package controller_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const plain = model + `
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: plain}
spec: {declarative: {systemMessage: One.}}
`

// says makes the Agent's system message another.
func says(t *testing.T, a *kagent.Agent, message string) {
	merge(t, a, fmt.Sprintf(`{"spec":{"declarative":{"systemMessage":%q}}}`, message))
}

// serving waits until the newest generation serves with all pods, and returns
// its revision.
func serving(t *testing.T, a *kagent.Agent) string {
	t.Helper()
	becomes(t, a, "RolledOut", metav1.ConditionTrue, "Complete")
	until(t, func() error {
		if err := admin.Get(limit(t), client.ObjectKeyFromObject(a), a); err != nil {
			return err
		}
		if a.Status.Revision != a.Status.TargetRevision {
			return fmt.Errorf("%s serves, not %s", a.Status.Revision, a.Status.TargetRevision)
		}
		return nil
	})
	return a.Status.Revision
}

func TestARevisionThatNeverGetsReadyLeavesTheEarlierOneServing(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, plain)
	agent := agentOf(here, "plain")
	one := serving(t, agent)

	merge(t, agent, `{"spec":{"declarative":{"systemMessage":"Two.","deployment":{"nodeSelector":{"nowhere":"to-be"}}}}}`)
	becomes(t, agent, "Ready", metav1.ConditionTrue, "EarlierRevisionServes")
	becomes(t, agent, "RolledOut", metav1.ConditionFalse, "PodsNotReady", "no node for it: 0/1 nodes are available")
	require.Equal(t, one, agent.Status.Revision)
	require.NotEqual(t, one, agent.Status.TargetRevision)
	require.Contains(t, configuration(t, agent)["agent.yaml"], "One.")

	merge(t, agent, `{"spec":{"declarative":{"deployment":null}}}`)
	require.NotEqual(t, one, serving(t, agent))
}

func TestWhatSomebodyWentBackToIsKept(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, plain+"---\n"+remote("later", "http://later.example:9999/mcp", ""))
	agent := agentOf(here, "plain")
	one := serving(t, agent)
	merge(t, agent, `{"spec":{"declarative":{"systemMessage":"Two.","tools":[{"mcpServer":{"name":"later"}}]}}}`)
	two := serving(t, agent)

	_, err := cluster.Kubectl(limit(t), "-n", here, "rollout", "undo", "deployment/plain")
	require.NoError(t, err)
	becomes(t, agent, "RolledBack", metav1.ConditionTrue, "Undone", "went back to revision "+one, "it declares revision "+two)
	until(t, func() error {
		if becomes(t, agent, "RolledOut", metav1.ConditionTrue, "Complete"); agent.Status.Revision != one {
			return fmt.Errorf("%s serves", agent.Status.Revision)
		}
		return nil
	})
	require.Contains(t, configuration(t, agent)["agent.yaml"], "One.")

	// What has the Agent looked at again does not undo the undo.
	merge(t, agent, `{"metadata":{"labels":{"looked":"at"}}}`)
	rounds(t, "agent", 3, func() { touch(t, here) })
	require.Equal(t, one, templateOf(t, agent))

	// A new spec does.
	says(t, agent, "Three.")
	three := serving(t, agent)
	require.NotContains(t, []string{one, two}, three)
	require.Nil(t, meta.FindStatusCondition(agent.Status.Conditions, "RolledBack"))

	// A spec of before is no undo: it is rolled out.
	merge(t, agent, `{"spec":{"declarative":{"systemMessage":"One.","tools":null}}}`)
	until(t, func() error {
		if serving(t, agent); templateOf(t, agent) != one {
			return fmt.Errorf("%s serves", agent.Status.Revision)
		}
		return nil
	})
}

func templateOf(t *testing.T, a *kagent.Agent) string {
	t.Helper()
	var d appsv1.Deployment
	require.NoError(t, admin.Get(limit(t), client.ObjectKeyFromObject(a), &d))
	return d.Spec.Template.Annotations["toolcrib.dev/revision"]
}

func TestConfigurationsAreKeptAsLongAsOneCanGoBackToThem(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, plain)
	agent := agentOf(here, "plain")
	var revisions []string
	for i := range 8 {
		says(t, agent, fmt.Sprintf("Message %d.", i))
		revisions = append(revisions, serving(t, agent))
	}
	until(t, func() error {
		var sets appsv1.ReplicaSetList
		var maps corev1.ConfigMapList
		for _, list := range []client.ObjectList{&sets, &maps} {
			if err := admin.List(limit(t), list, client.InNamespace(here), client.MatchingLabels{"toolcrib.dev/agent": "plain"}); err != nil {
				return err
			}
		}
		var want, have []string
		for _, s := range sets.Items {
			want = append(want, "plain-"+s.Spec.Template.Annotations["toolcrib.dev/revision"])
		}
		for _, m := range maps.Items {
			have = append(have, m.Name)
		}
		slices.Sort(want)
		slices.Sort(have)
		if len(have) != 6 || !slices.Equal(want, have) { // the one that serves and five before
			return fmt.Errorf("configurations %v, ReplicaSets of %v", have, want)
		}
		return nil
	})
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(revisions))), 8)
}

func TestDriftIsPutRight(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, plain)
	agent := agentOf(here, "plain")
	serving(t, agent)
	_, err := cluster.Kubectl(limit(t), "-n", here, "set", "env", "deployment/plain", "SURPRISE=yes")
	require.NoError(t, err)
	merge(t, &networkingv1.NetworkPolicy{ObjectMeta: agent.ObjectMeta}, `{"spec":{"egress":[{}]}}`)
	until(t, func() error {
		var d appsv1.Deployment
		var p networkingv1.NetworkPolicy
		for _, o := range []client.Object{&d, &p} {
			if err := admin.Get(limit(t), client.ObjectKeyFromObject(agent), o); err != nil {
				return err
			}
		}
		if len(d.Spec.Template.Spec.Containers[0].Env) > 0 || len(p.Spec.Egress) < 2 {
			return fmt.Errorf("env %v, egress %v", d.Spec.Template.Spec.Containers[0].Env, p.Spec.Egress)
		}
		return nil
	})

	// Scaling and restarting are people's business.
	_, err = cluster.Kubectl(limit(t), "-n", here, "scale", "deployment/plain", "--replicas=2")
	require.NoError(t, err)
	_, err = cluster.Kubectl(limit(t), "-n", here, "rollout", "restart", "deployment/plain")
	require.NoError(t, err)
	rounds(t, "agent", 3, func() { touch(t, here) })
	var d appsv1.Deployment
	require.NoError(t, admin.Get(limit(t), client.ObjectKeyFromObject(agent), &d))
	require.Equal(t, int32(2), *d.Spec.Replicas)
	require.NotEmpty(t, d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"])
}

func TestANameThatIsTakenIsLeftAlone(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, `
apiVersion: v1
kind: Service
metadata: {name: plain}
spec: {ports: [{port: 1}]}
---
`+plain)
	becomes(t, agentOf(here, "plain"), "Ready", metav1.ConditionFalse, "NameTaken", `Service "plain" is there already and was not made for this agent`)
	var s corev1.Service
	require.NoError(t, admin.Get(limit(t), client.ObjectKey{Namespace: here, Name: "plain"}, &s))
	require.Equal(t, int32(1), s.Spec.Ports[0].Port)
}
