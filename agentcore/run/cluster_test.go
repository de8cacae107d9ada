package run_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
)

// rightsToAsk are what an agent needs that has people decide.
const rightsToAsk = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: asks}
rules:
- {apiGroups: [toolcrib.dev], resources: [approvals], verbs: [list, create, consume]}
- {apiGroups: [toolcrib.dev], resources: [approvals/status], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: asks, namespace: kagent}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: asks}
subjects: [{kind: ServiceAccount, namespace: kagent, name: helper}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: approvers, namespace: kagent}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-approver}
subjects: [{kind: User, name: Ada Lovelace}]
`

// A person approves a call of a server that has nobody decide, by the command
// that the run tells, while no process works on the run.
func TestAnApprovalInARealCluster(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	bed, err := testbed.Start(ctx, testbed.Options{Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bed.Stop()) })
	require.NoError(t, bed.Install(ctx, "../../charts/locks/manifests"))
	agent, err := bed.ServiceAccount(ctx, "kagent", "helper")
	require.NoError(t, err)
	require.NoError(t, bed.Apply(ctx, []byte(rightsToAsk)))
	ada, err := bed.UserKubeconfig(ctx, "Ada Lovelace")
	require.NoError(t, err)
	approvals, err := locks.Open(mcpkit.LocksConfig{Kubeconfig: agent, Namespace: "kagent"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return approvals.CheckApprovals(ctx) == nil }, 5*time.Minute, 100*time.Millisecond)

	tools := &shelf{tools: []toolbox.Tool{writes("Shop__restartPod")}}
	r := runner(script(says("Trust me.", calls("a", "Shop__restartPod", `{"name":"web"}`)), says("Done.")), tools)
	r.Gate = run.Cluster{Approvals: approvals, Namespace: "kagent", Agent: "helper", Caller: "system:serviceaccount:kagent:helper"}
	log := &record.Memory{}
	ctx, handOver := context.WithCancelCause(ctx)
	s, err := r.Run(ctx, run.Question{Run: "run-1", Text: "Why?"}, log, run.Observer{Event: func(e record.Event, _ *run.State) {
		if e.Approval != "" {
			handOver(run.ErrHandover)
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	wait, waiting := s.Waiting()
	require.True(t, waiting)
	require.Empty(t, tools.calls())

	var kept v1alpha1.ApprovalList
	list, err := bed.Kubectl(t.Context(), "-n", "kagent", "get", "approvals", "-o", "json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(list, &kept))
	require.Len(t, kept.Items, 1)
	require.Equal(t, wait.Approval, "kagent/"+kept.Items[0].Name)
	spec := kept.Items[0].Spec
	require.Equal(t, []string{"agentcore/helper", "Shop__restartPod", "kagent/helper", "run-1", `{"name":"web"}`}, []string{spec.Server, spec.Tool, spec.Agent, spec.Run, spec.Arguments})
	require.NotContains(t, spec.Plan, "Trust me")

	_, command, found := strings.Cut(wait.Reason, "to run: ")
	require.True(t, found, wait.Reason)
	sh := exec.CommandContext(t.Context(), "sh", "-c", command)
	sh.Env = append(os.Environ(), "KUBECONFIG="+ada, "PATH="+filepath.Dir(bed.KubectlPath())+":"+os.Getenv("PATH"))
	out, err := sh.CombinedOutput()
	require.NoError(t, err, string(out))

	s, err = r.Run(t.Context(), run.Question{Run: "run-1"}, log, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RunCompleted, s.Phase, s.Reason)
	require.Equal(t, []string{`Shop__restartPod {"name":"web"}`}, tools.calls())
	require.Equal(t, []v1alpha1.RunApproval{{Name: wait.Approval, Tool: "Shop__restartPod", Target: "Shop__restartPod of tools/third-party", Decision: v1alpha1.DecisionApproved}}, s.Approvals())
	by, err := bed.Kubectl(t.Context(), "-n", "kagent", "get", "approvals", "-o", "jsonpath={.items[0].status.consumedBy}")
	require.NoError(t, err)
	require.Equal(t, "run-1/a", string(by))
}
