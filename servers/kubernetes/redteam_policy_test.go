package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Whoever may write an approval's status, the tool server itself, cannot make a
// used one new.
func TestRedTeamUsedApprovalMadeNew(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	require.NoError(t, c.decide(ada, a.Name, v1alpha1.DecisionApproved))
	require.False(t, c.call(c.agent, "k8s_patch_resource", theShelf).IsError)
	for _, user := range []string{c.account("server"), ada} {
		require.Error(t, c.patchStatus(user, a.Name, `{"status":{"consumedAt":null,"consumedBy":null}}`), user)
	}
	require.NotNil(t, c.approval(a.Name).Status.ConsumedAt)
}

// Not even with every right there is, for an administrator who grants too much
// is the agent's best friend; nor under the name of somebody who may.
func TestRedTeamAgentWithEveryRightApprovesItself(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	c.makeAdmin("agent")
	a := c.asked("k8s_patch_resource", theShelf)
	agent := c.account("agent")
	require.ErrorContains(t, c.decide(agent, a.Name, v1alpha1.DecisionApproved), "approvals.toolcrib.dev")
	require.ErrorContains(t, c.patchStatus(agent, a.Name, `{"status":{"decision":"Approved","decidedBy":"ada@example.com"}}`), "approvals.toolcrib.dev")
	_, err := c.approvalsAs(agent).Patch(t.Context(), a.Name, types.MergePatchType, []byte(`{"spec":{"plan":"nothing much"}}`), metav1.PatchOptions{})
	require.ErrorContains(t, err, "the spec of an approval never changes")
	c.requireStillAsks(a)
}

// The tool server writes the status of approvals, but no decision: a hijacked
// one cannot approve its own writes.
func TestRedTeamServerApproves(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	server := c.account("server")
	a.Status = v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionApproved, DecidedBy: server}
	_, err := c.approvalsAs(server).UpdateStatus(t.Context(), c.object(a), metav1.UpdateOptions{})
	require.ErrorContains(t, err, "approvals.toolcrib.dev")
	c.requireStillAsks(a)
}

// A person who may decide does so in their own name, once, and about what was
// asked.
func TestRedTeamPersonOverreaches(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	require.Error(t, c.patchStatus(ada, a.Name, `{"status":{"decision":"Approved","decidedBy":"bob@example.com"}}`), "in another's name")
	require.Error(t, c.patchStatus(ada, a.Name, `{"status":{"decision":"Approved"}}`), "in nobody's name")
	require.NoError(t, c.decide(ada, a.Name, v1alpha1.DecisionDenied))
	require.Error(t, c.decide(ada, a.Name, v1alpha1.DecisionApproved), "a denial is final")
	require.Contains(t, c.call(c.agent, "k8s_patch_resource", theShelf).Text, "denied: ada@example.com denied this write. Nothing was changed")
	c.requireUntouched()
}
