package run_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// cancelled is a run that is cancelled after a second, and how long it took.
func cancelled(t *testing.T, m thinker, tools *shelf, cause error) (s run.State, took time.Duration, resume func() run.State, err error) {
	r := runner(m, tools)
	r.Agent.Limits.Access = v1alpha1.AccessWrite
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Second, func() { cancel(cause) })
	log := memory()
	began := time.Now()
	s, err = r.Run(ctx, run.Question{Run: "r", Text: "Why?"}, log, run.Observer{})
	return s, time.Since(began), func() run.State {
		s, err := r.Run(t.Context(), run.Question{Run: "r"}, log, run.Observer{})
		require.NoError(t, err)
		return s
	}, err
}

func hangs(ctx context.Context, _ toolbox.Tool, _ toolbox.Call) (toolbox.Outcome, error) {
	<-ctx.Done()
	return toolbox.Outcome{}, ctx.Err()
}

func TestCancelEndsAtOnce(t *testing.T) {
	t.Run("while the model speaks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := thinker(func(ctx context.Context, _ model.Request, say func(string)) (model.Reply, error) {
				say("The cause is")
				<-ctx.Done()
				return model.Reply{}, ctx.Err()
			})
			s, took, _, err := cancelled(t, m, &shelf{}, nil)
			require.NoError(t, err)
			require.Equal(t, v1alpha1.RunCancelled, s.Phase)
			require.Equal(t, "The cause is", s.Answer())
			require.Equal(t, time.Second, took)
		})
	})
	t.Run("while a tool reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, took, _, err := cancelled(t, script(says("", calls("a", "get", "{}"))), &shelf{tools: []toolbox.Tool{reads("get")}, answer: hangs}, nil)
			require.NoError(t, err)
			require.Equal(t, v1alpha1.RunCancelled, s.Phase)
			require.Equal(t, time.Second, took)
		})
	})
	t.Run("while a tool writes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			answer := func(ctx context.Context, _ toolbox.Tool, _ toolbox.Call) (toolbox.Outcome, error) {
				time.Sleep(5 * time.Second)
				return toolbox.Outcome{Text: "written"}, ctx.Err()
			}
			s, took, _, err := cancelled(t, script(says("", calls("a", "put", "{}"))), &shelf{tools: []toolbox.Tool{writes("put")}, answer: answer}, nil)
			require.NoError(t, err)
			require.Equal(t, v1alpha1.RunCancelled, s.Phase)
			require.Equal(t, "written", s.Turns[0].Calls[0].Result, "what came of the write is known")
			require.Equal(t, 5*time.Second, took)
		})
	})
	t.Run("while a tool that hangs writes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, took, _, err := cancelled(t, script(says("", calls("a", "put", "{}"))), &shelf{tools: []toolbox.Tool{writes("put")}, answer: hangs}, nil)
			require.NoError(t, err)
			require.Equal(t, v1alpha1.RunCancelled, s.Phase)
			require.Equal(t, "unsure", s.Turns[0].Calls[0].Outcome)
			require.Equal(t, 21*time.Second, took)
		})
	})
}

func TestARunIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tools := &shelf{tools: []toolbox.Tool{reads("get")}, answer: hangs}
		m := script(says("", calls("a", "get", "{}")), says("Done."))
		s, took, resume, err := cancelled(t, m, tools, run.ErrHandover)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, v1alpha1.RunRunning, s.Phase)
		require.Equal(t, time.Second, took)
		tools.answer = nil
		time.Sleep(time.Hour)
		s = resume()
		require.Equal(t, v1alpha1.RunCompleted, s.Phase)
		require.Equal(t, []string{"get {}", "get {}"}, tools.calls())
		require.Equal(t, time.Duration(0), s.Active(time.Now()).Truncate(time.Minute), "the time in which nobody was there does not count")
	})
}

