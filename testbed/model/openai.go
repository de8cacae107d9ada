package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// chat is OpenAI's wire, POST /v1/chat/completions, and what others make of it.
type chat struct {
	deployment string // Azure's, from the path
	azure      bool
	noVersion  bool // Azure without api-version
	google     bool // Gemini's endpoint, whose errors look different
}

// newChat tells by the path whose form of the wire is spoken.
func newChat(r *http.Request) *chat {
	w := &chat{google: strings.Contains(r.URL.Path, "/v1beta/openai/")}
	if _, rest, ok := strings.Cut(r.URL.Path, "/openai/deployments/"); ok {
		w.deployment, _, _ = strings.Cut(rest, "/")
		w.azure, w.noVersion = true, r.URL.Query().Get("api-version") == ""
	} else if strings.Contains(r.URL.Path, "/openai/v1/") {
		w.azure = true // the newer form, with the model in the body
	}
	return w
}

func (o *chat) admit(r *http.Request, key string) *failure {
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer && o.azure {
		given = r.Header.Get("Api-Key")
	}
	switch {
	case o.noVersion:
		return &failure{status: http.StatusNotFound, code: "404", message: "Resource not found"}
	case key == "" || given == key:
		return nil
	case o.azure:
		return &failure{status: http.StatusUnauthorized, code: "401", message: "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}
	case given == "":
		return &failure{status: http.StatusUnauthorized, message: "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."}
	}
	return &failure{status: http.StatusUnauthorized, code: "invalid_api_key", message: "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."}
}

// chatRequest is what the wire takes; what does not matter here is only known to
// be a field.
type chatRequest struct {
	Model               string            `json:"model"`
	Messages            []chatMessage     `json:"messages"`
	Tools               []json.RawMessage `json:"tools"`
	ToolChoice          json.RawMessage   `json:"tool_choice"`
	Stream              bool              `json:"stream"`
	StreamOptions       *streamOptions    `json:"stream_options"`
	MaxTokens           *int              `json:"max_tokens"`
	MaxCompletionTokens *int              `json:"max_completion_tokens"`
	N                   *int              `json:"n"`
	Temperature         *float64          `json:"temperature"`

	Audio                json.RawMessage `json:"audio"`
	FrequencyPenalty     json.RawMessage `json:"frequency_penalty"`
	FunctionCall         json.RawMessage `json:"function_call"`
	Functions            json.RawMessage `json:"functions"`
	LogitBias            json.RawMessage `json:"logit_bias"`
	Logprobs             json.RawMessage `json:"logprobs"`
	Metadata             json.RawMessage `json:"metadata"`
	Modalities           json.RawMessage `json:"modalities"`
	ParallelToolCalls    json.RawMessage `json:"parallel_tool_calls"`
	Prediction           json.RawMessage `json:"prediction"`
	PresencePenalty      json.RawMessage `json:"presence_penalty"`
	PromptCacheKey       json.RawMessage `json:"prompt_cache_key"`
	PromptCacheOptions   json.RawMessage `json:"prompt_cache_options"`
	PromptCacheRetention json.RawMessage `json:"prompt_cache_retention"`
	ReasoningEffort      json.RawMessage `json:"reasoning_effort"`
	ResponseFormat       json.RawMessage `json:"response_format"`
	SafetyIdentifier     json.RawMessage `json:"safety_identifier"`
	Seed                 json.RawMessage `json:"seed"`
	ServiceTier          json.RawMessage `json:"service_tier"`
	Stop                 json.RawMessage `json:"stop"`
	Store                json.RawMessage `json:"store"`
	TopLogprobs          json.RawMessage `json:"top_logprobs"`
	TopP                 json.RawMessage `json:"top_p"`
	User                 json.RawMessage `json:"user"`
	Verbosity            json.RawMessage `json:"verbosity"`
	WebSearchOptions     json.RawMessage `json:"web_search_options"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type chatMessage struct {
	Role       string          `json:"role"`
	Content    *chatContent    `json:"content"`
	Refusal    json.RawMessage `json:"refusal"`
	Name       string          `json:"name"`
	ToolCalls  []chatCall      `json:"tool_calls"`
	ToolCallID string          `json:"tool_call_id"`
	raw        json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *chatMessage) UnmarshalJSON(data []byte) error {
	type plain chatMessage
	m.raw = slices.Clone(data)
	return json.Unmarshal(data, (*plain)(m))
}

type chatCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string  `json:"name"`
		Arguments *string `json:"arguments"`
	} `json:"function"`
}

// chatContent is a text, or a list of parts.
type chatContent struct {
	text  string
	parts []string // their types; none if it was a text
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *chatContent) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &c.text) == nil {
		return nil
	}
	var parts []struct{ Type, Text, Refusal string }
	if json.Unmarshal(data, &parts) != nil {
		return complain("Invalid type for 'messages.content': expected one of a string or array of objects.")
	}
	var texts []string
	for _, p := range parts {
		c.parts, texts = append(c.parts, p.Type), append(texts, cmp.Or(p.Text, p.Refusal))
	}
	c.text = strings.Join(texts, "\n")
	return nil
}

func (o *chat) read(body []byte) (*conversation, *failure) {
	req := &chatRequest{}
	if f := decodeKnown(body, req, "Unrecognized request argument supplied"); f != nil {
		return nil, f
	}
	c := &conversation{model: cmp.Or(o.deployment, req.Model), stream: req.Stream}
	if f := (&chatCheck{req: req}).all(c); f != nil {
		return nil, f
	}
	c.countUsage = req.StreamOptions != nil && req.StreamOptions.IncludeUsage
	for _, most := range []*int{req.MaxTokens, req.MaxCompletionTokens} {
		if most != nil {
			c.maxTokens = *most
		}
	}
	return c, nil
}

func (*chat) count(k *cache, c *conversation) usage { return k.automatic(c) }

// openaiKinds are OpenAI's words for statuses; others are invalid_request_error.
var openaiKinds = map[int]string{429: "requests", 500: "server_error", 502: "server_error", 503: "server_error", 504: "server_error", 529: "server_error"}

var openaiCodes = map[int]any{429: "rate_limit_exceeded"}

// googleStatus are the names Google gives to statuses.
var googleStatus = map[int]string{
	400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}

// form is a failure as who speaks this wire writes it.
func (o *chat) form(f *failure) any {
	if o.google {
		return []any{map[string]any{"error": map[string]any{"code": f.status, "message": f.message, "status": cmp.Or(googleStatus[f.status], "UNKNOWN")}}}
	}
	if o.azure && f.code != "" {
		return map[string]any{"error": map[string]any{"code": f.code, "message": f.message}}
	}
	var code, param any = openaiCodes[f.status], nil
	if f.code != "" {
		code = f.code
	}
	if f.param != "" {
		param = f.param
	}
	kind := cmp.Or(f.kind, openaiKinds[f.status], "invalid_request_error")
	return map[string]any{"error": map[string]any{"message": f.message, "type": kind, "param": param, "code": code}}
}

func (o *chat) fail(w http.ResponseWriter, f *failure) {
	w.Header().Set("x-request-id", "req_scripted")
	if f.retryAfter != "" {
		w.Header().Set("Retry-After", f.retryAfter)
	}
	write(w, f.status, o.form(f))
}

func (o *chat) failing(f *failure) []byte { return event("", o.form(f)) }

func (*chat) list(names []string) any {
	data := []any{}
	for _, name := range names {
		data = append(data, map[string]any{"id": name, "object": "model", "created": 1767225600, "owned_by": "testbed"})
	}
	return map[string]any{"object": "list", "data": data}
}

// openaiStops are OpenAI's words for why an answer ends.
var openaiStops = map[string]string{stopEnd: "stop", stopTools: "tool_calls", stopLength: "length", stopRefusal: "content_filter"}

func (u usage) openai() map[string]any {
	return map[string]any{
		"prompt_tokens": u.input, "completion_tokens": u.output, "total_tokens": u.input + u.output,
		"prompt_tokens_details":     map[string]any{"cached_tokens": u.read, "audio_tokens": 0},
		"completion_tokens_details": map[string]any{"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
	}
}

func (a *answer) callID(n int) string { return fmt.Sprintf("call_%s%02d", a.id, n) }

func (*chat) whole(c *conversation, a *answer, u usage) any {
	message := map[string]any{"role": "assistant", "content": nil, "refusal": nil}
	if a.text != "" {
		message["content"] = a.text
	}
	calls := []any{}
	for i, call := range a.calls {
		calls = append(calls, map[string]any{"id": a.callID(i), "type": "function", "function": map[string]any{"name": call.tool, "arguments": call.arguments}})
	}
	if len(calls) > 0 {
		message["tool_calls"] = calls
	}
	return map[string]any{
		"id": "chatcmpl-" + a.id, "object": "chat.completion", "created": 1767225600, "model": c.model,
		"choices": []any{map[string]any{"index": 0, "message": message, "logprobs": nil, "finish_reason": openaiStops[a.stop]}},
		"usage":   u.openai(), "system_fingerprint": "fp_scripted", "service_tier": "default",
	}
}

func (*chat) frames(c *conversation, a *answer, u usage) []frame {
	chunk := func(choices []any, usage any) []byte {
		v := map[string]any{"id": "chatcmpl-" + a.id, "object": "chat.completion.chunk", "created": 1767225600, "model": c.model, "system_fingerprint": "fp_scripted", "choices": choices}
		if c.countUsage {
			v["usage"] = usage
		}
		return event("", v)
	}
	delta := func(delta map[string]any, stop any) []byte {
		return chunk([]any{map[string]any{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": stop}}, nil)
	}
	out := []frame{fixed(delta(map[string]any{"role": "assistant", "content": "", "refusal": nil}, nil))}
	for _, p := range a.chunk.pieces(a.text) {
		out = append(out, frame{piece: true, text: p, render: func(text string) []byte { return delta(map[string]any{"content": text}, nil) }})
	}
	for i, call := range a.calls {
		function := func(v map[string]any) map[string]any { return map[string]any{"tool_calls": []any{v}} }
		out = append(out, fixed(delta(function(map[string]any{"index": i, "id": a.callID(i), "type": "function", "function": map[string]any{"name": call.tool, "arguments": ""}}), nil)))
		for _, p := range a.chunk.pieces(call.arguments) {
			out = append(out, frame{piece: true, render: func(string) []byte {
				return delta(function(map[string]any{"index": i, "function": map[string]any{"arguments": p}}), nil)
			}})
		}
	}
	out = append(out, fixed(delta(map[string]any{}, openaiStops[a.stop])))
	if c.countUsage {
		out = append(out, fixed(chunk([]any{}, u.openai())))
	}
	return append(out, fixed([]byte("data: [DONE]\n\n")))
}
