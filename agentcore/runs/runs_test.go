package runs_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestARunFromQuestionToAnswer(t *testing.T) {
	for name, make := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, s := make(t)
			tools := &shelf{}
			asked := ask(t, s, "Is all well?")
			require.Equal(t, v1alpha1.RunPending, asked.Status.Phase)
			works(t, s, a, says("All is well."), tools)
			r := until(t, s, asked.Name, over)
			require.Equal(t, v1alpha1.RunCompleted, r.Status.Phase)
			require.Equal(t, "All is well.", r.Status.Answer)
			require.Equal(t, "All is well.", r.Status.Message)
			require.EqualValues(t, 2, r.Status.Turns)
			require.EqualValues(t, 1, r.Status.ToolCalls)
			require.Equal(t, v1alpha1.TokenUsage{Input: 2000, Output: 200}, r.Status.Tokens)
			require.Equal(t, v1alpha1.Dollars("0.004"), r.Status.CostUSD)
			require.NotNil(t, r.Status.StartedAt)
			require.NotNil(t, r.Status.FinishedAt)
			require.Regexp(t, `^[0-9a-f]{32}$`, r.Status.TraceID)
			require.Equal(t, "asked answered call result answered ended", types(r))
			require.Equal(t, []string{asked.Name + " look"}, tools.calls())

			spent, err := s.Spent(t.Context(), "")
			require.NoError(t, err)
			require.Equal(t, run.Spent{Runs: 1, ToolCalls: 1, Tokens: 2200, Cost: 0.004}, spent)
			spent, err = s.Spent(t.Context(), asked.Name)
			require.NoError(t, err)
			require.Zero(t, spent)

			require.ErrorIs(t, s.Cancel(t.Context(), asked.Name), runs.ErrOver)
			require.ErrorIs(t, s.Cancel(t.Context(), "no-such-run"), runs.ErrNotFound)
			_, err = s.Get(t.Context(), "../"+asked.Name)
			require.ErrorIs(t, err, runs.ErrNotFound)
		})
	}
}

// holding is a model that answers once it is let, and says when it was asked.
func holding() (m thinker, asked chan string, let chan struct{}) {
	asked, let = make(chan string, 100), make(chan struct{})
	return func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		asked <- r.Messages[0].Text
		select {
		case <-let:
			return says("Done.")(ctx, r, say)
		case <-ctx.Done():
			return model.Reply{}, ctx.Err()
		}
	}, asked, let
}

func TestCancelling(t *testing.T) {
	for name, make := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, s := make(t)
			before := ask(t, s, "Never asked.")
			require.NoError(t, s.Cancel(t.Context(), before.Name))
			m, asked, _ := holding()
			works(t, s, a, m, &shelf{})
			r := until(t, s, before.Name, over)
			require.Equal(t, v1alpha1.RunCancelled, r.Status.Phase, "cancelled before anybody began")

			during := ask(t, s, "Is all well?")
			<-asked
			require.NoError(t, s.Cancel(t.Context(), during.Name))
			r = until(t, s, during.Name, over)
			require.Equal(t, v1alpha1.RunCancelled, r.Status.Phase)
			require.Equal(t, "asked ended", types(r))
		})
	}
}

func TestARunIsHandedOver(t *testing.T) {
	for name, make := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, s := make(t)
			m, asked, _ := holding()
			_, stop := works(t, s, a, m, &shelf{})
			r := ask(t, s, "Is all well?")
			<-asked
			stop()
			handed, err := s.Get(t.Context(), r.Name)
			require.NoError(t, err)
			require.False(t, handed.Status.Phase.Final())
			require.Nil(t, handed.Status.Claim, "it is released")
			works(t, s, a, says("All is well."), &shelf{})
			done := until(t, s, r.Name, over)
			require.Equal(t, v1alpha1.RunCompleted, done.Status.Phase)
			require.Equal(t, "asked resumed answered call result answered ended", types(done))
		})
	}
}

