package locks

import (
	"fmt"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestAnApprovalIsGoodForOneCall(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	asked := r.consume(l, r.request("call-1"))
	require.Equal(t, mcpkit.ApprovalPending, asked.State)
	require.Equal(t, asked, r.consume(l, r.request("call-2")), "the same call asks for nothing new")
	require.Len(t, r.kept(), 1)

	r.approve(asked)
	done := r.consume(l, r.request("call-3"))
	require.Equal(t, []any{mcpkit.ApprovalConsumed, asked.Name, "Ada Lovelace"}, []any{done.State, done.Name, done.DecidedBy})
	kept := r.kept()[0]
	require.Equal(t, "call-3", kept.Status.ConsumedBy)
	require.NotNil(t, kept.Status.ConsumedAt)

	again := r.consume(l, r.request("call-4"))
	require.Equal(t, []any{mcpkit.ApprovalPending, mcpkit.ApprovalUsed, asked.Name}, []any{again.State, again.Fate, again.Earlier})
	require.NotEqual(t, asked.Name, again.Name)
	require.Len(t, r.kept(), 2)
}

func TestAnApprovalIsGoodForNothingElse(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	asked := r.approved(l, r.request("call-1"))
	for name, change := range map[string]func(*mcpkit.ApprovalRequest){
		"arguments": func(q *mcpkit.ApprovalRequest) {
			q.ArgumentsHash, q.Arguments = "arguments-2", `{"name":"web","replicas":30}`
		},
		"secret":  func(q *mcpkit.ApprovalRequest) { q.ArgumentsHash = "arguments-2" },
		"tool":    func(q *mcpkit.ApprovalRequest) { q.Tool = "k8s_delete_resource" },
		"letters": func(q *mcpkit.ApprovalRequest) { q.Tool = "_Shop__deletePod_" },
		"caller":  func(q *mcpkit.ApprovalRequest) { q.Caller = "system:serviceaccount:agents:other" },
		"server":  func(q *mcpkit.ApprovalRequest) { q.Server = "helm-mcp" },
		"target":  func(q *mcpkit.ApprovalRequest) { q.Target = "deployments/db in namespace shop" },
		"shown":   func(q *mcpkit.ApprovalRequest) { q.Arguments = `{"name":"web"}` },
	} {
		a := r.consume(l, r.request("call-2", change))
		require.Equal(t, mcpkit.ApprovalPending, a.State, name)
		require.NotEqual(t, asked.Name, a.Name, name)
	}
	elsewhere := newRoom(t)
	there, _ := elsewhere.replica()
	require.Equal(t, mcpkit.ApprovalPending, elsewhere.consume(there, r.request("call-3")).State, "namespace")
	require.Equal(t, mcpkit.ApprovalConsumed, r.consume(l, r.request("call-4")).State, "the call itself")
}

// A call whose answer was lost is made again with the approval that it waits
// for: if that is used up, the write may have been made, and is not made again.
func TestACallThatAwaitsAnApprovalUsesNoOther(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	awaits := func(name string) func(*mcpkit.ApprovalRequest) {
		return func(q *mcpkit.ApprovalRequest) { q.Awaits = name }
	}
	first := r.approved(l, r.request("call-1"))
	require.Equal(t, mcpkit.ApprovalConsumed, r.consume(l, r.request("call-2", awaits(first.Name))).State)
	changed := func(q *mcpkit.ApprovalRequest) { q.Plan, q.PlanHash = strings.ReplaceAll(q.Plan, "2", "5"), "plan-2" }
	for _, change := range []func(*mcpkit.ApprovalRequest){func(*mcpkit.ApprovalRequest) {}, changed} {
		again := r.consume(l, r.request("call-3", awaits(first.Name), change))
		require.Equal(t, []any{mcpkit.ApprovalTaken, first.Name}, []any{again.State, again.Name})
	}
	require.Len(t, r.kept(), 1, "nobody is asked once more")

	second := r.approved(l, r.request("call-4", changed))
	other := r.consume(l, r.request("call-5", changed, awaits("tools/of-an-older-plan-1")))
	require.Equal(t, []any{mcpkit.ApprovalPending, second.Name}, []any{other.State, other.Name})
	require.Equal(t, mcpkit.ApprovalConsumed, r.consume(l, r.request("call-6", changed, awaits(second.Name))).State)
}

func TestAPlanThatChangedIsApprovedAnew(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	changed := func(q *mcpkit.ApprovalRequest) { q.Plan, q.PlanHash = strings.ReplaceAll(q.Plan, "2", "5"), "plan-2" }
	asked := r.approved(l, r.request("call-1"))
	anew := r.consume(l, r.request("call-2", changed))
	require.Equal(t, []any{mcpkit.ApprovalPending, mcpkit.ApprovalStale, asked.Name}, []any{anew.State, anew.Fate, anew.Earlier})
	require.Equal(t, anew, r.consume(l, r.request("call-3", changed)), "it stays said")
	r.approve(anew)
	require.Equal(t, mcpkit.ApprovalConsumed, r.consume(l, r.request("call-4", changed)).State)
}

func TestNoStaysNoUntilItExpires(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, now := r.replica()
	asked := r.consume(l, r.request("call-1"))
	denied := strings.Replace(asked.Command, "decision: Approved", "decision: Denied, reason: not on a Friday", 1)
	out, err := r.shell(r.ada, denied)
	require.NoError(t, err, out)
	for range 2 {
		a := r.consume(l, r.request("call-2"))
		require.Equal(t, []any{mcpkit.ApprovalDenied, asked.Name, "Ada Lovelace", "not on a Friday"}, []any{a.State, a.Name, a.DecidedBy, a.Reason})
	}
	out, err = r.shell(r.ada, asked.Command)
	require.Error(t, err, out)
	now.pass(time.Hour)
	a := r.consume(l, r.request("call-3", func(q *mcpkit.ApprovalRequest) { q.Expires = q.Expires.Add(time.Hour) }))
	require.Equal(t, mcpkit.ApprovalPending, a.State)
	require.NotEqual(t, asked.Name, a.Name)
}

func TestAnApprovalExpires(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, now := r.replica()
	asked := r.approved(l, r.request("call-1"))
	now.pass(time.Hour + time.Second)
	later := func(q *mcpkit.ApprovalRequest) { q.Expires = q.Expires.Add(time.Hour) }
	a := r.consume(l, r.request("call-2", later))
	require.Equal(t, []any{mcpkit.ApprovalPending, mcpkit.ApprovalLate, asked.Name}, []any{a.State, a.Fate, a.Earlier})
	require.NotEqual(t, asked.Name, a.Name)
	require.Nil(t, r.kept()[0].Status.ConsumedAt)
	now.pass(-time.Hour)
	require.Equal(t, mcpkit.ApprovalConsumed, r.consume(l, r.request("call-3")).State, "it was the clock alone")
}

// Decisions are final, so deleting is how a person takes one back. A finalizer
// may keep the object for long.
func TestAYesIsTakenBackByDeleting(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	asked := r.approved(l, r.request("call-1"))
	name := path.Base(asked.Name)
	kubectl(t, "-n", r.ns, "patch", "approval", name, "--type=merge", "-p", `{"metadata":{"finalizers":["example.com/archive"]}}`)
	kubectl(t, "-n", r.ns, "delete", "approval", name, "--wait=false")
	a := r.consume(l, r.request("call-2"))
	require.Equal(t, mcpkit.ApprovalPending, a.State)
	require.NotEqual(t, asked.Name, a.Name)
	require.Nil(t, r.kept()[0].Status.ConsumedAt)
	kubectl(t, "-n", r.ns, "patch", "approval", name, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
}

func TestAYesThatVanishesOnTheWayIsLookedForAgain(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	asked := r.approved(l, r.request("call-1"))
	seen := r.kept()[0]
	kubectl(t, "-n", r.ns, "delete", "approval", path.Base(asked.Name))
	try := attempt{Locks: l, r: r.request("call-2")}
	_, err := try.consume(t.Context(), seen)
	require.True(t, moved(err), err)
}

// What is long past is not even listed, and hides nothing; its names are taken
// all the same.
func TestHistoryHidesNothing(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, now := r.replica()
	for i := range 5 {
		at := func(q *mcpkit.ApprovalRequest) { q.Expires = now.Now().Add(time.Hour) }
		a := r.consume(l, r.request(fmt.Sprint("call-", i), at))
		require.Equal(t, mcpkit.ApprovalPending, a.State)
		require.True(t, strings.HasSuffix(a.Name, fmt.Sprint("-", i+1)), a.Name)
		now.pass(4 * time.Hour)
	}
	q := r.request("call-9", func(q *mcpkit.ApprovalRequest) { q.Expires = now.Now().Add(time.Hour) })
	try := attempt{Locks: l, r: q}
	live, err := l.listed(t.Context(), try.live(requestLabel, request(q)))
	require.NoError(t, err)
	require.Empty(t, live)
	require.Len(t, r.kept(), 5)
}

func TestACallerHasSoManyUndecided(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, now := r.replica()
	nth := func(n int) mcpkit.ApprovalRequest {
		return r.request("call", func(q *mcpkit.ApprovalRequest) { q.ArgumentsHash = fmt.Sprint("arguments-", n) })
	}
	first := r.consume(l, nth(1))
	for n := 2; n <= maxWaiting; n++ {
		r.consume(l, nth(n))
	}
	_, err := l.Consume(t.Context(), nth(maxWaiting+1))
	known := refusal(t, err)
	require.Equal(t, mcpkit.Denied, known.Kind)
	require.Contains(t, known.Text, "20 writes that system:serviceaccount:agents:troubleshooter asked for wait for a decision already, and 20 may at once. Nothing was changed")
	require.Contains(t, known.Text, "\n- "+first.Name+" (deployments/web in namespace shop)")
	require.Len(t, r.kept(), maxWaiting)
	require.Equal(t, first, r.consume(l, nth(1)), "what waits goes on to")
	other := r.consume(l, r.request("call", func(q *mcpkit.ApprovalRequest) { q.Caller = "ada" }))
	require.Equal(t, mcpkit.ApprovalPending, other.State, "another caller is not held up")

	r.approve(first)
	require.Equal(t, mcpkit.ApprovalPending, r.consume(l, nth(maxWaiting+1)).State, "a decision makes room")
	_, err = l.Consume(t.Context(), nth(maxWaiting+2))
	require.Error(t, err)
	now.pass(time.Hour + time.Second)
	late := nth(maxWaiting + 2)
	late.Expires = late.Expires.Add(time.Hour)
	require.Equal(t, mcpkit.ApprovalPending, r.consume(l, late).State, "so does time")
}

func TestAnotherKeyIsSaid(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	l, _ := r.replica()
	asked := r.approved(l, r.request("call-1"))
	a := r.consume(l, r.request("call-2", func(q *mcpkit.ApprovalRequest) { q.ArgumentsHash, q.PlanHash, q.Key = "other", "other", "key-2" }))
	require.Equal(t, []any{mcpkit.ApprovalPending, mcpkit.ApprovalOtherKey, asked.Name}, []any{a.State, a.Fate, a.Earlier})
}

// race has n replicas with connections of their own ask for q at once.
func (r room) race(n int, q func(call string) mcpkit.ApprovalRequest) []mcpkit.Approval {
	r.t.Helper()
	answers, errs := make([]mcpkit.Approval, n), make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		l, _ := r.replica()
		wg.Go(func() {
			<-start
			answers[i], errs[i] = l.Consume(r.t.Context(), q(fmt.Sprint("call-", i)))
		})
	}
	close(start)
	wg.Wait()
	for _, err := range errs {
		require.NoError(r.t, err)
	}
	return answers
}

func TestFiftyReplicasAskForOneApproval(t *testing.T) {
	r := newRoom(t)
	for round := range 3 {
		q := func(call string) mcpkit.ApprovalRequest {
			return r.request(call, func(q *mcpkit.ApprovalRequest) { q.ArgumentsHash = fmt.Sprint("arguments-", round) })
		}
		asked := r.race(50, q)
		for _, a := range asked {
			require.Equal(t, mcpkit.ApprovalPending, a.State)
			require.Equal(t, asked[0].Name, a.Name, "one object results")
		}
		r.approve(asked[0])

		won := map[mcpkit.ApprovalState][]string{}
		for _, a := range r.race(50, q) {
			if a.State == mcpkit.ApprovalPending {
				require.Equal(t, []any{mcpkit.ApprovalUsed, asked[0].Name}, []any{a.Fate, a.Earlier})
				require.NotEqual(t, asked[0].Name, a.Name)
			} else {
				require.Equal(t, asked[0].Name, a.Name)
			}
			won[a.State] = append(won[a.State], a.Name)
		}
		require.Len(t, won[mcpkit.ApprovalConsumed], 1)
		require.Empty(t, won[mcpkit.ApprovalDenied])
		t.Logf("1 won, %d lost the race, %d came too late", len(won[mcpkit.ApprovalTaken]), len(won[mcpkit.ApprovalPending]))
	}
	for _, a := range r.kept() {
		if a.Status.ConsumedBy != "" {
			require.Equal(t, v1alpha1.DecisionApproved, a.Status.Decision)
		}
	}
}
