package model

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const hello = "rules: [{name: hello, say: Hello.}]"

func TestAnthropicRefusesWhatTheAPIRefuses(t *testing.T) {
	server := started(t, hello, Options{})
	const (
		head  = `{"model":"m","max_tokens":9,`
		tool  = `"tools":[{"name":"t","input_schema":{"type":"object"}}],`
		ask1  = `{"role":"user","content":"?"}`
		call1 = `{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"t","input":{}}]}`
		done1 = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"x"}]}`
		five  = `{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}`
	)
	for body, says := range map[string]string{
		`nonsense`: "not valid JSON",
		`{"max_tokens":9,"messages":[` + ask1 + `]}`:                                                                                              "model: Field required",
		`{"model":"m","messages":[` + ask1 + `]}`:                                                                                                 "max_tokens: Field required",
		`{"model":"m","max_tokens":0,"messages":[` + ask1 + `]}`:                                                                                  "greater than or equal to 1",
		head + `"messages":[]}`:                                                                                                                   "at least one message is required",
		head + `"fnord":1,"messages":[` + ask1 + `]}`:                                                                                             "fnord: Extra inputs are not permitted",
		head + `"temperature":2,"messages":[` + ask1 + `]}`:                                                                                       "temperature: range: 0..1",
		head + `"messages":[{"role":"system","content":"?"}]}`:                                                                                    "messages.0.role: Input should be 'user' or 'assistant'",
		head + `"messages":[` + ask1 + `,` + ask1 + `]}`:                                                                                          "roles must alternate",
		head + `"messages":[{"role":"assistant","content":"?"}]}`:                                                                                 `first message must use the \"user\" role`,
		head + `"messages":[` + ask1 + `,{"role":"assistant","content":"and"}]}`:                                                                  "does not support assistant message prefill",
		head + `"messages":[{"role":"user","content":""}]}`:                                                                                       "must contain non-whitespace text",
		head + `"messages":[{"role":"user","content":[]}]}`:                                                                                       "must have non-empty content",
		head + `"messages":[` + ask1 + `,` + call1 + `,` + done1 + `]}`:                                                                           "must define tools",
		head + tool + `"messages":[` + ask1 + `,` + call1 + `,` + ask1 + `]}`:                                                                     "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a",
		head + tool + `"messages":[` + done1 + `]}`:                                                                                               "unexpected `tool_use_id` found in `tool_result` blocks: a",
		head + tool + `"messages":[` + ask1 + `,` + call1 + `,` + done1 + `,` + call1 + `,` + done1 + `]}`:                                        "`tool_use` ids must be unique",
		head + tool + `"messages":[` + ask1 + `,` + strings.Replace(call1, `{}`, `"x"`, 1) + `,` + done1 + `]}`:                                   "tool_use.input: Input should be a valid dictionary",
		head + tool + `"messages":[` + ask1 + `,` + strings.Replace(call1, `"a"`, `"a b"`, 1) + `,` + done1 + `]}`:                                "tool_use.id: String should match pattern",
		head + tool + `"messages":[` + ask1 + `,` + strings.Replace(call1, `"t"`, `"t.x"`, 1) + `,` + done1 + `]}`:                                "tool_use.name: String should match pattern",
		head + tool + `"messages":[` + ask1 + `,` + call1 + `,` + strings.Replace(done1, `[`, `[{"type":"text","text":"x"},`, 1) + `]}`:           "must come before text",
		head + `"tools":[{"name":"a b","input_schema":{"type":"object"}}],"messages":[` + ask1 + `]}`:                                             "tools.0.custom.name: String should match pattern",
		head + `"tools":[{"name":"a"}],"messages":[` + ask1 + `]}`:                                                                                "tools.0.custom.input_schema: Field required",
		head + `"tools":[{"name":"a","input_schema":{"type":"string"}}],"messages":[` + ask1 + `]}`:                                               "input_schema.type: Input should be 'object'",
		head + `"tools":[{"name":"a","input_schema":{"type":"object","anyOf":[{}]}}],"messages":[` + ask1 + `]}`:                                  "does not support oneOf, allOf, or anyOf",
		head + `"tools":[{"name":"t","input_schema":{"type":"object"}},{"name":"t","input_schema":{"type":"object"}}],"messages":[` + ask1 + `]}`: "Tool names must be unique",
		head + `"tool_choice":{"type":"auto"},"messages":[` + ask1 + `]}`:                                                                         "may only be specified while providing `tools`",
		head + tool + `"tool_choice":{"type":"tool","name":"u"},"messages":[` + ask1 + `]}`:                                                       "Tool 'u' not found",
		head + `"thinking":{"type":"enabled","budget_tokens":9},"messages":[` + ask1 + `]}`:                                                       "greater than or equal to 1024",
		head + `"cache_control":{"type":"forever"},"messages":[` + ask1 + `]}`:                                                                    "expected tags: 'ephemeral'",
		head + `"cache_control":{"type":"ephemeral","ttl":"1d"},"messages":[` + ask1 + `]}`:                                                       "should be '5m' or '1h'",
		head + `"system":[` + five + `],"cache_control":{"type":"ephemeral","ttl":"1h"},"messages":[` + ask1 + `]}`:                               "must not come after a ttl='5m'",
		head + `"system":[` + strings.Repeat(five+",", 4) + five + `],"messages":[` + ask1 + `]}`:                                                 "A maximum of 4 blocks with cache_control may be provided. Found 5.",
		head + `"messages":[` + ask1 + `,{"role":"assistant","content":[{"type":"thinking","thinking":"mine","signature":"x"}]},` + ask1 + `]}`:   "Invalid `signature` in `thinking` block",
	} {
		r := ask(t, server, body)
		require.Equal(t, http.StatusBadRequest, r.status, "%s\n%s", body, r.body)
		require.Contains(t, r.body, `"error":{`)
		require.Contains(t, r.body, `"type":"invalid_request_error"`)
		require.Contains(t, strings.ReplaceAll(r.body, `\u003c`, "<"), says, body)
	}
	good := head + tool + `"system":[` + strings.Repeat(five+",", 3) + five + `],"tool_choice":{"type":"any"},"messages":[` + ask1 + `,` + call1 + `,` + done1 + `,{"role":"assistant","content":"Hello."},` + ask1 + `]}`
	require.Equal(t, http.StatusOK, ask(t, server, good).status)
	requests := server.Requests()
	require.Equal(t, 200, requests[len(requests)-1].Status)
	require.Equal(t, "hello", requests[len(requests)-1].Outcome)
	require.Equal(t, 400, requests[0].Status)
}