// A pause survives that the tool server is away when the agent comes back.
func TestARunWaitsForTheServersThatItHadCalled(t *testing.T) {
	for name, c := range map[string]struct {
		away    time.Duration
		outcome string
		writes  int
	}{
		"back in a minute": {time.Minute, "", 1},
		"gone for good":    {time.Hour, "unsure", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &keeper{expires: time.Hour, state: func(looks int) string {
					if looks < 3 {
						return "one pending"
					}
					return "yes"
				}}
				tools := &shelf{tools: []toolbox.Tool{guarded("scale")}, answer: k.call}
				s, _, resume, err := cancelled(t, script(says("", calls("a", "scale", `{}`)), says("Done.")), tools, run.ErrHandover)
				require.ErrorIs(t, err, context.Canceled)
				require.Equal(t, v1alpha1.RunWaiting, s.Phase)
				all, _ := tools.List(t.Context())
				tools.offer(nil, "tools/kubernetes-write: connection refused")
				time.AfterFunc(c.away, func() { tools.offer(all) })
				s = resume()
				require.Equal(t, v1alpha1.RunCompleted, s.Phase, s.Reason)
				require.Equal(t, c.outcome, s.Turns[0].Calls[0].Outcome)
				require.Equal(t, c.writes, k.writes)
				time.Sleep(time.Hour)
			})
		})
	}
}

// A run that ends the process each time must not do so forever.
func TestARunThatComesNoFurtherEnds(t *testing.T) {
	log := memory()
	crash := errors.New("out of memory")
	r := runner(failing(crash), &shelf{})
	for range 11 {
		_, err := r.Run(t.Context(), run.Question{Run: "r", Text: "Why?"}, log, run.Observer{})
		require.ErrorIs(t, err, crash)
	}
	s, err := r.Run(t.Context(), run.Question{Run: "r", Text: "Why?"}, log, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RunFailed, s.Phase)
	require.Equal(t, "the process that works on the run has ended 10 times at this point; look at its log for why, and ask anew", s.Reason)
	_, err = r.Run(t.Context(), run.Question{Run: "r"}, memory(), run.Observer{})
	require.ErrorContains(t, err, "a run needs a question")
}

// A record that is full when a process comes back has room for the end.
func TestAFullRecordIsEndedByTheNextProcess(t *testing.T) {
	log := memory()
	require.NoError(t, log.Append(t.Context(), record.Event{Type: v1alpha1.EventAsked, Text: "Why?", Seed: "seed"}))
	for log.Append(t.Context(), record.Event{Type: v1alpha1.EventFolded, Text: strings.Repeat("x", 900)}) == nil {
	}
	for log.Append(t.Context(), record.Event{Type: v1alpha1.EventFolded}) == nil {
	}
	for log.Append(t.Context(), record.Event{Type: v1alpha1.EventResult, Text: strings.Repeat("x", 900)}) == nil {
	}
	for log.Append(t.Context(), record.Event{Type: v1alpha1.EventResult}) == nil {
	}
	r := runner(failing(nil), &shelf{})
	s, err := r.Run(t.Context(), run.Question{Run: "r"}, log, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RunStopped, s.Phase)
	require.Equal(t, "the record of the run is full (1024 KiB); ask for less in one run", s.Reason)
}

// tight is a record that has room for the end alone.
type tight struct{ record.Memory }

func (l *tight) Append(ctx context.Context, events ...record.Event) error {
	for _, e := range events {
		if e.Type == v1alpha1.EventAnswered || record.Size(e) > 8<<10 {
			return record.ErrFull
		}
	}
	return l.Memory.Append(ctx, events...)
}

// TestAnAnswerThatFindsNoRoom holds that a run ends whose record has no room for
// the words that were said last.
func TestAnAnswerThatFindsNoRoom(t *testing.T) {
	answer := strings.Repeat("Because. ", 10_000)
	r := runner(thinker(func(_ context.Context, _ model.Request, say func(string)) (model.Reply, error) {
		say(answer)
		return says(answer), nil
	}), &shelf{})
	s, err := r.Run(t.Context(), run.Question{Run: "r", Text: "Why?"}, &tight{}, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RunStopped, s.Phase)
	require.Equal(t, "the record of the run is full (1024 KiB); ask for less in one run", s.Reason)
	require.Contains(t, s.Answer(), "Because. Because.")
}
