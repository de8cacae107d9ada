package run_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// endless looks again and again, at something else each time, until it is told
// to stop.
func endless(r model.Request) model.Reply {
	if r.NoCalls {
		return says("As far as I know, it is the disk.")
	}
	return says("I look again.", calls("", "get", fmt.Sprintf(`{"count":%d}`, len(r.Messages))))
}

var priced = declared.Prices{Known: true, Input: 3, Output: 15, CacheRead: .3, CacheWrite: 3.75}

func TestALimitEndsTheRunWithWhatIsKnown(t *testing.T) {
	const told, some = "As far as I know, it is the disk.", -7 // some: ten or more
	for name, c := range map[string]struct {
		limits declared.Limits
		spent  run.Spent
		turns  int
		calls  int
		reason string
		answer string
	}{
		"turns":      {declared.Limits{Turns: 3}, run.Spent{}, 4, 3, "the limit of 3 turns is reached", told},
		"tool calls": {declared.Limits{ToolCalls: 2}, run.Spent{}, 4, 2, "the limit of 2 tool calls is reached", told},
		"no calls":   {declared.Limits{ToolCalls: declared.None}, run.Spent{}, 2, 0, "the limit of 0 tool calls is reached", told},
		"tokens":     {declared.Limits{Tokens: 6000}, run.Spent{}, some, some, "the limit of 6000 tokens is reached", told},
		"few tokens": {declared.Limits{Tokens: 100}, run.Spent{}, 0, 0, "the limit of 100 tokens is reached", "There is no answer: the limit of 100 tokens is reached."},
		"cost":       {declared.Limits{Cost: 0.02}, run.Spent{}, some, some, "the limit of $0.02 is reached", told},
		"day's runs": {declared.Limits{RunsPerDay: 5}, run.Spent{Runs: 5}, 0, 0, "the limit of 5 runs a day is reached; days are of UTC", "There is no answer: the limit of 5 runs a day is reached; days are of UTC."},
		"day's calls": {declared.Limits{ToolCallsPerDay: 10}, run.Spent{ToolCalls: 8}, 4, 2,
			"the agent's limit of 10 tool calls a day is reached; days are of UTC", told},
		"day's tokens": {declared.Limits{TokensPerDay: 100_000}, run.Spent{Tokens: 94_000}, some, some,
			"the agent's limit of 100000 tokens a day is reached; days are of UTC", told},
		"day's cost": {declared.Limits{CostPerDay: 1}, run.Spent{Cost: .98}, some, some, "the agent's limit of $1 a day is reached; days are of UTC", told},
	} {
		t.Run(name, func(t *testing.T) {
			tools := &shelf{tools: []toolbox.Tool{reads("get")}}
			tools.answer = func(context.Context, toolbox.Tool, toolbox.Call) (toolbox.Outcome, error) {
				return toolbox.Outcome{Text: fmt.Sprint("look ", len(tools.calls()))}, nil
			}
			r := runner(hear(endless), tools)
			r.Agent.Limits, r.Agent.Prices = c.limits, priced
			r.Spent = func(context.Context) (run.Spent, error) { return c.spent, nil }
			s, _ := ask(t, r, "Why?")
			require.Equal(t, v1alpha1.RunStopped, s.Phase)
			require.Equal(t, c.reason, s.Reason)
			require.Equal(t, c.answer, s.Answer())
			if c.calls == some {
				c.calls = max(10, len(tools.calls()))
				c.turns = c.calls + 1
			}
			require.Len(t, tools.calls(), c.calls)
			require.Len(t, s.Turns, c.turns)
			if c.limits.Tokens > 0 {
				require.LessOrEqual(t, s.Usage.Input+s.Usage.Output, c.limits.Tokens)
			}
			if cost, _ := priced.Cost(s.Usage); c.limits.Cost > 0 {
				require.LessOrEqual(t, cost, c.limits.Cost)
			}
		})
	}
}

func TestARunThatNeedsJustItsLimitComesToItsAnswer(t *testing.T) {
	r := runner(script(says("", calls("a", "get", "{}")), says("Done.")), &shelf{tools: []toolbox.Tool{reads("get")}})
	r.Agent.Limits = declared.Limits{Turns: 2, ToolCalls: 1}
	s, _ := ask(t, r, "Why?")
	require.Equal(t, v1alpha1.RunCompleted, s.Phase)
}

