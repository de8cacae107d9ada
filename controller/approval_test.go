package controller_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/approval"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestAnApprovalIsKeptForItsTime(t *testing.T) {
	t.Parallel()
	policy, err := os.ReadFile("../charts/locks/manifests/approval-policy.yaml")
	require.NoError(t, err)
	ns, now := namespace(t, nil), time.Now().Truncate(time.Second)
	apply(t, ns, string(policy))
	clock := clocktesting.NewFakePassiveClock(now)
	r := &approval.Reconciler{Client: own(t), Clock: clock, Retention: 24 * time.Hour}
	for _, decision := range []v1alpha1.Decision{v1alpha1.DecisionPending, v1alpha1.DecisionApproved, v1alpha1.DecisionDenied} {
		clock.SetTime(now)
		a := &v1alpha1.Approval{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "scale-"},
			Spec: v1alpha1.ApprovalSpec{
				Server: "kubernetes-mcp", Tool: "k8s_scale", Caller: "system:serviceaccount:a:b", Agent: "a/b", Target: "deployments/web",
				Arguments: "{}", ArgumentsHash: "a", Plan: "-1\n+2", PlanHash: "b", ExpiresAt: metav1.NewTime(now.Add(time.Hour)),
			},
		}
		require.NoError(t, admin.Create(limit(t), a))
		if decision != v1alpha1.DecisionPending {
			a.Status.Decision, a.Status.DecidedBy = decision, "toolcrib:admin"
			require.NoError(t, admin.Status().Update(limit(t), a))
		}
		require.Equal(t, 25*time.Hour, looksAt(t, r, a).RequeueAfter)
		clock.SetTime(now.Add(25*time.Hour - time.Second))
		require.Equal(t, time.Second, looksAt(t, r, a).RequeueAfter)
		require.False(t, gone(t, a))
		require.Equal(t, decision, a.Status.Decision)

		denied := a.DeepCopy()
		denied.Labels = map[string]string{"a": "b"}
		require.True(t, apierrors.IsForbidden(own(t).Update(limit(t), denied)), "it may delete, and nothing else")
		require.True(t, apierrors.IsForbidden(own(t).Status().Patch(limit(t), denied, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"decision":"Denied"}}`)))))

		clock.SetTime(now.Add(25 * time.Hour))
		require.Zero(t, looksAt(t, r, a))
		require.True(t, gone(t, a))
	}
}
