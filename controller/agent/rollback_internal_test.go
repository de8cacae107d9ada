package agent

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/apply"
	"github.com/toolcrib/toolcrib/controller/labels"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// serving is an API server with an Agent, and with any Deployment and ConfigMap
// that is asked for.
type serving struct {
	client.Client
	agent kagent.Agent
}

func (s serving) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if a, ok := o.(*kagent.Agent); ok {
		*a = s.agent
	}
	return nil
}

// An Agent that is changed and changed back within a moment has a Deployment of
// the revision between, and a cache that does not know yet who made it.
func TestWhatWeRolledOutIsNoRollback(t *testing.T) {
	live := func() *appsv1.Deployment {
		d := &appsv1.Deployment{}
		d.Spec.Template.Annotations = map[string]string{labels.Revision: "between"}
		return d
	}
	cached := &work{Agent: kagent.Agent{ObjectMeta: metav1.ObjectMeta{Generation: 3}, Status: kagent.AgentStatus{TargetRevision: "first"}}, revision: "first"}
	for target, want := range map[string]string{"between": "", "first": "between"} {
		s := serving{agent: kagent.Agent{Status: kagent.AgentStatus{TargetRevision: target}}}
		back, err := (&Reconciler{Client: s, fresh: s}).wentBack(t.Context(), cached, live())
		require.NoError(t, err)
		require.Equal(t, want, back)
	}
}

// The status is not written after the rollout of the revision between, and then
// the Agent is changed back.
func TestARolloutThatTheStatusDoesNotKnowIsNoRollback(t *testing.T) {
	kinds := kubernetes.Scheme
	require.NoError(t, kagent.AddToScheme(kinds))
	declared := &kagent.Agent{ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: "plain", UID: "1"}}
	objects := []client.Object{declared}
	for _, revision := range []string{"first", "between"} {
		objects = append(objects, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: configurationName("plain", revision), Annotations: map[string]string{labels.Revision: revision}}})
	}
	c := fake.NewClientBuilder().WithScheme(kinds).WithStatusSubresource(declared).WithObjects(objects...).Build()
	r := &Reconciler{Client: c, fresh: c}
	roll := func(revision string, written bool) (rolledBack string) {
		t.Helper()
		w := &work{revision: revision}
		require.NoError(t, c.Get(t.Context(), client.ObjectKeyFromObject(declared), &w.Agent))
		w.before, w.apply = w.Agent.DeepCopy(), apply.Applier{Client: c, Fresh: c, Owner: &w.Agent}
		w.deployment = r.deploymentOf(w, corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{labels.Revision: revision}}})
		require.NoError(t, r.roll(t.Context(), w))
		if written {
			require.NoError(t, c.Status().Patch(t.Context(), &w.Agent, client.MergeFrom(w.before)))
		}
		return w.rolledBack
	}
	template := func() string {
		var d appsv1.Deployment
		require.NoError(t, c.Get(t.Context(), client.ObjectKeyFromObject(declared), &d))
		return d.Spec.Template.Annotations[labels.Revision]
	}
	require.Empty(t, roll("first", true))
	require.Empty(t, roll("between", false))
	require.Equal(t, "between", template())
	require.Empty(t, roll("first", true))
	require.Equal(t, "first", template())

	// What somebody goes back to after that is kept.
	require.Empty(t, roll("between", true))
	var d appsv1.Deployment
	require.NoError(t, c.Get(t.Context(), client.ObjectKeyFromObject(declared), &d))
	d.Spec.Template.Annotations[labels.Revision] = "first"
	require.NoError(t, c.Update(t.Context(), &d))
	require.Equal(t, "first", roll("between", true))
}