func TestNoMoreThanSoManyAtOnce(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	s := open(t, a, kubeconfig)
	var names []string
	for range 6 {
		names = append(names, ask(t, s, "Is all well?").Name)
	}
	m, asked, let := holding()
	works(t, s, a, m, &shelf{})
	for range runs.DefaultMost {
		<-asked
	}
	require.Empty(t, asked)
	working := 0
	for _, name := range names {
		r, err := s.Get(t.Context(), name)
		require.NoError(t, err)
		if r.Status.Claim != nil {
			working++
		}
	}
	require.Equal(t, runs.DefaultMost, working)
	close(let)
	for _, name := range names {
		require.Equal(t, v1alpha1.RunCompleted, until(t, s, name, over).Status.Phase)
	}
}

// TestTwoReplicas has two processes work on the same runs: each is worked on by
// one of them.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	one, two := open(t, a, kubeconfig), open(t, a, kubeconfig)
	runs.Rename(two, "other-pod")
	tools := &shelf{}
	works(t, one, a, says("All is well."), tools)
	works(t, two, a, says("All is well."), tools)
	const many = 20
	names := map[string]bool{}
	for range many {
		names[ask(t, one, "Is all well?").Name] = true
	}
	for name := range names {
		r := until(t, two, name, over)
		require.Equal(t, "asked answered call result answered ended", types(r))
	}
	require.Len(t, tools.calls(), many, "no call was made twice")
}

func TestAClaimIsTakenOver(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	before, other, again := open(t, a, kubeconfig), open(t, a, kubeconfig), open(t, a, kubeconfig)
	runs.Rename(other, "other-pod")
	r := ask(t, before, "Is all well?")
	first, err := before.Claim(t.Context(), r.Name, "")
	require.NoError(t, err)
	require.NoError(t, first.Append(t.Context(), record.Event{Time: "2026-01-02T03:04:05.006Z", Type: v1alpha1.EventAsked, Text: "Is all well?", Seed: "seed"}))
	_, err = other.Claim(t.Context(), r.Name, "")
	require.ErrorIs(t, err, runs.ErrTaken, "another pod waits until it is stale")

	second, err := again.Claim(t.Context(), r.Name, "")
	require.NoError(t, err, "a process of the same pod takes it at once")
	require.Len(t, second.Events(), 1)
	require.ErrorIs(t, first.Append(t.Context(), record.Event{Type: v1alpha1.EventResumed}), record.ErrLost)
	require.ErrorIs(t, first.Renew(t.Context()), record.ErrLost)
	require.NoError(t, first.Release(t.Context()), "what is not ours is left alone")

	quiet, err := other.Get(t.Context(), r.Name)
	require.NoError(t, err)
	require.NoError(t, second.Append(t.Context(), record.Event{Time: "2026-01-02T03:04:05.506Z", Type: v1alpha1.EventResumed}))
	_, err = other.Claim(t.Context(), r.Name, quiet.ResourceVersion)
	require.ErrorIs(t, err, runs.ErrTaken, "its holder was heard of since, if not by the watch")
	quiet, err = other.Get(t.Context(), r.Name)
	require.NoError(t, err)
	third, err := other.Claim(t.Context(), r.Name, quiet.ResourceVersion)
	require.NoError(t, err, "whoever finds it stale takes it")
	require.NoError(t, third.Append(t.Context(), record.Event{Time: "2026-01-02T03:04:06.006Z", Type: v1alpha1.EventResumed}))
	require.ErrorIs(t, second.Append(t.Context(), record.Event{Type: v1alpha1.EventResumed}), record.ErrLost)
	now, err := other.Get(t.Context(), r.Name)
	require.NoError(t, err)
	require.Equal(t, "asked resumed resumed", types(now))
	require.NoError(t, third.Release(t.Context()))

	fourth, err := before.Claim(t.Context(), r.Name, "")
	require.NoError(t, err, "what was handed back is anybody's")
	require.NoError(t, fourth.Append(t.Context(), record.Event{Time: "2026-01-02T03:04:07.006Z", Type: v1alpha1.EventEnded, Phase: v1alpha1.RunCompleted, Text: "Yes."}))
	_, err = other.Claim(t.Context(), r.Name, now.ResourceVersion)
	require.ErrorIs(t, err, runs.ErrOver)
}

