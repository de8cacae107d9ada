package coldstart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/testbed/proc"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const triggers = `
apiVersion: v1
kind: Namespace
metadata: {name: takeover}
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: asked, namespace: takeover}
spec: {declarative: {systemMessage: Look.}}
---
apiVersion: toolcrib.dev/v1alpha1
kind: AgentTrigger
metadata: {name: by-the-clock, namespace: takeover}
spec: {agent: asked, prompt: "What happened?", schedule: {cron: "*/30 * * * *"}, maxActive: 100}
---
apiVersion: toolcrib.dev/v1alpha1
kind: AgentTrigger
metadata: {name: alerts, namespace: takeover}
spec: {agent: asked, prompt: "What happened?", alertmanager: {}, dedupe: [alertname], maxActive: 100}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: sender, namespace: takeover}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: sender, namespace: takeover}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-alert-sender}
subjects: [{kind: ServiceAccount, namespace: takeover, name: sender}]
`

// replica is one of several controllers, of which one works.
type replica struct {
	process
	alerts string // URL of the trigger
}

func startReplica(t *testing.T) replica {
	t.Helper()
	ports, err := proc.FreePorts(1)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	p := start(t, "takeover", "--leader-elect", "--leader-election-namespace", "toolcrib", "--alerts-address", address, "--alerts-audience", "alerts")
	return replica{p, "http://" + address + "/alerts/takeover/alerts"}
}

// until waits for what all replicas together must bring about.
func until(t *testing.T, what string, done func(ctx context.Context) (bool, error)) {
	t.Helper()
	require.NoError(t, proc.Until(limit(t), what, 100*time.Millisecond, done))
}

// holder is who works, as the lease says; empty if there is none.
func holder(t *testing.T) string {
	t.Helper()
	var lease coordinationv1.Lease
	err := admin.Get(limit(t), client.ObjectKey{Namespace: "toolcrib", Name: "toolcrib-controller"}, &lease)
	require.NoError(t, client.IgnoreNotFound(err))
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// runs are those that the trigger began, by what they are about.
func runs(t *testing.T, trigger string) map[string][]string {
	t.Helper()
	var list v1alpha1.AgentRunList
	require.NoError(t, admin.List(limit(t), &list, client.InNamespace("takeover")))
	out := map[string][]string{}
	for _, run := range list.Items {
		if run.Spec.Trigger.Name == trigger {
			out[run.Spec.Trigger.Key] = append(out[run.Spec.Trigger.Key], run.Name)
		}
	}
	return out
}

// tell sends an alert until it is taken in, as Alertmanager does.
func (r replica) tell(t *testing.T, token, alert string) error {
	body := fmt.Sprintf(`{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":%q},"startsAt":"2026-11-21T19:00:00Z","fingerprint":"f"}]}`, alert)
	return proc.Until(limit(t), "the alert to be taken in", 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.alerts, bytes.NewReader([]byte(body)))
		if err != nil {
			return false, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, err
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK, fmt.Errorf("the answer is %s", response.Status)
	}, r.Process)
}

// wasDue has the trigger's status say that the time is still to come for which
// runs may exist already, as if whoever began them had ended before saying so.
func wasDue(t *testing.T, at time.Time) {
	t.Helper()
	patch := fmt.Sprintf(`{"status":{"observedGeneration":1,"nextRunAt":%q}}`, at.UTC().Format(time.RFC3339))
	trigger := &v1alpha1.AgentTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "takeover", Name: "by-the-clock"}}
	require.NoError(t, admin.Status().Patch(limit(t), trigger, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

// The one that works is killed in the midst of it. The other takes over what is
// not done and does nothing again.
func TestTheSecondTakesOver(t *testing.T) {
	const agents, servers = 20, 2
	require.NoError(t, cluster.Apply(limit(t), []byte(triggers)))
	out, err := cluster.Kubectl(limit(t), "-n", "takeover", "create", "token", "sender", "--audience=alerts")
	require.NoError(t, err)
	token, due := strings.TrimSpace(string(out)), time.Now().Truncate(30*time.Minute)
	wasDue(t, due)

	first := startReplica(t)
	until(t, "the first to work", func(context.Context) (bool, error) { return holder(t) != "" && len(runs(t, "by-the-clock")) > 0, nil })
	second, leader := startReplica(t), holder(t)
	told := make(chan error)
	for _, r := range []replica{first, second} { // at once, as an Alertmanager that sends twice
		go func() { told <- r.tell(t, token, "Down") }()
	}
	require.NoError(t, errors.Join(<-told, <-told))
	declare(t, "takeover", agents, servers)
	until(t, "the first to be in the midst of work", func(ctx context.Context) (bool, error) {
		var list appsv1.DeploymentList
		err := admin.List(ctx, &list, client.InNamespace("takeover"))
		return len(list.Items) > 3, err
	})
	require.NoError(t, syscall.Kill(first.Pid(), syscall.SIGKILL))
	<-first.Exited()
	wasDue(t, due)
	require.NoError(t, second.tell(t, token, "Down"))
	require.NoError(t, second.tell(t, token, "Slow")) // for that, nobody need work

	until(t, "the second to work", func(context.Context) (bool, error) { return holder(t) != leader, second.Err() })
	up(t, second.process, "takeover", agents+1, servers)
	second.resync(t, "takeover", agents+1, 1)
	for key, names := range runs(t, "by-the-clock") {
		require.Len(t, names, 1, key)
	}
	require.Contains(t, runs(t, "by-the-clock"), due.UTC().Format(time.RFC3339))
	require.Equal(t, map[string][]string{"Down": {"alerts-1"}, "Slow": {"alerts-2"}}, runs(t, "alerts"))
	var deployments appsv1.DeploymentList
	var configurations corev1.ConfigMapList
	ours := client.MatchingLabels{"app.kubernetes.io/managed-by": "toolcrib"}
	require.NoError(t, admin.List(limit(t), &deployments, client.InNamespace("takeover"), ours))
	require.NoError(t, admin.List(limit(t), &configurations, client.InNamespace("takeover"), ours))
	require.Len(t, deployments.Items, agents+1)
	require.Len(t, configurations.Items, agents+1, "one revision of each")
	for _, d := range deployments.Items {
		require.EqualValues(t, 1, d.Generation, "%s was written again", d.Name)
	}
}
