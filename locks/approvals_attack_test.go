package locks

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// plant makes an approval as whoever may create them can, and has Ada approve.
func (r room) plant(like v1alpha1.Approval, name string, change func(*v1alpha1.ApprovalSpec)) {
	r.t.Helper()
	forged := v1alpha1.Approval{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Approval"},
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: name, Labels: maps.Clone(like.Labels), Annotations: maps.Clone(like.Annotations)},
		Spec:       like.Spec,
	}
	change(&forged.Spec)
	raw, err := json.Marshal(forged)
	require.NoError(r.t, err)
	file := filepath.Join(r.t.TempDir(), "forged.json")
	require.NoError(r.t, os.WriteFile(file, raw, 0o600))
	kubectl(r.t, "create", "-f", file)
	r.approve(answer(forged, mcpkit.ApprovalPending))
}

// An attacker who may create approvals shows the person something harmless with
// the hashes of something else.
func TestWhatThePersonReadIsWhatIsDone(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	asked := r.consume(l, r.request("call-1"))
	genuine := r.kept()[0]
	for name, change := range map[string]func(*v1alpha1.ApprovalSpec){
		"plan": func(s *v1alpha1.ApprovalSpec) {
			s.Plan = "deployments/web in namespace shop\n\n  +labels: {harmless: \"true\"}"
		},
		"space":     func(s *v1alpha1.ApprovalSpec) { s.Plan += " " },
		"arguments": func(s *v1alpha1.ApprovalSpec) { s.Arguments = `{"name":"web","replicas":2}` },
		"target":    func(s *v1alpha1.ApprovalSpec) { s.Target = "deployments/test in namespace shop" },
		"tool":      func(s *v1alpha1.ApprovalSpec) { s.Tool = "k8s_label_resource" },
		"server":    func(s *v1alpha1.ApprovalSpec) { s.Server = "helm-mcp" },
		"caller":    func(s *v1alpha1.ApprovalSpec) { s.Caller = "bob" },
	} {
		r.plant(genuine, "forged-"+name, change)
		a := r.consume(l, r.request("call-2"))
		require.Equal(t, []any{mcpkit.ApprovalPending, asked.Name}, []any{a.State, a.Name}, name)
	}
	r.plant(genuine, "copied", func(*v1alpha1.ApprovalSpec) {})
	done := r.consume(l, r.request("call-3"))
	require.Equal(t, []any{mcpkit.ApprovalConsumed, r.ns + "/copied"}, []any{done.State, done.Name}, "a copy of the very same words is as good")
}

// An approval that its labels do not find opens nothing, and stands in nobody's
// way.
func TestLabelsThatFindNothing(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	r.consume(l, r.request("call-1"))
	genuine := r.kept()[0]
	kubectl(t, "-n", r.ns, "delete", "approval", genuine.Name)
	delete(genuine.Labels, requestLabel)
	r.plant(genuine, "lost", func(*v1alpha1.ApprovalSpec) {})
	require.Equal(t, mcpkit.ApprovalPending, r.consume(l, r.request("call-2")).State)
	require.Len(t, r.kept(), 2)
}

func TestWhoGivesUpIsToldNothing(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Consume(ctx, r.request("call-1"))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, r.kept())
}

// The agent's own ServiceAccount is even granted what approvers are granted.
func TestTheAgentCannotApprove(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	agent, err := bed().ServiceAccount(t.Context(), "agents", "troubleshooter")
	require.NoError(t, err)
	asked := r.consume(l, r.request("call-1"))
	for who, kubeconfig := range map[string]string{"is a ServiceAccount and never decides": agent, "is forbidden": r.mallory} {
		out, err := r.shell(kubeconfig, asked.Command)
		require.Error(t, err)
		require.Contains(t, out, who)
	}
	require.Equal(t, asked, r.consume(l, r.request("call-2")))
	mine := r.consume(l, r.request("call-3", func(q *mcpkit.ApprovalRequest) { q.Caller = "Ada Lovelace" }))
	out, err := r.shell(r.ada, mine.Command)
	require.Error(t, err)
	require.Contains(t, out, "cannot decide about it")
}

// Where the admission policy is missing, the server holds to its main rules.
func TestStandingOfADecision(t *testing.T) {
	now := time.Now()
	q := mcpkit.ApprovalRequest{Caller: "system:serviceaccount:agents:troubleshooter", Call: "call", Plan: "plan"}
	for want, statuses := range map[standing][]v1alpha1.ApprovalStatus{
		pending:  {{}, {Decision: "Pending"}, {Decision: "approved", DecidedBy: "ada"}, {DecidedBy: "ada"}},
		approved: {{Decision: "Approved", DecidedBy: "ada"}},
		denied:   {{Decision: "Denied"}, {Decision: "Denied", DecidedBy: "system:serviceaccount:agents:troubleshooter"}},
		usurped: {{Decision: "Approved"}, {Decision: "Approved", DecidedBy: "system:serviceaccount:agents:troubleshooter"},
			{Decision: "Approved", DecidedBy: "system:serviceaccount:agents:other"}},
		used: {{Decision: "Approved", DecidedBy: "ada", ConsumedBy: "other"}, {Decision: "Approved", DecidedBy: "ada", ConsumedAt: new(metav1.NewTime(now))}},
		ours: {{Decision: "Approved", DecidedBy: "ada", ConsumedBy: "call", ConsumedAt: new(metav1.NewTime(now))}},
		gone: {{ConsumedBy: "call"}, {Decision: "Denied", ConsumedBy: "call"}},
	} {
		for _, status := range statuses {
			try := attempt{Locks: &Locks{clock: clock{}}, r: q}
			spec := v1alpha1.ApprovalSpec{Caller: q.Caller, Plan: q.Plan, ExpiresAt: metav1.NewTime(now.Add(time.Hour))}
			require.Equal(t, want, try.standing(v1alpha1.Approval{Spec: spec, Status: status}), "%+v", status)
			spec.ExpiresAt = metav1.NewTime(now.Add(-time.Second))
			switch expired := try.standing(v1alpha1.Approval{Spec: spec, Status: status}); want {
			case used, ours:
				require.Equal(t, want, expired, "%+v", status)
			case approved:
				require.Equal(t, late, expired, "%+v", status)
			default:
				require.Equal(t, gone, expired, "%+v", status)
			}
		}
	}
}

