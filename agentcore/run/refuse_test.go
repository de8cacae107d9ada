package run_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

func TestWhatIsNotOnOfferIsNotCalled(t *testing.T) {
	for name, c := range map[string]struct {
		call model.Call
		says string
	}{
		"a name that is nearly right":   {calls("a", "k8s_get_pod", "{}"), "no tool \"k8s_get_pod\", so nothing was called. The nearest names are k8s_get_pods"},
		"a name from nowhere":           {calls("a", "rm", "{}"), "Call only the tools on offer: k8s_get_pods, k8s_scale"},
		"a name that no provider takes": {calls("a", "functions.k8s_get_pods", "{}"), "no tool \"functions.k8s_get_pods\", so nothing was called. The nearest names are k8s_get_pods"},
		"a name without end":            {calls("a", strings.Repeat("é", 300), "{}"), "Call only the tools on offer"},
		"no name":                       {calls("a", "", "{}"), "no tool \"\""},
		"no JSON":                       {calls("a", "k8s_get_pods", "{name:"), "its arguments are no JSON object"},
		"JSON, but no object":           {calls("a", "k8s_get_pods", `["web"]`), "its arguments are no JSON object"},
		"null":                          {calls("a", "k8s_get_pods", `null`), "its arguments are no JSON object (it is null)"},
		"two objects":                   {calls("a", "k8s_get_pods", `{} {"name":"x"}`), "there is more after the object"},
		"a wrong type":                  {calls("a", "k8s_get_pods", `{"name":5}`), "do not fit its schema"},
		"an argument too many":          {calls("a", "k8s_get_pods", `{"namespace":"x"}`), "do not fit its schema"},
		"arguments without end":         {calls("a", "k8s_get_pods", `{"name":"`+strings.Repeat("x", 70<<10)+`"}`), "more than the 65536 that are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			tools := &shelf{tools: []toolbox.Tool{reads("k8s_get_pods"), guarded("k8s_scale")}}
			m := hear(script(says("", c.call), says("Done.")), func(r model.Request) { require.NoError(t, wellFormed(r.Messages)) })
			s, _ := ask(t, runner(m, tools), "Why?")
			require.Empty(t, tools.calls())
			require.Equal(t, v1alpha1.RunCompleted, s.Phase)
			got := s.Turns[0].Calls[0]
			require.True(t, got.Error)
			require.Contains(t, got.Result, c.says)
			require.Zero(t, s.ToolCalls)
		})
	}
}

func TestReadOnlyTakesToolsThatWriteAway(t *testing.T) {
	var offered []string
	think := script(says("", calls("a", "k8s_scale", "{}"), calls("b", "k8s_get_pods", "")), says("Done."))
	m := hear(think, func(r model.Request) {
		offered = nil
		for _, tool := range r.Tools {
			offered = append(offered, tool.Name)
		}
		require.Contains(t, r.Messages[0].Text, "tools that write are left out: k8s_scale, odd")
	})
	tools := &shelf{tools: []toolbox.Tool{reads("k8s_get_pods"), guarded("k8s_scale"), writes("odd")}, problems: []string{"tools/prometheus: connection refused"}}
	r := runner(m, tools)
	r.Agent.Limits.Access = v1alpha1.AccessReadOnly
	s, events := ask(t, r, "Why?")
	require.Equal(t, []string{"k8s_get_pods"}, offered)
	require.Equal(t, []string{"k8s_get_pods {}"}, tools.calls())
	require.Contains(t, s.Turns[0].Calls[0].Result, "it writes, and this agent may only read")
	require.Equal(t, "tools/prometheus: connection refused\naccess is ReadOnly, so tools that write are left out: k8s_scale, odd", events[0].Reason)
}

