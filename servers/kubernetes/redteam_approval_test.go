package kubernetes

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// An approval opens one call; the same call again needs another.
func TestRedTeamReplayedApproval(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	require.NoError(t, c.decide(ada, a.Name, v1alpha1.DecisionApproved))
	r := c.call(c.agent, "k8s_patch_resource", theShelf)
	require.False(t, r.IsError, r.Text)
	require.Equal(t, "gone", c.saw(), "the approved write was done")
	require.NotNil(t, c.approval(a.Name).Status.ConsumedAt)

	apply(t, c.namespace, "{apiVersion: v1, kind: ConfigMap, metadata: {name: shelf}, data: {saw: sharp}}")
	again := c.asked("k8s_patch_resource", theShelf)
	require.NotEqual(t, a.Name, again.Name)
	require.Equal(t, "sharp", c.saw())
}

// An approved call is not approved with one argument more, less or other.
func TestRedTeamApprovalForOtherArguments(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	require.NoError(t, c.decide(ada, a.Name, v1alpha1.DecisionApproved))
	for _, patch := range []string{`{"data":{"saw":"gone "}}`, `{"data":{"saw":"gone","axe":"gone"}}`, `{"data":{"saw":null}}`, `{"data":null}`} {
		c.asked("k8s_patch_resource", map[string]any{"resource_type": "configmap", "resource_name": "shelf", "patch": patch})
	}
	require.Nil(t, c.approval(a.Name).Status.ConsumedAt)
	c.requireUntouched()
}

// Nor for another tool that takes the very same arguments.
func TestRedTeamApprovalForAnotherTool(t *testing.T) {
	t.Parallel()
	c := newCrib(t, "write", []string{"k8s_remove_label", "k8s_remove_annotation", "k8s_label_resource", "k8s_annotate_resource"})
	a := c.asked("k8s_label_resource", map[string]any{"resource_type": "configmap", "resource_name": "shelf", "labels": map[string]any{"x": "y"}})
	require.NoError(t, c.decide(ada, a.Name, v1alpha1.DecisionApproved))
	c.asked("k8s_annotate_resource", map[string]any{"resource_type": "configmap", "resource_name": "shelf", "annotations": map[string]any{"x": "y"}})
	r := c.call(c.agent, "k8s_annotate_resource", map[string]any{"resource_type": "configmap", "resource_name": "shelf", "labels": map[string]any{"x": "y"}})
	require.Contains(t, r.Text, `invalid: unknown argument "labels"`)
	require.Nil(t, c.approval(a.Name).Status.ConsumedAt)
	c.requireUntouched()
}

// Nor for another caller, who may call the same tool.
func TestRedTeamApprovalOfAnotherCaller(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	require.NoError(t, c.decide(ada, a.Name, v1alpha1.DecisionApproved))
	r := c.call(c.other, "k8s_patch_resource", theShelf)
	require.Contains(t, r.Text, "a person must approve this write first")
	require.Nil(t, c.approval(a.Name).Status.ConsumedAt)
	require.Len(t, c.approvals(), 2)
	c.requireUntouched()
}

// What the approved plan rests on has moved: the new plan needs a new approval.
func TestRedTeamApprovalOfAStalePlan(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	require.NoError(t, c.decide(ada, a.Name, v1alpha1.DecisionApproved))
	apply(t, c.namespace, "{apiVersion: v1, kind: ConfigMap, metadata: {name: shelf}, data: {saw: blunt}}")
	r := c.call(c.agent, "k8s_patch_resource", theShelf)
	require.Contains(t, r.Text, "conflict: what the approved plan rests on has changed since (approval "+c.namespace+"/"+a.Name+")")
	require.Equal(t, "blunt", c.saw())
	require.Nil(t, c.approval(a.Name).Status.ConsumedAt)
}

func TestRedTeamAgentApprovesItself(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	err := c.decide(c.account("agent"), a.Name, v1alpha1.DecisionApproved)
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	c.requireStillAsks(a)
}

