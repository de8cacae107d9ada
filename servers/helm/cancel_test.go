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

// cancelled carries out a plan for a client that cancels its call once it is told
// what begins with moment: what the cluster shows may be ahead of what the write
// knows.
func cancelled(t *testing.T, b *Backend, plan mcpkit.Plan, moment string) {
	t.Helper()
	ended := make(chan error, 1)
	ts := mcpkit.NewToolset()
	mcpkit.Read(ts, mcpkit.Tool{Name: "helm_carry_out", Title: "Carry out", Description: "Carries out a plan.", Timeout: callLimit}, func(ctx context.Context, _ struct{}) (WriteOut, error) {
		out, err := b.carryOut(ctx, plan)
		ended <- err
		return out, err
	})
	call := begun(t, ts, mcpkit.AccessRead, "helm_carry_out", map[string]any{})
	for message := ""; !strings.HasPrefix(message, moment); {
		select {
		case message = <-call.told:
		case err := <-ended:
			require.FailNow(t, "the write ended before it was cancelled", err)
		}
	}
	call.cancel()
	require.ErrorIs(t, <-call.ended, context.Canceled)
	requireKind(t, <-ended, mcpkit.Unavailable, "cancelled by the caller while "+moment)
}

// underWay is a call whose client is told how far it is.
type underWay struct {
	told   <-chan string
	cancel func() // as a person does who presses escape
	ended  <-chan error
}

func begun(t *testing.T, ts *mcpkit.Toolset, access mcpkit.Access, tool string, args map[string]any) underWay {
	t.Helper()
	here, there := mcp.NewInMemoryTransports()
	_, err := mcpkit.NewServer(ts, mcpkit.Options{Name: "helm-mcp", Access: access, Gate: mcpkit.GateOff}).MCP().Connect(t.Context(), there, nil)
	require.NoError(t, err)
	told, ended := make(chan string, 1000), make(chan error, 1)
	client, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { told <- r.Params.Message },
	}).Connect(t.Context(), here, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	params := &mcp.CallToolParams{Name: tool, Arguments: args}
	params.SetProgressToken(tool)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := client.CallTool(ctx, params)
		ended <- err
	}()
	return underWay{told, cancel, ended}
}

func TestCancelledWritesLeaveNothingPending(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), stocked(admin(t))
	slow := Release{"slow", ns}
	const waiting = "waiting for deployment slow"
	plan, err := b.planInstall(t.Context(), InstallIn{Release: slow, ChartRef: ChartRef{Chart: "shop/slow"}})
	require.NoError(t, err)
	cancelled(t, b, plan, waiting)
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, "slow"))
	require.Contains(t, recorded(t, ns, "slow")[0].Info.Description, "Install failed: cancelled by the caller while")

	plan, err = b.planUpgrade(t.Context(), UpgradeIn{Release: slow, ChartRef: ChartRef{Chart: "shop/slow"}, Values: Values{"replicas": 2.0}})
	require.NoError(t, err)
	require.Contains(t, plan.Diff, "revision 1 is failed, so everything is applied again")
	cancelled(t, b, plan, waiting)
	require.Equal(t, "2", kubectl(t, "get", "deployment", "slow", "-n", ns, "-o", "jsonpath={.spec.replicas}"))
	require.Equal(t, []string{"1 failed", "2 failed"}, revisions(t, ns, "slow"))

	plan, err = b.planRollback(t.Context(), RollbackIn{Release: slow, Revision: 1})
	require.NoError(t, err)
	cancelled(t, b, plan, waiting)
	require.Equal(t, "1", kubectl(t, "get", "deployment", "slow", "-n", ns, "-o", "jsonpath={.spec.replicas}"))
	require.Equal(t, []string{"1 failed", "2 failed", "3 failed"}, revisions(t, ns, "slow"))
	require.Contains(t, recorded(t, ns, "slow")[0].Info.Description, "Roll back failed: cancelled by the caller while")
	require.Contains(t, helm3(t).run(t, "status", "slow", "-n", ns), "STATUS: failed")
	done(t, "helm_uninstall", map[string]any{"name": "slow", "namespace": ns})
	require.Empty(t, revisions(t, ns, "slow"))
}

func TestCancelledInAHook(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), stocked(admin(t))
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
		cancelled(t, b, plan, "waiting for hook job lab-hook")
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
	ts := toolset(b)
	call := begun(t, ts, mcpkit.AccessWrite, "helm_install", map[string]any{"name": "slow", "namespace": ns, "chart": "shop/slow"})
	require.Equal(t, "created 1 of 1 objects", <-call.told)
	require.Equal(t, "waiting for deployment slow, 0 of 1 pods ready", <-call.told)
	call.cancel()
	require.ErrorIs(t, <-call.ended, context.Canceled)
	within(t, "the release is failed, first in Helm's words and then in ours", func() bool {
		return strings.HasPrefix(recorded(t, ns, "slow")[0].Info.Description, "Install failed: cancelled by the caller while waiting for deployment slow")
	})
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, "slow"))
	settled := time.Now()
	mark, err := cluster().AuditMark()
	require.NoError(t, err)
	require.Never(t, func() bool { // longer than any of Helm's waits rests between two looks
		events, err := cluster().Audit(mark)
		return err != nil || slices.ContainsFunc(events, func(e testbed.AuditEvent) bool {
			return strings.HasPrefix(e.UserAgent, b.cfg.UserAgent) && e.At.After(settled)
		})
	}, 3*time.Second, 500*time.Millisecond, "a request after the call")
}

func TestTimeOfTheCallEndsAWriteWithAnAnswer(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	release, text := hurried(t, 10*time.Second, "container slow: running, but not ready", func(release string, limit time.Duration) string {
		ts := toolset(stocked(admin(t)))
		s := mcptest.Connect(t, ts, mcpkit.Options{Name: "helm-mcp", Access: mcpkit.AccessWrite, Gate: mcpkit.GateOff, CallTimeout: limit}, nil)
		return s.Call("helm_install", map[string]any{"name": release, "namespace": ns, "chart": "shop/slow"}).Text
	})
	require.Contains(t, text, "unavailable: install release \""+release+"\"")
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, release))
}
