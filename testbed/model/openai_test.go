package model

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenAIRefusesWhatTheAPIRefuses(t *testing.T) {
	server := started(t, hello, Options{})
	const (
		head  = `{"model":"m",`
		ask1  = `{"role":"user","content":"?"}`
		call1 = `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"t","arguments":"{}"}}]}`
		done1 = `{"role":"tool","tool_call_id":"a","content":"x"}`
	)
	function := func(f string) string {
		return head + `"tools":[{"type":"function","function":` + f + `}],"messages":[` + ask1 + `]}`
	}
	for body, says := range map[string]string{
		`{"messages":[` + ask1 + `]}`:                                                                                 "you must provide a model parameter",
		head + `"messages":[]}`:                                                                                       "empty array",
		head + `"fnord":1,"messages":[` + ask1 + `]}`:                                                                 "Unrecognized request argument supplied",
		head + `"stream_options":{"include_usage":true},"messages":[` + ask1 + `]}`:                                   "only allowed when 'stream' is enabled",
		head + `"max_tokens":1,"max_completion_tokens":1,"messages":[` + ask1 + `]}`:                                  "at the same time is not supported",
		head + `"max_tokens":0,"messages":[` + ask1 + `]}`:                                                            "below minimum value",
		head + `"n":2,"messages":[` + ask1 + `]}`:                                                                     "one choice",
		head + `"temperature":3,"messages":[` + ask1 + `]}`:                                                           "Invalid 'temperature'",
		head + `"messages":[{"role":"robot","content":"?"}]}`:                                                         "Invalid value: 'robot'",
		head + `"messages":[{"role":"user","content":null}]}`:                                                         "expected a string, got null",
		head + `"messages":[{"role":"user","content":7}]}`:                                                            "expected one of a string or array of objects",
		head + `"messages":[{"role":"system","content":[{"type":"image_url"}]}]}`:                                     "Invalid value: 'image_url'",
		head + `"messages":[` + ask1 + `,{"role":"assistant","content":null}]}`:                                       "expected a string, got null",
		head + `"messages":[` + ask1 + `,{"role":"assistant","content":"x","tool_calls":[]}]}`:                        "empty array",
		head + `"messages":[` + ask1 + `,` + done1 + `]}`:                                                             "must be a response to a preceeding message with 'tool_calls'",
		head + `"messages":[` + ask1 + `,` + call1 + `,` + ask1 + `]}`:                                                "The following tool_call_ids did not have response messages: a",
		head + `"messages":[` + ask1 + `,` + call1 + `]}`:                                                             "did not have response messages: a",
		head + `"messages":[` + ask1 + `,` + strings.Replace(call1, `"a"`, `"`+strings.Repeat("a", 41)+`"`, 1) + `]}`: "maximum length 40",
		head + `"messages":[` + ask1 + `,` + strings.Replace(call1, `"t"`, `"t.x"`, 1) + `]}`:                         "function.name': string does not match pattern",
		head + `"messages":[` + ask1 + `,` + strings.Replace(call1, `,"arguments":"{}"`, ``, 1) + `]}`:                "Missing required parameter",
		head + `"messages":[` + ask1 + `,` + strings.Replace(call1, `"function","`, `"method","`, 1) + `]}`:           "Invalid value: 'method'",
		head + `"tools":[],"messages":[` + ask1 + `]}`:                                                                "Invalid 'tools': empty array",
		head + `"tool_choice":"auto","messages":[` + ask1 + `]}`:                                                      "only allowed when 'tools' are specified",
		function(`{"name":"a b"}`):                                                                                    "string does not match pattern",
		function(`{"name":"a","parameters":{"type":"string"}}`):                                                       "schema must be a JSON Schema of 'type: \\\"object\\\"'",
		function(`{"name":"a","parameters":{"type":"object","properties":{"b":{"type":"array"}}}}`):                   "In context=('properties', 'b'), array schema missing items",
	} {
		r := chatAsk(t, server, body)
		require.Equal(t, http.StatusBadRequest, r.status, "%s\n%s", body, r.body)
		require.Contains(t, r.body, `"type":"invalid_request_error"`)
		require.Contains(t, r.body, says, body)
	}
	require.Equal(t, http.StatusOK, chatAsk(t, server, head+`"tools":[{"type":"function","function":{"name":"t"}}],"messages":[`+ask1+`,`+ask1+`,`+call1+`,`+done1+`]}`).status)
}