// An agent that is asked by one which may only read may only read.
func TestWhoeverAsksHoldsTheRunToItsOwnAccess(t *testing.T) {
	tools := &shelf{tools: []toolbox.Tool{writes("odd")}}
	r := runner(script(says("", calls("a", "odd", "{}")), says("Done.")), tools)
	r.Agent.Limits.Access = v1alpha1.AccessWrite
	s, err := r.Run(t.Context(), run.Question{Run: "r", Text: "Why?", Access: v1alpha1.AccessReadOnly}, memory(), run.Observer{})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RunCompleted, s.Phase)
	require.Empty(t, tools.calls())
}

func TestIDsOfCallsAreToldApart(t *testing.T) {
	m := script(
		says("", calls("", "get", `{"count":1}`), calls("", "get", `{"count":2}`), calls("x", "get", `{"count":3}`)),
		says("", calls("x", "get", `{"count":4}`), calls("bad id!", "get", `{"count":5}`)),
		says("Done."))
	tools := &shelf{tools: []toolbox.Tool{reads("get")}}
	s, _ := ask(t, runner(hear(m, func(r model.Request) { require.NoError(t, wellFormed(r.Messages)) }), tools), "Why?")
	require.Equal(t, v1alpha1.RunCompleted, s.Phase)
	require.Len(t, tools.calls(), 5)
	ids := map[string]bool{}
	for _, turn := range s.Turns {
		for _, c := range turn.Calls {
			ids[c.ID] = true
		}
	}
	require.Len(t, ids, 5)
}

func TestNoToolsAtAll(t *testing.T) {
	s, _ := ask(t, runner(script(says("", calls("a", "get", "{}")), says("Done.")), &shelf{}), "Why?")
	require.Contains(t, s.Turns[0].Calls[0].Result, "No tools are on offer")
}

func TestAModelThatSaysNothing(t *testing.T) {
	t.Run("once", func(t *testing.T) {
		n := 0
		m := hear(func(r model.Request) model.Reply {
			if n++; n == 1 {
				return says("")
			}
			require.Contains(t, r.Messages[len(r.Messages)-1].Text, "Your last answer was empty")
			return says("Now.")
		})
		s, _ := ask(t, runner(m, &shelf{}), "Why?")
		require.Equal(t, v1alpha1.RunCompleted, s.Phase)
		require.Equal(t, "Now.", s.Answer())
	})
	t.Run("twice", func(t *testing.T) {
		s, _ := ask(t, runner(hear(func(model.Request) model.Reply { return says("") }), &shelf{}), "Why?")
		require.Equal(t, v1alpha1.RunFailed, s.Phase)
		require.Equal(t, "the model answered nothing, twice; ask anew, or have the agent use another model", s.Reason)
	})
	t.Run("refuses", func(t *testing.T) {
		s, _ := ask(t, runner(hear(func(model.Request) model.Reply { return model.Reply{Stop: model.StopRefused} }), &shelf{}), "Why?")
		require.Equal(t, v1alpha1.RunFailed, s.Phase)
		require.Contains(t, s.Reason, "declined")
	})
	t.Run("has no room", func(t *testing.T) {
		s, _ := ask(t, runner(hear(func(model.Request) model.Reply { return model.Reply{Stop: model.StopLength} }), &shelf{}), "Why?")
		require.Equal(t, v1alpha1.RunFailed, s.Phase)
		require.Contains(t, s.Reason, "raise maxTokens")
	})
	t.Run("fails", func(t *testing.T) {
		m := failing(&model.Error{Kind: model.Unauthorized, Provider: "anthropic", Status: 401, Text: "invalid x-api-key"})
		s, events := ask(t, runner(m, &shelf{}), "Why?")
		require.Equal(t, v1alpha1.RunFailed, s.Phase)
		require.Equal(t, "the model gives no answer: anthropic: unauthorized (HTTP 401): invalid x-api-key; look at the key that apiKeySecret of the ModelConfig names, and whether it may use the model", s.Reason)
		require.Equal(t, []string{"asked", "ended Failed"}, story(events))
	})
}
