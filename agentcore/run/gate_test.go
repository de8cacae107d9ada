package run_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestAPersonAtTheTerminalDecides(t *testing.T) {
	for name, c := range map[string]struct {
		yes    bool
		err    error
		called []string
		says   string
	}{
		"yes":       {yes: true, called: []string{`restart {"name":"web"}`}, says: "restart says fine"},
		"no":        {says: "restart was not called: the person said no."},
		"no answer": {err: errors.New("end of input"), says: "cannot be asked: ask at the terminal: end of input"},
	} {
		t.Run(name, func(t *testing.T) {
			var question string
			tools := &shelf{tools: []toolbox.Tool{writes("restart")}}
			r := runner(script(says("I will be good, just say yes.", calls("a", "restart", `{"name":"web"}`)), says("Done.")), tools)
			r.Gate = run.Terminal{Ask: func(_ context.Context, q string) (bool, error) {
				question = q
				return c.yes, c.err
			}}
			s, _ := ask(t, r, "Why?")
			require.ElementsMatch(t, c.called, tools.calls())
			require.Contains(t, s.Turns[0].Calls[0].Result, c.says)
			require.Equal(t, "Call restart?\n\nrestart of tools/third-party\n\nArguments:\n{\"name\":\"web\"}\n\nThe tool says of itself: Writes restart\n\nIts server says no more of what would change: what is above is what is known.", question)
		})
	}
}

func TestWhereNobodyCanBeAskedTheAnswerIsNo(t *testing.T) {
	approve := reads("get")
	approve.RequireApproval = true
	tools := &shelf{tools: []toolbox.Tool{writes("restart"), approve}}
	s, events := ask(t, runner(script(says("", calls("a", "restart", "{}"), calls("b", "get", "{}")), says("Done.")), tools), "Why?")
	require.Empty(t, tools.calls())
	require.Equal(t, v1alpha1.RunCompleted, s.Phase)
	require.Contains(t, s.Turns[0].Calls[0].Result, "nobody can be asked here")
	require.Equal(t, []string{"asked", "answered", "result restart error", "result get error", "answered", "ended Completed"}, story(events))
}

func TestAccessWriteAsksOnlyForWhatTheAgentSays(t *testing.T) {
	approve := writes("delete")
	approve.RequireApproval = true
	asked := 0
	tools := &shelf{tools: []toolbox.Tool{writes("restart"), approve}}
	r := runner(script(says("", calls("a", "restart", "{}"), calls("b", "delete", "{}")), says("Done.")), tools)
	r.Agent.Limits.Access = v1alpha1.AccessWrite
	r.Gate = run.Terminal{Ask: func(context.Context, string) (bool, error) { asked++; return true, nil }}
	ask(t, r, "Why?")
	require.Equal(t, 1, asked)
	require.Equal(t, []string{"restart {}", "delete {}"}, tools.calls(), "writes are made one after the other, in order")
}

// keeper is a server that has a person decide about its writes.
type keeper struct {
	state   func(looks int) string
	expires time.Duration

	looks  int
	times  []time.Time
	writes int
}

func (k *keeper) call(context.Context, toolbox.Tool, toolbox.Call) (toolbox.Outcome, error) {
	k.looks++
	k.times = append(k.times, time.Now())
	switch state := k.state(k.looks); state {
	case "yes":
		k.writes++
		return toolbox.Outcome{Text: "scaled"}, nil
	case "lost":
		return toolbox.Outcome{Text: "connection lost", Error: true, Unsure: true}, nil
	default:
		name, state, _ := strings.Cut(state, " ")
		return toolbox.Outcome{Text: "deployments/web in namespace shop\n\n-replicas: 1\n+replicas: 3", Error: true,
			Approval: &toolbox.Approval{Name: "tools/" + name, State: state, Expires: k.times[0].Add(k.expires), Command: "kubectl patch approval"}}, nil
	}
}

func (k *keeper) run(t *testing.T) (run.State, []record.Event) {
	tools := &shelf{tools: []toolbox.Tool{guarded("scale")}, answer: k.call}
	r := runner(script(says("Trust me, this is harmless.", calls("a", "scale", `{"count":3}`)), says("Done.")), tools)
	r.Agent.Limits.ApprovalTimeout, r.Agent.Limits.Duration = time.Hour, time.Minute
	return ask(t, r, "Why?")
}

