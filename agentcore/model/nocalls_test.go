package model_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
)

// Tools that were called stay in the request, for providers want them there and
// prompts stay cached; that none may be called any more is said apart.
func TestNoCalls(t *testing.T) {
	for name, want := range map[string]string{"Anthropic": `{"type":"none"}`, "OpenAI": `"none"`} {
		t.Run(name, func(t *testing.T) {
			server := start(t, `rules: [{say: Enough.}]`)
			m := open(t, wire(t, name, server.URL), model.Options{})
			tools := []model.Tool{{Name: "get", Schema: json.RawMessage(`{"type":"object"}`)}}
			for _, no := range []bool{true, false} {
				_, err := m.Generate(t.Context(), model.Request{Messages: []model.Message{{Role: model.User, Text: "Well?"}}, Tools: tools, NoCalls: no}, nil)
				require.NoError(t, err)
			}
			var bodies [2]struct {
				Tools      []any           `json:"tools"`
				ToolChoice json.RawMessage `json:"tool_choice"`
			}
			for i, r := range server.Requests() {
				require.NoError(t, json.Unmarshal(r.Body, &bodies[i]))
				require.Len(t, bodies[i].Tools, 1)
			}
			require.JSONEq(t, want, string(bodies[0].ToolChoice))
			require.Empty(t, bodies[1].ToolChoice)
		})
	}
}

// A conversation in which tools were called goes on when none is on offer any
// more, though Anthropic's API refuses one that names no tools.
func TestNoToolsAnyMore(t *testing.T) {
	for _, name := range []string{"Anthropic", "OpenAI"} {
		t.Run(name, func(t *testing.T) {
			server := start(t, `rules: [{say: Enough.}]`)
			m := open(t, wire(t, name, server.URL), model.Options{})
			reply, err := m.Generate(t.Context(), model.Request{Messages: []model.Message{
				{Role: model.User, Text: "Well?"},
				{Role: model.Assistant, Calls: []model.Call{{ID: "a", Name: "get", Arguments: "{}"}, {ID: "b", Name: "get", Arguments: "{}"}}},
				{Role: model.User, Results: []model.Result{{Call: "a", Text: "nothing", Error: true}, {Call: "b", Text: "nothing", Error: true}}},
			}}, nil)
			require.NoError(t, err)
			require.Equal(t, "Enough.", reply.Text)
		})
	}
}
