package locks

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// lockManifests is what charts/locks installs.
const lockManifests = "../charts/locks/manifests"

// keeper is what a tool server needs to keep approvals.
const keeper = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: keeper}
rules:
- {apiGroups: [toolcrib.dev], resources: [approvals], verbs: [list, create, consume]}
- {apiGroups: [toolcrib.dev], resources: [approvals/status], verbs: [update]}
`

// people are the users who decide, with their kubeconfigs.
type people struct{ ada, mallory string }

// locked is the shared cluster with charts/locks in it. It returns once the
// API server holds requests to the policy, which takes it a moment.
var locked = sync.OnceValues(func() (people, error) {
	cluster := bed() // which may have to be built first
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var p people
	var errs [2]error
	p.ada, errs[0] = cluster.UserKubeconfig(ctx, "Ada Lovelace")
	p.mallory, errs[1] = cluster.UserKubeconfig(ctx, "mallory")
	for _, err := range errs {
		if err != nil {
			return p, err
		}
	}
	if _, err := cluster.Kubectl(ctx, "apply", "-f", lockManifests); err != nil {
		return p, err
	}
	if err := cluster.Apply(ctx, []byte(keeper)); err != nil {
		return p, err
	}
	l, err := Open(mcpkit.LocksConfig{Kubeconfig: cluster.Kubeconfig, Namespace: "default"})
	if err != nil {
		return p, err
	}
	again := time.NewTicker(tick)
	defer again.Stop()
	for {
		if err := l.CheckApprovals(ctx); err == nil || ctx.Err() != nil {
			return p, err
		}
		<-again.C
	}
})

// room is a namespace with a tool server's account, where Ada decides.
type room struct {
	t      *testing.T
	ns     string
	server string    // kubeconfig
	at     time.Time // when the clock of each replica begins
	people
}

var rooms struct {
	sync.Mutex
	n int
}

func newRoom(t *testing.T) room {
	t.Helper()
	p, err := locked()
	require.NoError(t, err)
	rooms.Lock()
	rooms.n++
	ns := fmt.Sprintf("room-%d", rooms.n)
	rooms.Unlock()
	server, err := bed().ServiceAccount(t.Context(), ns, "server")
	require.NoError(t, err)
	require.NoError(t, bed().Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: keeper, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: keeper}
subjects: [{kind: ServiceAccount, namespace: %[1]s, name: server}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: approvers, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-approver}
subjects: [{kind: User, name: Ada Lovelace}, {kind: User, name: "system:serviceaccount:agents:troubleshooter"}]
`, ns)))
	return room{t: t, ns: ns, server: server, at: time.Now().Truncate(time.Second), people: p}
}

// replica is one more process of the tool server, as far as the cluster sees.
func (r room) replica() (*Locks, *steps) { return r.replicaOf(r.server) }

func (r room) replicaOf(kubeconfig string) (*Locks, *steps) {
	r.t.Helper()
	l, now := openAs(r.t, kubeconfig, r.ns)
	l.cluster.namespace, now.now = r.ns, r.at
	return l, now
}

// request is a call to scale a deployment, with the changes made to it.
func (r room) request(call string, changes ...func(*mcpkit.ApprovalRequest)) mcpkit.ApprovalRequest {
	q := mcpkit.ApprovalRequest{
		Server: "kubernetes-mcp", Tool: "k8s_scale", Caller: "system:serviceaccount:agents:troubleshooter", Agent: "agents/troubleshooter",
		Call: call, Target: "deployments/web in namespace shop", Arguments: `{"name":"web","replicas":3}`, ArgumentsHash: "arguments-1",
		Plan: "deployments/web in namespace shop\n\n  -replicas: 2\n  +replicas: 3", PlanHash: "plan-1",
		Key: "key-1", Expires: r.at.Add(time.Hour),
	}
	for _, change := range changes {
		change(&q)
	}
	return q
}

// consume is what l says of q.
func (r room) consume(l *Locks, q mcpkit.ApprovalRequest) mcpkit.Approval {
	r.t.Helper()
	a, err := l.Consume(r.t.Context(), q)
	require.NoError(r.t, err)
	return a
}

// approve runs the command of an answer as Ada, letter for letter.
func (r room) approve(a mcpkit.Approval) {
	r.t.Helper()
	out, err := r.shell(r.ada, a.Command)
	require.NoError(r.t, err, out)
}

func (r room) shell(kubeconfig, command string) (string, error) {
	sh := exec.CommandContext(r.t.Context(), "sh", "-c", command)
	sh.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+filepath.Dir(bed().KubectlPath())+":"+os.Getenv("PATH"))
	out, err := sh.CombinedOutput()
	return string(out), err
}

// approved asks for q and has it approved.
func (r room) approved(l *Locks, q mcpkit.ApprovalRequest) mcpkit.Approval {
	r.t.Helper()
	a := r.consume(l, q)
	require.Equal(r.t, mcpkit.ApprovalPending, a.State)
	r.approve(a)
	return a
}

// kept are the approvals of the room.
func (r room) kept() []v1alpha1.Approval {
	r.t.Helper()
	var list v1alpha1.ApprovalList
	require.NoError(r.t, json.Unmarshal([]byte(kubectl(r.t, "-n", r.ns, "get", "approvals", "-o", "json")), &list))
	return list.Items
}