func TestLimitsThatCannotBeKeptEndTheRun(t *testing.T) {
	for name, c := range map[string]struct {
		limits declared.Limits
		spent  func(context.Context) (run.Spent, error)
		reason string
	}{
		"a price that is not known": {declared.Limits{Cost: 1}, nil, "the price of model claude-sonnet-4 is not known; add it to the price table"},
		"nobody counts":             {declared.Limits{RunsPerDay: 1}, nil, "this program does not keep count of it"},
		"the count cannot be had":   {declared.Limits{RunsPerDay: 1}, func(context.Context) (run.Spent, error) { return run.Spent{}, errors.New("no API server") }, "cannot be found out, and a policy limits it: no API server"},
	} {
		t.Run(name, func(t *testing.T) {
			r := runner(hear(endless), &shelf{})
			r.Agent.Limits, r.Spent = c.limits, c.spent
			s, _ := ask(t, r, "Why?")
			require.Equal(t, v1alpha1.RunFailed, s.Phase)
			require.Contains(t, s.Reason, c.reason)
			require.Empty(t, s.Turns)
		})
	}
}

func TestTheTimeOfARunIsLimited(t *testing.T) {
	const limit = 10 * time.Minute
	slow := func(ctx context.Context, d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for name, c := range map[string]struct {
		think, call time.Duration
		answer      string
		took        time.Duration
	}{
		"slow tools":         {time.Second, 3 * time.Minute, "As far as I know, it is the disk.", limit - 29*time.Second},
		"a tool that hangs":  {time.Second, time.Hour, "As far as I know, it is the disk.", limit - 29*time.Second},
		"a model that hangs": {time.Hour, 0, "There is no answer: the limit of 10m0s is reached.", limit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tools := &shelf{tools: []toolbox.Tool{reads("get")}}
				tools.answer = func(ctx context.Context, _ toolbox.Tool, _ toolbox.Call) (toolbox.Outcome, error) {
					return toolbox.Outcome{Text: fmt.Sprint("look ", len(tools.calls()))}, slow(ctx, c.call)
				}
				r := runner(thinker(func(ctx context.Context, r model.Request, _ func(string)) (model.Reply, error) {
					return endless(r), slow(ctx, c.think)
				}), tools)
				r.Agent.Limits = declared.Limits{Duration: limit}
				began := time.Now()
				s, _ := ask(t, r, "Why?")
				require.Equal(t, v1alpha1.RunStopped, s.Phase)
				require.Equal(t, "the limit of 10m0s is reached", s.Reason)
				require.Equal(t, c.answer, s.Answer())
				require.Equal(t, c.took, time.Since(began))
			})
		})
	}
}

func TestARunThatDoesTheSameInVainEnds(t *testing.T) {
	told := 0
	m := hear(func(r model.Request) model.Reply {
		if r.NoCalls {
			return says("It does not change.")
		}
		if last := r.Messages[len(r.Messages)-1]; len(last.Results) > 0 {
			if n := len(r.Messages) / 2; n >= 3 {
				require.Contains(t, last.Results[0].Text, fmt.Sprintf("This call has now come to this same result %d times.", n))
				told++
			} else {
				require.NotContains(t, last.Results[0].Text, "same result")
			}
		}
		return says("", calls("", "get", `{"name": "x", "count":1}`), calls("", "get", `{"count":1,"name":"x"}`))
	})
	s, _ := ask(t, runner(m, &shelf{tools: []toolbox.Tool{reads("get")}}), "Why?")
	require.Equal(t, v1alpha1.RunStopped, s.Phase)
	require.Equal(t, "the same tool call came to the same result 6 times", s.Reason)
	require.Equal(t, "It does not change.", s.Answer())
	require.Equal(t, 3, told)
	require.Equal(t, 12, s.ToolCalls)
}

// TestTheDaysCallsAfterARestart holds that calls that were asked for before a
// restart count like others.
func TestTheDaysCallsAfterARestart(t *testing.T) {
	log := memory()
	require.NoError(t, log.Append(t.Context(),
		record.Event{Type: v1alpha1.EventAsked, Text: "Why?", Seed: "seed"},
		record.Event{Type: v1alpha1.EventAnswered, Turn: 1, Calls: []v1alpha1.ToolCall{{ID: "a", Tool: "get", Arguments: "{}"}, {ID: "b", Tool: "get", Arguments: "{}"}, {ID: "c", Tool: "get", Arguments: "{}"}}}))
	tools := &shelf{tools: []toolbox.Tool{reads("get")}}
	r := runner(hear(func(model.Request) model.Reply { return says("That is all.") }), tools)
	r.Agent.Limits.ToolCallsPerDay = 5
	r.Spent = func(context.Context) (run.Spent, error) { return run.Spent{ToolCalls: 4}, nil }
	s, err := r.Run(t.Context(), run.Question{Run: "r"}, log, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RunStopped, s.Phase)
	require.Len(t, tools.calls(), 1)
}
