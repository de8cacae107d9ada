package model_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
)

// next asks again after a reply whose calls have been answered, and returns the
// messages as the provider got them.
func next(t *testing.T, m model.Model, p *provider, reply model.Reply) []json.RawMessage {
	t.Helper()
	r := ask("Why?")
	user := model.Message{Role: model.User, Text: "Go on."}
	for _, c := range reply.Calls {
		user.Results = append(user.Results, model.Result{Call: c.ID, Text: "done"})
	}
	r.Messages = append(r.Messages, model.Message{Role: model.Assistant, Text: reply.Text, Calls: reply.Calls, Opaque: reply.Opaque}, user)
	_, err := m.Generate(t.Context(), r, nil)
	require.NoError(t, err)
	all := p.requests()
	var body struct{ Messages []json.RawMessage }
	require.NoError(t, json.Unmarshal(all[len(all)-1].Raw, &body))
	return body.Messages
}

func TestThoughtsGoBackUnchanged(t *testing.T) {
	t.Parallel()
	p := serve(t, events(
		`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"model":"m","usage":{"input_tokens":1,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me <think> & "}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"look …"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2lnbmVk"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"b3BhcXVl"}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"I look."}}`,
		`{"type":"content_block_stop","index":2}`,
		`{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"k8s_ping","input":{}}}`,
		`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}`,
		`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"1}"}}`,
		`{"type":"content_block_stop","index":3}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":40}}`,
		`{"type":"message_stop"}`), messageDone)
	m := open(t, wire(t, "Anthropic", p.URL), model.Options{})
	var heard strings.Builder
	reply, err := m.Generate(t.Context(), ask("Why?"), func(s string) { heard.WriteString(s) })
	require.NoError(t, err)
	require.Equal(t, "I look.", reply.Text)
	require.Equal(t, "I look.", heard.String(), "thoughts are not said")
	require.EqualValues(t, 40, reply.Usage.Output)
	require.Equal(t, []model.Call{{ID: "toolu_1", Name: "k8s_ping", Arguments: `{"a":1}`}}, reply.Calls)

	got := next(t, m, p, reply)
	require.Len(t, got, 3)
	require.JSONEq(t, `{"role":"assistant","content":[
		{"type":"thinking","thinking":"Let me <think> & look …","signature":"c2lnbmVk"},
		{"type":"redacted_thinking","data":"b3BhcXVl"},
		{"type":"text","text":"I look."},
		{"type":"tool_use","id":"toolu_1","name":"k8s_ping","input":{"a":1}}]}`, string(got[1]))

	// Another provider gets what all understand.
	other := serve(t, chatDone)
	got = next(t, open(t, wire(t, "OpenAI", other.URL), model.Options{}), other, reply)
	require.JSONEq(t, `{"role":"assistant","content":"I look.","tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"k8s_ping","arguments":"{\"a\":1}"}}]}`, string(got[2]))
}

func TestSignaturesOfGeminiAndThoughtsBeforeCallsGoBack(t *testing.T) {
	t.Parallel()
	p := serve(t, events(
		`{"choices":[{"delta":{"role":"assistant","reasoning_content":"Hm. "}}]}`,
		`{"choices":[{"delta":{"reasoning_content":"Ping."}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","extra_content":{"google":{"thought_signature":"c2ln"}},"function":{"name":"k8s_ping","arguments":"{}"}}]},"finish_reason":"stop"}]}`,
		`[DONE]`), chatDone)
	m := open(t, wire(t, "OpenAI", p.URL), model.Options{})
	reply, err := m.Generate(t.Context(), ask("Why?"), nil)
	require.NoError(t, err)
	require.Equal(t, model.StopCalls, reply.Stop)
	require.Empty(t, reply.Text)
	got := next(t, m, p, reply)
	require.JSONEq(t, `{"role":"assistant","content":"","reasoning_content":"Hm. Ping.","tool_calls":[{"id":"a","type":"function","extra_content":{"google":{"thought_signature":"c2ln"}},"function":{"name":"k8s_ping","arguments":"{}"}}]}`, string(got[2]))

	other := serve(t, messageDone)
	got = next(t, open(t, wire(t, "Anthropic", other.URL), model.Options{}), other, reply)
	require.JSONEq(t, `{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"k8s_ping","input":{}}]}`, string(got[1]))
}

func TestCallsAsDifferentServersSendThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pieces []string
		want   []model.Call
	}{
		"OpenAI, in pieces": {[]string{
			`{"index":0,"id":"a","function":{"name":"x","arguments":""}}`, `{"index":0,"function":{"arguments":"{\"n\":"}}`, `{"index":0,"function":{"arguments":"1}"}}`,
			`{"index":1,"id":"b","function":{"name":"y","arguments":"{}"}}`}, []model.Call{{"a", "x", `{"n":1}`}, {"b", "y", "{}"}}},
		"Ollama, one index": {[]string{`{"index":0,"id":"a","function":{"name":"x","arguments":"{}"}}`, `{"index":0,"id":"b","function":{"name":"x","arguments":"{}"}}`}, []model.Call{{"a", "x", "{}"}, {"b", "x", "{}"}}},
		"Gemini, no IDs":    {[]string{`{"index":0,"id":"","function":{"name":"x","arguments":"{}"}}`, `{"index":0,"id":"","function":{"name":"y","arguments":"{}"}}`}, []model.Call{{"", "x", "{}"}, {"", "y", "{}"}}},
		"the ID each time":  {[]string{`{"index":0,"id":"a","function":{"name":"x","arguments":"{\"n\""}}`, `{"index":0,"id":"a","function":{"name":"x","arguments":":2}"}}`}, []model.Call{{"a", "x", `{"n":2}`}}},
		"no arguments":      {[]string{`{"index":0,"id":"a","function":{"name":"x"}}`}, []model.Call{{"a", "x", "{}"}}},
		"no JSON":           {[]string{`{"index":0,"id":"a","function":{"name":"no_such_tool","arguments":"{\"n\": 1, oops"}}`}, []model.Call{{"a", "no_such_tool", `{"n": 1, oops`}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []string
			for _, piece := range c.pieces {
				all = append(all, `{"choices":[{"delta":{"tool_calls":[`+piece+`]}}]}`)
			}
			p := serve(t, events(append(all, `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`)...))
			reply, err := open(t, wire(t, "OpenAI", p.URL), model.Options{}).Generate(t.Context(), ask("?"), nil)
			require.NoError(t, err)
			seen := map[string]bool{}
			for i := range reply.Calls {
				require.NotEmpty(t, reply.Calls[i].ID)
				require.False(t, seen[reply.Calls[i].ID], "calls have IDs of their own")
				seen[reply.Calls[i].ID] = true
				if c.want[i].ID == "" {
					reply.Calls[i].ID = ""
				}
			}
			require.Equal(t, c.want, reply.Calls)
			require.Positive(t, reply.Usage.Input, "reckoned, where the server does not tell")
		})
	}
}

// TestCallsThatAreNoneArePassedOn: both wires take them back, as the server
// checks.
func TestCallsThatAreNoneArePassedOn(t *testing.T) {
	t.Parallel()
	for w := range wires {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			server := start(t, `
rules:
- {when: {calls: 0}, call: [{tool: k8s_ping, raw: '{"resource_type": "pods", "all'}]}
- {when: {calls: 1}, call: [{tool: k8s_make_coffee, arguments: {sugar: true}}]}
- {when: {calls: 2}, call: [{tool: k8s_ping, raw: '"pods"'}]}
- say: I give up.
`)
			m := open(t, wire(t, w, server.URL), model.Options{})
			r := ask("Coffee?")
			for _, want := range []model.Call{{Name: "k8s_ping", Arguments: `{"resource_type": "pods", "all`}, {Name: "k8s_make_coffee", Arguments: `{"sugar":true}`}, {Name: "k8s_ping", Arguments: `"pods"`}} {
				reply, err := m.Generate(t.Context(), r, nil)
				require.NoError(t, err)
				require.Len(t, reply.Calls, 1)
				require.Equal(t, want.Name, reply.Calls[0].Name)
				require.Equal(t, want.Arguments, reply.Calls[0].Arguments)
				r.Messages = append(r.Messages, model.Message{Role: model.Assistant, Calls: reply.Calls, Opaque: reply.Opaque},
					model.Message{Role: model.User, Results: []model.Result{{Call: reply.Calls[0].ID, Text: "this cannot be done", Error: true}}})
			}
			reply, err := m.Generate(t.Context(), r, nil)
			require.NoError(t, err)
			require.Equal(t, "I give up.", reply.Text)
		})
	}
}

func TestStops(t *testing.T) {
	t.Parallel()
	for w := range wires {
		for rule, want := range map[string]model.Stop{"say: All.": model.StopDone, "say: Cut, stop: max_tokens": model.StopLength, "say: No., stop: refusal": model.StopRefused} {
			server := start(t, "rules:\n- {"+rule+"}\n")
			reply, err := open(t, wire(t, w, server.URL), model.Options{}).Generate(t.Context(), ask("?"), nil)
			require.NoError(t, err)
			require.Equal(t, want, reply.Stop, rule)
		}
	}
}