// An approval that the agent wrote itself, with a plan that reads well over the
// hash of the real one, opens nothing, though a person approved it.
func TestRedTeamApprovalWithAHarmlessPlan(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	own := a.DeepCopy()
	own.ObjectMeta = metav1.ObjectMeta{Name: "k8s-patch-resource-x", Labels: a.Labels}
	own.Spec.Plan = "configmaps \"shelf\"\n\n~ metadata.labels.checked: no -> yes"
	err := c.create(c.account("agent"), own)
	require.True(t, apierrors.IsForbidden(err), "an agent writes no approvals: %v", err)

	c.makeAdmin("agent") // somebody's mistake
	if err := c.create(c.account("agent"), own); err == nil {
		require.NoError(t, c.decide(ada, own.Name, v1alpha1.DecisionApproved))
	}
	c.requireStillAsks(a)
}

// An approval is no blank cheque: it is used within its time or not at all.
func TestRedTeamExpiredApproval(t *testing.T) {
	t.Parallel() // it waits for seconds
	c := writeCrib(t)
	a := c.asked("k8s_patch_resource", theShelf)
	brief := a.DeepCopy()
	require.NoError(t, testClients(t).dynamic.Resource(approvalResource).Namespace(c.namespace).Delete(t.Context(), a.Name, metav1.DeleteOptions{}))
	for life := 3 * time.Second; ; life *= 2 { // until there is time enough to decide
		brief.ObjectMeta = metav1.ObjectMeta{Name: "k8s-patch-resource-" + life.String(), Labels: a.Labels}
		brief.Spec.ExpiresAt = metav1.NewTime(time.Now().Add(life))
		err := c.create(c.account("server"), brief)
		if err == nil {
			err = c.decide(ada, brief.Name, v1alpha1.DecisionApproved)
		}
		if err == nil {
			break
		}
		require.Less(t, life, time.Minute, err)
	}
	within(t, "it has expired", func() bool { return time.Now().After(brief.Spec.ExpiresAt.Time) })
	c.asked("k8s_patch_resource", theShelf)
	require.Nil(t, c.approval(brief.Name).Status.ConsumedAt)
	c.requireUntouched()
}

// approvalsAs are the crib's approvals as somebody reaches them.
func (c *crib) approvalsAs(user string) dynamic.ResourceInterface {
	c.t.Helper()
	return c.as(user).Resource(approvalResource).Namespace(c.namespace)
}

func (c *crib) object(a v1alpha1.Approval) *unstructured.Unstructured {
	c.t.Helper()
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&a)
	require.NoError(c.t, err)
	return &unstructured.Unstructured{Object: object}
}

func (c *crib) create(user string, a *v1alpha1.Approval) error {
	c.t.Helper()
	_, err := c.approvalsAs(user).Create(c.t.Context(), c.object(*a), metav1.CreateOptions{})
	return err
}

func (c *crib) patchStatus(user, approval, patch string) error {
	c.t.Helper()
	_, err := c.approvalsAs(user).Patch(c.t.Context(), approval, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}

// approval is one of them as it is now.
func (c *crib) approval(name string) v1alpha1.Approval {
	c.t.Helper()
	for _, a := range c.approvals() {
		if a.Name == name {
			return a
		}
	}
	require.Fail(c.t, "no approval "+name)
	return v1alpha1.Approval{}
}

// makeAdmin lets a ServiceAccount do everything in the cluster.
func (c *crib) makeAdmin(account string) {
	c.t.Helper()
	api := testClients(c.t).typed.RbacV1().ClusterRoleBindings()
	name := c.namespace + ":admin"
	_, err := api.Create(c.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: c.namespace, Name: account}},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = api.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	require.NoError(c.t, cluster().AwaitGrants(c.t.Context()))
}

// saw is what a write of theShelf changes.
func (c *crib) saw() string {
	c.t.Helper()
	shelf, err := testClients(c.t).typed.CoreV1().ConfigMaps(c.namespace).Get(c.t.Context(), "shelf", metav1.GetOptions{})
	require.NoError(c.t, err)
	return shelf.Data["saw"]
}

// requireStillAsks holds an approval to be as undecided as it was.
func (c *crib) requireStillAsks(a v1alpha1.Approval) {
	c.t.Helper()
	r := c.call(c.agent, "k8s_patch_resource", theShelf)
	require.True(c.t, r.IsError)
	require.Contains(c.t, r.Text, " approval "+c.namespace+"/"+a.Name+" waits for somebody who may decide to run:\n")
	require.Empty(c.t, c.approval(a.Name).Status.DecidedBy)
	c.requireUntouched()
}