func TestAServerThatCannotKeepApprovals(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	powerless, err := bed().ServiceAccount(t.Context(), r.ns, "powerless")
	require.NoError(t, err)
	forbidden, _ := r.replicaOf(powerless)
	missing, _ := r.replica()
	missing.cluster.approvals = without(t, bed().Kubeconfig)
	nowhere, _ := r.replicaOf(bed().Kubeconfig)
	nowhere.cluster.namespace = "not-there"
	down, _ := r.replicaOf(redirected(t, r.server, "https://127.0.0.1:1", nil))
	for _, c := range []struct {
		locks *Locks
		kind  mcpkit.Kind
		text  string
	}{
		{forbidden, mcpkit.Denied, "this server may not keep approvals in namespace " + r.ns + ". Nothing was changed. Tell whoever runs it: it needs list and create"},
		{missing, mcpkit.Unavailable, "comes with charts/locks"},
		{nowhere, mcpkit.Unavailable, "the cluster keeps no approvals in namespace not-there. Nothing was changed"},
		{down, mcpkit.Unavailable, "the API server that keeps them does not answer. Nothing was changed; try again in a few seconds"},
	} {
		_, err := c.locks.Consume(t.Context(), r.request("call"))
		known := refusal(t, err)
		require.Equal(t, c.kind, known.Kind, known.Text)
		require.Contains(t, known.Text, c.text)
		require.NotContains(t, known.Text, "127.0.0.1")
	}
	long := r.request("call", func(q *mcpkit.ApprovalRequest) { q.Caller = strings.Repeat("x", 2000) })
	l, _ := r.replica()
	_, err = l.Consume(t.Context(), long)
	known := refusal(t, err)
	require.Equal(t, mcpkit.Invalid, known.Kind)
	require.Contains(t, known.Text, "the API server does not take the approval that this write needs. Nothing was changed. It says: ")
	require.Less(t, len(known.Text), 700)
}

// without is a client of a cluster for a type that is not installed there.
func without(t *testing.T, kubeconfig string) rest.Interface {
	t.Helper()
	return clientOf(t, kubeconfig, schema.GroupVersion{Group: "absent.toolcrib.dev", Version: "v1"}, runtime.NewScheme())
}

func clientOf(t *testing.T, kubeconfig string, group schema.GroupVersion, scheme *runtime.Scheme) rest.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	config.GroupVersion, config.APIPath = &group, "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c, err := rest.RESTClientFor(config)
	require.NoError(t, err)
	return c
}

func TestAServerFindsOutWhetherApprovalsHold(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	held, _ := r.replica()
	require.NoError(t, held.CheckApprovals(t.Context()))
	require.Empty(t, r.kept())

	missing, _ := r.replica()
	missing.cluster.approvals = without(t, bed().Kubeconfig)
	require.ErrorContains(t, missing.CheckApprovals(t.Context()), "the type approvals.toolcrib.dev comes with charts/locks")
	powerless, err := bed().ServiceAccount(t.Context(), r.ns, "check-powerless")
	require.NoError(t, err)
	forbidden, _ := r.replicaOf(powerless)
	require.ErrorContains(t, forbidden.CheckApprovals(t.Context()), "it needs list and create")

	unheld, _ := r.replica()
	unheld.cluster.approvals = unguarded(t)
	require.Eventually(t, func() bool {
		err := unheld.CheckApprovals(t.Context())
		return err != nil && strings.HasPrefix(err.Error(), "the policy approvals.toolcrib.dev of charts/locks is not installed, or not bound: ")
	}, limit, tick)
}

// unguarded is a client for the type of approvals under another group, where no
// policy holds anybody to anything.
func unguarded(t *testing.T) rest.Interface {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join(lockManifests, "toolcrib.dev_approvals.yaml"))
	require.NoError(t, err)
	require.NoError(t, bed().Apply(t.Context(), bytes.ReplaceAll(manifest, []byte("toolcrib.dev"), []byte("unguarded.example.com"))))
	group := schema.GroupVersion{Group: "unguarded.example.com", Version: v1alpha1.GroupVersion.Version}
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(group, &v1alpha1.Approval{})
	return clientOf(t, bed().Kubeconfig, group, scheme)
}