func TestOneClaimWins(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	r := ask(t, open(t, a, kubeconfig), "Is all well?")
	var won sync.Map
	var racing sync.WaitGroup
	for i := range 8 {
		racing.Go(func() {
			c := open(t, a, kubeconfig)
			runs.Rename(c, "pod-"+string(rune('a'+i)))
			if claim, err := c.Claim(t.Context(), r.Name, ""); err == nil {
				won.Store(i, claim)
			}
		})
	}
	racing.Wait()
	n := 0
	won.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 1, n)
}

func TestARunThatIsDeleted(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	s := open(t, a, kubeconfig)
	r := ask(t, s, "Is all well?")
	claim, err := s.Claim(t.Context(), r.Name, "")
	require.NoError(t, err)
	_, err = cluster.Kubectl(t.Context(), "delete", "agentrun", r.Name, "-n", a.Namespace)
	require.NoError(t, err)
	require.ErrorIs(t, claim.Append(t.Context(), record.Event{Type: v1alpha1.EventResumed}), record.ErrLost)
	spent, err := s.Spent(t.Context(), "")
	require.NoError(t, err)
	require.Zero(t, spent.Runs, "it was deleted before anybody counted")
}

// unclaimed is a store whose claims are never renewed, so that nothing but its
// watch tells what becomes of a run.
type unclaimed struct{ runs.Store }

type unrenewed struct{ runs.Claim }

func (unrenewed) Renew(context.Context) error { return nil }

func (s unclaimed) Claim(ctx context.Context, name, stale string) (runs.Claim, error) {
	claim, err := s.Store.Claim(ctx, name, stale)
	return unrenewed{claim}, err
}

func TestWorkOnARunThatIsDeletedEnds(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	s := open(t, a, kubeconfig)
	m, asked, _ := holding()
	ended := make(chan error, 1)
	works(t, unclaimed{s}, a, thinker(func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		reply, err := m(ctx, r, say)
		ended <- context.Cause(ctx)
		return reply, err
	}), &shelf{})
	r := ask(t, s, "Is all well?")
	<-asked
	_, err := cluster.Kubectl(t.Context(), "delete", "agentrun", r.Name, "-n", a.Namespace)
	require.NoError(t, err)
	select {
	case err := <-ended:
		require.ErrorIs(t, err, run.ErrHandover)
	case <-time.After(5 * time.Minute):
		require.Fail(t, "the model is still asked")
	}
}

func TestConversations(t *testing.T) {
	for name, make := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, s := make(t)
			var mu sync.Mutex
			var heard []model.Request
			m := thinker(func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
				mu.Lock()
				heard = append(heard, r)
				mu.Unlock()
				return model.Reply{Text: "It was the cache.", Stop: model.StopDone}, nil
			})
			works(t, s, a, m, &shelf{})
			in := func(by, text string) {
				const id = "a conversation / of ours"
				r, err := s.Create(t.Context(), v1alpha1.AgentRun{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{runs.ContextLabel: runs.Label(id)}, Annotations: map[string]string{runs.ContextAnnotation: id}},
					Spec:       v1alpha1.AgentRunSpec{Prompt: text, RequestedBy: by},
				})
				require.NoError(t, err)
				until(t, s, r.Name, over)
			}
			in("ada", "What was it?")
			in("ada", "And now?")
			in("mallory", "What did Ada say?")
			mu.Lock()
			defer mu.Unlock()
			require.Len(t, heard, 3)
			text := func(r model.Request) string { b, _ := json.Marshal(r.Messages); return string(b) }
			require.NotContains(t, text(heard[0]), "It was the cache.")
			require.Contains(t, text(heard[1]), "What was it?")
			require.Contains(t, text(heard[1]), "It was the cache.")
			require.NotContains(t, text(heard[2]), "What was it?", "what others said is theirs")
		})
	}
}