func TestOpenAIErrorsByWhoSpeaks(t *testing.T) {
	server := started(t, hello, Options{Key: "right"})
	const body = `{"messages":[{"role":"user","content":"?"}],"model":"m"}`
	for path, says := range map[string]string{
		"/v1/chat/completions": `{"error":{"code":"invalid_api_key","message":"Incorrect API key`,
		"/openai/deployments/d/chat/completions?api-version=2026-1": `{"error":{"code":"401","message":"Access denied`,
		"/v1beta/openai/chat/completions":                           `[{"error":{"code":401,"message":"Incorrect API key`,
	} {
		r := post(t, server, path, body, "Authorization", "Bearer wrong", "api-key", "wrong")
		require.Equal(t, 401, r.status)
		require.Contains(t, r.body, says)
		require.Equal(t, 200, post(t, server, path, body, "Authorization", "Bearer right").status)
	}
	r := post(t, server, "/openai/deployments/d/chat/completions?api-version=2026-1", body, "api-key", "right")
	require.Contains(t, r.body, `"model":"d"`)
	require.Equal(t, 404, post(t, server, "/openai/deployments/d/chat/completions", body, "api-key", "right").status)
	require.Equal(t, 405, func() int {
		res, err := http.Get(server.URL + "/v1/chat/completions")
		require.NoError(t, err)
		res.Body.Close()
		return res.StatusCode
	}())
}

func TestOpenAIStreamAndUsage(t *testing.T) {
	server := started(t, `rules: [{name: r, say: Look., call: [{tool: t, arguments: {a: 1}}, {tool: u}]}]`, Options{})
	long := strings.Repeat("a long system message ", 400)
	body := func(stream string) string {
		return `{"model":"m",` + stream + `"messages":[{"role":"system","content":"` + long + `"},{"role":"user","content":"?"}]}`
	}
	r := chatAsk(t, server, body(`"stream":true,`))
	require.True(t, strings.HasSuffix(r.body, "data: [DONE]\n\n"), r.body)
	require.NotContains(t, r.body, `"usage"`)
	require.Contains(t, r.body, `{"function":{"arguments":"","name":"t"},"id":"call_`)
	require.Contains(t, r.body, `"finish_reason":"tool_calls"`)
	r = chatAsk(t, server, body(`"stream":true,"stream_options":{"include_usage":true},`))
	require.Contains(t, r.body, `"choices":[],`)
	require.Contains(t, r.body, `"usage":null`)

	var whole struct {
		Choices []struct {
			Message struct {
				Content   string
				ToolCalls []struct {
					ID       string
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			}
		}
		Usage struct {
			Prompt  int `json:"prompt_tokens"`
			Total   int `json:"total_tokens"`
			Details struct {
				Cached int `json:"cached_tokens"`
			} `json:"prompt_tokens_details"`
		}
	}
	chatAsk(t, server, body(``)).decode(t, &whole)
	require.Equal(t, "Look.", whole.Choices[0].Message.Content)
	calls := whole.Choices[0].Message.ToolCalls
	require.Len(t, calls, 2)
	require.Equal(t, `{"a":1}`, calls[0].Function.Arguments)
	require.Equal(t, "{}", calls[1].Function.Arguments)
	require.NotEqual(t, calls[0].ID, calls[1].ID)
	require.Equal(t, 2216, whole.Usage.Prompt)
	require.Equal(t, 2176, whole.Usage.Details.Cached, "in steps of 128")
	require.Greater(t, whole.Usage.Total, whole.Usage.Prompt)
	require.True(t, json.Valid(server.Requests()[0].Body))
}
