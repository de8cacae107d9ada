package run_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// expert is another agent, which only reads.
func expert(name string) toolbox.Tool {
	t := reads(name)
	t.Server, t.Agent, t.GatesItself = "kagent/"+name, true, true
	return t
}

func tookTokens(tokens int64, cost v1alpha1.Dollars) *v1alpha1.AskedUsage {
	return &v1alpha1.AskedUsage{Questions: 1, Tokens: tokens, CostUSD: cost}
}

// TestWhatAgentsTakeCounts holds that the limits of a run are about all that it
// causes.
func TestWhatAgentsTakeCounts(t *testing.T) {
	for name, c := range map[string]struct {
		limits declared.Limits
		left   toolbox.Left
		spent  run.Spent
		took   *v1alpha1.AskedUsage
		reason string
	}{
		"tokens":        {limits: declared.Limits{Tokens: 50_000}, took: tookTokens(24_200, ""), reason: "the limit of 50000 tokens is reached; agents that were asked took 48400 tokens of what the run took"},
		"cost":          {limits: declared.Limits{Cost: 1}, took: tookTokens(24_200, "0.497"), reason: "the limit of $1 is reached; agents that were asked took 48400 tokens of what the run took"},
		"tokens a day":  {limits: declared.Limits{TokensPerDay: 100_000}, spent: run.Spent{Tokens: 50_000}, took: tookTokens(24_200, ""), reason: "the agent's limit of 100000 tokens a day is reached; days are of UTC; agents that were asked took 48400 tokens of what the run took"},
		"cost a day":    {limits: declared.Limits{CostPerDay: 1}, spent: run.Spent{Cost: .5}, took: tookTokens(24_200, "0.247"), reason: "the agent's limit of $1 a day is reached; days are of UTC; agents that were asked took 48400 tokens of what the run took"},
		"tokens left":   {left: toolbox.Left{Tokens: 50_000}, took: tookTokens(24_200, ""), reason: "the 50000 tokens are used up that whoever asked had left; agents that were asked took 48400 tokens of what the run took"},
		"dollars left":  {left: toolbox.Left{Dollars: 1}, took: tookTokens(24_200, "0.497"), reason: "the $1 are used up that whoever asked had left; agents that were asked took 48400 tokens of what the run took"},
		"turns and all": {limits: declared.Limits{Turns: 2}, took: tookTokens(24_200, "0.497"), reason: "the limit of 2 turns is reached"},
	} {
		t.Run(name, func(t *testing.T) {
			var left []toolbox.Left
			tools := &shelf{tools: []toolbox.Tool{expert("ask_net")}}
			tools.answer = func(_ context.Context, _ toolbox.Tool, call toolbox.Call) (toolbox.Outcome, error) {
				left = append(left, call.Left)
				return toolbox.Outcome{Text: fmt.Sprint("answer ", len(left)), Asked: c.took}, nil
			}
			r := runner(hear(func(r model.Request) model.Reply {
				if r.NoCalls {
					return says("It is the disk, as far as I know.")
				}
				return says("", calls("", "ask_net", fmt.Sprintf(`{"count":%d}`, len(r.Messages))))
			}), tools)
			r.Agent.Limits, r.Agent.Prices = c.limits, priced
			r.Spent = func(context.Context) (run.Spent, error) { return c.spent, nil }
			log := memory()
			s, err := r.Run(t.Context(), run.Question{Run: "run-1", Text: "Why?", Left: c.left}, log, run.Observer{})
			require.NoError(t, err)
			require.Equal(t, v1alpha1.RunStopped, s.Phase)
			require.Equal(t, c.reason, s.Reason)
			require.Equal(t, "It is the disk, as far as I know.", s.Answer())
			require.EqualValues(t, 2, s.Asked.Questions)
			require.EqualValues(t, 48_400, s.Asked.Tokens)
			require.Equal(t, s.Asked, run.Replay(log.Events()).Asked, "it is on record")
			if c.reason != "the limit of 2 turns is reached" {
				require.Len(t, left, 2)
				require.Greater(t, float64(left[0].Tokens)+left[0].Dollars, float64(left[1].Tokens)+left[1].Dollars, "the second has less left")
			}
		})
	}
}

// TestAgentsAskedAtOnceShareWhatIsLeft holds that together they cannot take more
// than the run may.
func TestAgentsAskedAtOnceShareWhatIsLeft(t *testing.T) {
	left := make(chan toolbox.Left, 2)
	tools := &shelf{tools: []toolbox.Tool{expert("ask_net"), expert("ask_disk")}}
	tools.answer = func(_ context.Context, _ toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error) {
		left <- c.Left
		return toolbox.Outcome{Text: "fine", Asked: &v1alpha1.AskedUsage{Questions: 1, Unstated: 1}}, nil
	}
	r := runner(script(says("", calls("a", "ask_net", "{}"), calls("b", "ask_disk", "{}")), says("Done.")), tools)
	r.Agent.Limits, r.Agent.Prices = declared.Limits{Tokens: 100_000, Cost: 2}, priced
	s, _ := ask(t, r, "Why?")
	require.Equal(t, v1alpha1.RunCompleted, s.Phase)
	one, other := <-left, <-left
	require.Equal(t, one, other)
	require.Greater(t, one.Tokens, int64(40_000))
	require.Less(t, 2*one.Tokens, int64(100_000), "something is kept for the run's own answer")
	require.Greater(t, one.Dollars, .9)
	require.Less(t, 2*one.Dollars, 2.)
	require.Equal(t, v1alpha1.AskedUsage{Questions: 2, Unstated: 2, CostUSD: "0"}, s.Asked)
	took := s.Took(priced)
	require.Equal(t, v1alpha1.AskedUsage{Questions: 1, Unstated: 1, Tokens: 220, CostUSD: "0.0009"}, took)
}

func TestWhoeverHasNoLimitsGivesNone(t *testing.T) {
	tools := &shelf{tools: []toolbox.Tool{expert("ask_net")}}
	tools.answer = func(_ context.Context, _ toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error) {
		require.Zero(t, c.Left)
		return toolbox.Outcome{Text: "fine"}, nil
	}
	r := runner(script(says("", calls("a", "ask_net", "{}")), says("Done.")), tools)
	s, _ := ask(t, r, "Why?")
	require.Equal(t, v1alpha1.RunCompleted, s.Phase)
	require.Len(t, tools.calls(), 1)
	require.Zero(t, s.Asked)
}
