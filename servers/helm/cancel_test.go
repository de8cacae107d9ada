package helm

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed"
)

// cancelled carries out a plan and cancels its call once an object of the write
// is there. It returns what the call says.
func cancelled(t *testing.T, b *Backend, plan mcpkit.Plan, when func() bool) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := b.carryOut(ctx, plan)
		ended <- err
	}()
	within(t, soon, "the write has begun", when)
	cancel()
	err := <-ended
	requireKind(t, err, mcpkit.Unavailable, "cancelled by the caller")
	return err
}

func TestCancelledWritesLeaveNothingPending(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), stocked(admin(t))
	slow := Release{"slow", ns}
	there := func() bool { return len(objects(t, ns)) > 0 }
	plan, err := b.planInstall(t.Context(), InstallIn{Release: slow, ChartRef: ChartRef{Chart: "shop/slow"}})
	require.NoError(t, err)
	cancelled(t, b, plan, there)
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, "slow"))
	require.Contains(t, recorded(t, ns, "slow")[0].Info.Description, "Install failed: cancelled by the caller while")

	plan, err = b.planUpgrade(t.Context(), UpgradeIn{Release: slow, ChartRef: ChartRef{Chart: "shop/slow"}, Values: Values{"replicas": 2.0}})
	require.NoError(t, err)
	require.Contains(t, plan.Diff, "revision 1 is failed, so everything is applied again")
	cancelled(t, b, plan, func() bool {
		return kubectl(t, "get", "deployment", "slow", "-n", ns, "-o", "jsonpath={.spec.replicas}") == "2"
	})
	require.Equal(t, []string{"1 failed", "2 failed"}, revisions(t, ns, "slow"))

	plan, err = b.planRollback(t.Context(), RollbackIn{Release: slow, Revision: 1})
	require.NoError(t, err)
	cancelled(t, b, plan, func() bool {
		return kubectl(t, "get", "deployment", "slow", "-n", ns, "-o", "jsonpath={.spec.replicas}") == "1"
	})
	require.Equal(t, []string{"1 failed", "2 failed", "3 failed"}, revisions(t, ns, "slow"))
	require.Contains(t, recorded(t, ns, "slow")[0].Info.Description, "Roll back failed: cancelled by the caller while")
	require.Contains(t, helm3(t).run(t, "status", "slow", "-n", ns), "STATUS: failed")
	done(t, "helm_uninstall", map[string]any{"name": "slow", "namespace": ns})
	require.Empty(t, revisions(t, ns, "slow"))
}

func TestCancelledInAHook(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), stocked(admin(t))
	job := func() bool { return len(objects(t, ns)) > 1 }
	for _, hook := range []string{"pre-rollback", "pre-delete"} {
		name := Release{"lab", ns}
		_, err := b.planInstall(t.Context(), InstallIn{Release: name, ChartRef: ChartRef{Chart: "lab-1.0.0.tgz"}, Values: Values{"hook": hook}})
		require.NoError(t, err)
		done(t, "helm_install", labIn(ns, "hook: "+hook))
		var plan mcpkit.Plan
		if hook == "pre-rollback" {
			done(t, "helm_upgrade", labIn(ns, "note: second"))
			plan, err = b.planRollback(t.Context(), RollbackIn{Release: name})
		} else {
			plan, err = b.planUninstall(t.Context(), UninstallIn{Release: name})
		}
		require.NoError(t, err)
		require.Contains(t, plan.String(), hook+" hooks run: Job/lab-hook")
		cancelled(t, b, plan, job)
		require.Equal(t, "failed", recorded(t, ns, "lab")[0].Info.Status.String(), hook)
		require.Contains(t, recorded(t, ns, "lab")[0].Info.Description, "while waiting for hook job lab-hook")
		helm3(t).run(t, "uninstall", "lab", "-n", ns, "--no-hooks")
		kubectl(t, "delete", "job", "lab-hook", "-n", ns)
	}
}

// The client cancels, as a person who presses escape does.
func TestWritesTellHowFarTheyAreAndEndWithTheirCall(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	b := granted(t, "", writeRules...)
	ts := mcpkit.NewToolset()
	Register(ts, b)
	here, there := mcp.NewInMemoryTransports()
	_, err := mcpkit.NewServer(ts, mcpkit.Options{Name: "helm-mcp", Access: mcpkit.AccessWrite, Gate: mcpkit.GateOff}).MCP().Connect(t.Context(), there, nil)
	require.NoError(t, err)
	told := make(chan *mcp.ProgressNotificationParams, 100)
	client, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { told <- r.Params },
	}).Connect(t.Context(), here, nil)
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	params := &mcp.CallToolParams{Name: "helm_install", Arguments: map[string]any{"name": "slow", "namespace": ns, "chart": "shop/slow"}}
	params.SetProgressToken("install")
	ended := make(chan error, 1)
	go func() {
		_, err := client.CallTool(ctx, params)
		ended <- err
	}()
	require.Equal(t, "created 1 of 1 objects", (<-told).Message)
	require.Equal(t, "waiting for deployment slow, 0 of 1 pods ready", (<-told).Message)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	within(t, soon, "the release is failed, first in Helm's words and then in ours", func() bool {
		return strings.HasPrefix(recorded(t, ns, "slow")[0].Info.Description, "Install failed: cancelled by the caller while waiting for deployment slow")
	})
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, "slow"))
	mark, err := cluster().AuditMark()
	require.NoError(t, err)
	require.Never(t, func() bool { // longer than any of Helm's waits rests between two looks
		events, err := cluster().Audit(mark)
		return err != nil || slices.ContainsFunc(events, func(e testbed.AuditEvent) bool { return strings.HasPrefix(e.UserAgent, b.cfg.UserAgent) })
	}, 3*time.Second, 500*time.Millisecond, "a request after the call")
}

func TestTimeOfTheCallEndsAWriteWithAnAnswer(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	ts := mcpkit.NewToolset()
	Register(ts, stocked(admin(t)))
	s := mcptest.Connect(t, ts, mcpkit.Options{Name: "helm-mcp", Access: mcpkit.AccessWrite, Gate: mcpkit.GateOff, CallTimeout: 20 * time.Second}, nil)
	a := s.Call("helm_install", map[string]any{"name": "slow", "namespace": ns, "chart": "shop/slow"})
	require.Contains(t, a.Text, "unavailable: install release \"slow\"")
	require.Contains(t, a.Text, "container slow: running, but not ready")
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, "slow"))
}