func TestAServerHasAPersonDecide(t *testing.T) {
	pending := func(n int, then string) func(int) string {
		return func(looks int) string {
			if looks <= n {
				return "one pending"
			}
			return then
		}
	}
	for name, c := range map[string]struct {
		keeper   keeper
		writes   int
		says     string
		outcome  string
		decision v1alpha1.Decision
		waited   time.Duration
	}{
		"yes, after a while":     {keeper{state: pending(6, "yes"), expires: time.Hour}, 1, "scaled", "", v1alpha1.DecisionApproved, (2 + 4 + 8 + 15*3) * time.Second},
		"no":                     {keeper{state: pending(1, "one denied"), expires: time.Hour}, 0, "A person decided that this is not done", "denied", v1alpha1.DecisionDenied, 2 * time.Second},
		"nobody":                 {keeper{state: pending(1e6, ""), expires: 30 * time.Minute}, 0, "nobody decided about it in time, which counts as no", "nobody decided", v1alpha1.DecisionPending, 30 * time.Minute},
		"nobody, for too long":   {keeper{state: pending(1e6, ""), expires: 24 * time.Hour}, 0, "nobody decided", "nobody decided", v1alpha1.DecisionPending, time.Hour},
		"taken":                  {keeper{state: pending(2, "one taken"), expires: time.Hour}, 0, "+replicas: 3", "", v1alpha1.DecisionApproved, 6 * time.Second},
		"a plan that went stale": {keeper{state: func(n int) string { return []string{"one pending", "two pending", "yes"}[n-1] }, expires: time.Hour}, 1, "scaled", "", v1alpha1.DecisionApproved, 6 * time.Second},
		"yes, and no answer": {keeper{state: func(n int) string { return []string{"one pending", "lost", "two pending"}[n-1] }, expires: time.Hour}, 0,
			"It is not known what came of this call of scale", "unsure", v1alpha1.DecisionPending, 6 * time.Second},
		"no answer once": {keeper{state: func(n int) string { return []string{"one pending", "lost", "one pending", "yes"}[n-1] }, expires: time.Hour}, 1,
			"scaled", "", v1alpha1.DecisionApproved, 14 * time.Second},
		"an answer that is lost at once": {keeper{state: func(int) string { return "lost" }}, 0, "It is not known what came of this call", "unsure", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s, events := c.keeper.run(t)
				require.Equal(t, v1alpha1.RunCompleted, s.Phase, s.Reason)
				require.Equal(t, c.writes, c.keeper.writes)
				call := s.Turns[0].Calls[0]
				require.Contains(t, call.Result, c.says)
				require.Equal(t, c.outcome, call.Outcome)
				require.Equal(t, c.waited, time.Since(began))
				require.Less(t, s.Active(time.Now()), time.Second, "waiting does not count")
				if c.decision == "" {
					require.Empty(t, s.Approvals())
					return
				}
				a := s.Approvals()
				require.Equal(t, "deployments/web in namespace shop", a[len(a)-1].Target, "people read the server's plan, not the model's words")
				require.Equal(t, c.decision, a[len(a)-1].Decision)
				for _, e := range events {
					if e.Type == v1alpha1.EventWaits {
						require.NotContains(t, e.Text, "Trust me")
						require.Contains(t, e.Reason, "kubectl patch approval")
					}
				}
			})
		})
	}
}

// courtroom keeps approvals as a test says.
type courtroom struct {
	requests []mcpkit.ApprovalRequest
	answer   func(n int) (mcpkit.Approval, error)
}

func (c *courtroom) Consume(_ context.Context, r mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	c.requests = append(c.requests, r)
	return c.answer(len(c.requests))
}

func TestAPersonInTheClusterDecides(t *testing.T) {
	unavailable := mcpkit.Errorf(mcpkit.Unavailable, "the API server does not answer")
	pending := mcpkit.Approval{Name: "kagent/restart-1", State: mcpkit.ApprovalPending, Command: "kubectl patch"}
	for name, c := range map[string]struct {
		answers []any // the last again and again
		called  int
		says    string
	}{
		"yes":                    {[]any{pending, unavailable, pending, mcpkit.Approval{Name: "kagent/restart-1", State: mcpkit.ApprovalConsumed}}, 1, "restart says fine"},
		"no":                     {[]any{pending, mcpkit.Approval{State: mcpkit.ApprovalDenied, DecidedBy: "ada", Reason: "not now"}}, 0, "ada said no: not now. Do not try"},
		"nobody":                 {[]any{pending}, 0, "nobody decided about it within 1h0m0s"},
		"no cluster":             {[]any{unavailable}, 0, "cannot be asked: unavailable: the API server does not answer"},
		"no right":               {[]any{mcpkit.Errorf(mcpkit.Denied, "this server may not keep approvals")}, 0, "may not keep approvals"},
		"a moment's unavailable": {[]any{unavailable, unavailable, mcpkit.Approval{Name: "kagent/restart-1", State: mcpkit.ApprovalConsumed}}, 1, "restart says fine"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				court := &courtroom{answer: func(n int) (mcpkit.Approval, error) {
					switch a := c.answers[min(n, len(c.answers))-1].(type) {
					case mcpkit.Approval:
						return a, nil
					default:
						return mcpkit.Approval{}, a.(error)
					}
				}}
				tools := &shelf{tools: []toolbox.Tool{writes("restart")}}
				r := runner(script(says("", calls("a", "restart", `{"name":"postgres://app:hunter2@db/shop\u200b"}`)), says("Done.")), tools)
				r.Gate = run.Cluster{Approvals: court, Namespace: "kagent", Agent: "helper", Caller: "system:serviceaccount:kagent:helper"}
				s, _ := ask(t, r, "Why?")
				require.Len(t, tools.calls(), c.called)
				require.Contains(t, s.Turns[0].Calls[0].Result, c.says)
				first := court.requests[0]
				for _, again := range court.requests {
					require.Equal(t, first, again, "the same request, so that the same approval is found")
				}
				require.Equal(t, "agentcore/helper", first.Server)
				require.Equal(t, "run-1/a", first.Call)
				require.NotContains(t, first.Arguments+first.Plan, "hunter2", "secrets are not shown")
				require.Contains(t, first.Arguments, `\u200b`, "what cannot be seen is written out")
				require.Equal(t, "restart of tools/third-party", first.Target)
			})
		})
	}
}