func TestWhatARunWaitsForIsShown(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	s := open(t, a, kubeconfig)
	writes := thinker(func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		if len(r.Messages) > 1 {
			return model.Reply{Text: "Mended.", Stop: model.StopDone}, nil
		}
		return model.Reply{Calls: []model.Call{{ID: "c1", Name: "mend", Arguments: `{}`}}, Stop: model.StopCalls}, nil
	})
	decided := make(chan struct{})
	tools := &shelf{call: func(ctx context.Context, tool toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error) {
		select {
		case <-decided:
			return toolbox.Outcome{Text: "mended"}, nil
		default:
		}
		return toolbox.Outcome{Error: true, Text: "a person must approve this write first.\nCall again then. What would change: deployment shop/web\n\n-replicas: 1", Approval: &toolbox.Approval{
			Name: "tools/a-1", State: "pending", Expires: time.Now().Add(time.Hour), Command: "kubectl approve a-1",
		}}, nil
	}}
	works(t, s, a, writes, tools)
	r := ask(t, s, "Mend it.")
	waiting := until(t, s, r.Name, func(r v1alpha1.AgentRun) bool { return r.Status.Phase == v1alpha1.RunWaiting })
	require.Contains(t, waiting.Status.Message, "kubectl approve a-1")
	require.Equal(t, "tools/a-1", waiting.Status.Approvals[0].Name)
	require.Equal(t, "mend", waiting.Status.Approvals[0].Tool)
	require.Equal(t, "deployment shop/web", waiting.Status.Approvals[0].Target)
	close(decided)
	done := until(t, s, r.Name, over)
	require.Equal(t, "Mended.", done.Status.Answer)
	require.Equal(t, v1alpha1.DecisionApproved, done.Status.Approvals[0].Decision)
}

func TestListening(t *testing.T) {
	t.Parallel()
	a, kubeconfig := room(t)
	s := open(t, a, kubeconfig)
	r := ask(t, s, "Is all well?")
	m, asked, let := holding()
	worker, _ := works(t, s, a, m, &shelf{})
	<-asked
	ear := worker.Listen(r.Name)
	defer ear.Close()
	close(let)
	until(t, s, r.Name, over)
	require.Equal(t, []runs.Words{{Text: "Done.", First: true}}, ear.Take())
}

// Of other conversations no records are read, which may be many.
func TestADirectoryReadsOneConversation(t *testing.T) {
	t.Parallel()
	a, _ := stores(t)["directory"](t)
	path := filepath.Join(t.TempDir(), "runs")
	d, err := runs.OpenDirectory(a, path)
	require.NoError(t, err)
	works(t, d, a, says("All is well."), &shelf{})
	other := ask(t, d, "How is web?")
	until(t, d, other.Name, over)
	require.NoError(t, os.WriteFile(filepath.Join(path, other.Name+".events"), []byte("{\n{\n"), 0o600))
	_, err = d.Get(t.Context(), other.Name)
	require.ErrorContains(t, err, other.Name)

	asked := v1alpha1.AgentRun{Spec: v1alpha1.AgentRunSpec{Prompt: "And now?"}}
	asked.Labels = map[string]string{runs.ContextLabel: runs.Label("c")}
	made, err := d.Create(t.Context(), asked)
	require.NoError(t, err)
	until(t, d, made.Name, over)
	all, err := d.Conversation(t.Context(), "c")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, "All is well.", all[0].Status.Answer)
}