func TestAnthropicHeaders(t *testing.T) {
	server := started(t, hello, Options{Key: "right"})
	const body = `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"?"}]}`
	for _, c := range []struct {
		headers []string
		status  int
		says    string
	}{
		{nil, 401, "x-api-key header is required"},
		{[]string{"x-api-key", "wrong"}, 401, `"type":"authentication_error"`},
		{[]string{"x-api-key", "right"}, 400, "anthropic-version: header is required"},
		{[]string{"x-api-key", "right", "anthropic-version", "2030-01-01"}, 400, "is not a valid version"},
		{append([]string{"x-api-key", "right"}, version...), 200, "Hello."},
		{append([]string{"Authorization", "Bearer right"}, version...), 200, "Hello."},
		{append([]string{"x-api-key", "right", "Content-Type", "text/plain"}, version...), 400, "want application/json"},
	} {
		r := post(t, server, "/anywhere/v1/messages", body, c.headers...)
		require.Equal(t, c.status, r.status, r.body)
		require.Contains(t, r.body, c.says)
	}
	server.SetKey("new")
	require.Equal(t, 401, post(t, server, "/v1/messages", body, append([]string{"x-api-key", "right"}, version...)...).status)
	require.Equal(t, 200, post(t, server, "/v1/messages", body, append([]string{"x-api-key", "new"}, version...)...).status)
	for _, r := range server.Requests() {
		for _, values := range r.Header {
			require.NotContains(t, strings.Join(values, " "), "right")
		}
	}
	require.Equal(t, 404, post(t, server, "/v1/nothing", body, version...).status)
	require.Equal(t, 413, post(t, server, "/v1/messages", strings.Repeat("x", maxBody+1), version...).status)
}

func TestAnthropicStream(t *testing.T) {
	server := started(t, `
chunk: {bytes: 4}
rules: [{name: r, think: Hm., say: Look 見る., call: [{tool: t, arguments: {a: 1}}]}]`, Options{})
	r := ask(t, server, `{"model":"m","max_tokens":2000,"stream":true,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"?"}]}`)
	require.Equal(t, "text/event-stream", r.header.Get("Content-Type"))
	var events []string
	for line := range strings.Lines(r.body) {
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			events = append(events, strings.TrimSpace(name))
		}
	}
	require.Equal(t, []string{
		"message_start", "content_block_start", "ping", "content_block_delta", "content_block_delta", "content_block_stop",
		"content_block_start", "content_block_delta", "content_block_delta", "content_block_delta", "content_block_stop",
		"content_block_start", "content_block_delta", "content_block_delta", "content_block_delta", "content_block_stop",
		"message_delta", "message_stop",
	}, events)
	require.Contains(t, r.body, `"delta":{"signature":"sig_`)
	require.Contains(t, r.body, `"delta":{"text":"Look","type":"text_delta"}`)
	require.Contains(t, r.body, `"delta":{"text":" 見","type":"text_delta"}`)
	require.Contains(t, r.body, `"delta":{"partial_json":"{\"a\"","type":"input_json_delta"}`)
	require.Contains(t, r.body, `"delta":{"stop_reason":"tool_use","stop_sequence":null}`)
	require.Contains(t, r.body, `"output_tokens":14`)

	r = ask(t, server, `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"?"}]}`)
	require.Contains(t, r.body, `"content":[{"text":"Look","type":"text"}]`)
	require.Contains(t, r.body, `"stop_reason":"max_tokens"`)
}

func TestAnthropicCountsWhatTheCacheSaves(t *testing.T) {
	server := started(t, hello, Options{})
	long := strings.Repeat("a long system message ", 400)
	request := func(system, question string) anthropicReply {
		var out anthropicReply
		ask(t, server, `{"model":"m","max_tokens":9,"system":[{"type":"text","text":"`+system+`","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"`+question+`"}]}`).decode(t, &out)
		return out
	}
	first, second, other, short := request(long, "?"), request(long, "and now?"), request("b"+long, "?"), request("b", "?")
	require.Equal(t, 2209, first.Usage.Wrote)
	require.Zero(t, first.Usage.Read)
	require.Equal(t, 3, first.Usage.Input)
	require.Equal(t, 2209, second.Usage.Read)
	require.Zero(t, second.Usage.Wrote)
	require.Zero(t, other.Usage.Read)
	require.Zero(t, short.Usage.Wrote, "too short to keep")

	r := post(t, server, "/v1/messages/count_tokens", `{"model":"m","messages":[{"role":"user","content":"12345678"}]}`, version...)
	require.JSONEq(t, `{"input_tokens":5}`, r.body)
}
