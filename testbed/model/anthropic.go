package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// messages is Anthropic's wire: POST /v1/messages.
type messages struct {
	countOnly bool // POST /v1/messages/count_tokens
}

func (*messages) admit(r *http.Request, key string) *failure {
	given := r.Header.Get("X-Api-Key")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && given == "" {
		given = bearer
	}
	switch {
	case key != "" && given == "":
		return &failure{status: http.StatusUnauthorized, message: "x-api-key header is required"}
	case key != "" && given != key:
		return &failure{status: http.StatusUnauthorized, message: "invalid x-api-key"}
	case r.Header.Get("anthropic-version") == "":
		return invalid("anthropic-version: header is required")
	case r.Header.Get("anthropic-version") != "2023-06-01":
		return invalid("anthropic-version: \"" + r.Header.Get("anthropic-version") + "\" is not a valid version")
	}
	return nil
}

// messagesRequest is what the wire takes; of fields that are only numbers or
// switches, just the presence is known.
type messagesRequest struct {
	Model        string            `json:"model"`
	MaxTokens    *int              `json:"max_tokens"`
	Messages     []message         `json:"messages"`
	System       content           `json:"system"`
	Stream       bool              `json:"stream"`
	Tools        []json.RawMessage `json:"tools"`
	ToolChoice   *toolChoice       `json:"tool_choice"`
	Thinking     *thinking         `json:"thinking"`
	CacheControl *cacheControl     `json:"cache_control"`
	Temperature  *float64          `json:"temperature"`

	TopK              json.RawMessage `json:"top_k"`
	TopP              json.RawMessage `json:"top_p"`
	StopSequences     []string        `json:"stop_sequences"`
	Metadata          json.RawMessage `json:"metadata"`
	ServiceTier       json.RawMessage `json:"service_tier"`
	InferenceGeo      json.RawMessage `json:"inference_geo"`
	Container         json.RawMessage `json:"container"`
	Speed             json.RawMessage `json:"speed"`
	Diagnostics       json.RawMessage `json:"diagnostics"`
	OutputConfig      json.RawMessage `json:"output_config"`
	ContextManagement json.RawMessage `json:"context_management"`
}

type message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
}

type thinking struct {
	Type    string          `json:"type"`
	Budget  *int            `json:"budget_tokens"`
	Display json.RawMessage `json:"display"`
}

type toolChoice struct {
	Type     string `json:"type"`
	Name     string `json:"name"`
	Disabled bool   `json:"disable_parallel_tool_use"`
}

type cacheControl struct {
	Type string `json:"type"`
	TTL  string `json:"ttl"`
}

// content is a text, or a list of blocks. A text is one block.
type content struct {
	given  bool
	text   bool
	blocks []messageBlock
}

// messageBlock is any content block.
type messageBlock struct {
	Type         string          `json:"type"`
	Text         *string         `json:"text"`
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Input        json.RawMessage `json:"input"`
	ToolUseID    string          `json:"tool_use_id"`
	Content      content         `json:"content"`
	IsError      bool            `json:"is_error"`
	Thinking     string          `json:"thinking"`
	Signature    string          `json:"signature"`
	CacheControl *cacheControl   `json:"cache_control"`
	raw          json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *content) UnmarshalJSON(data []byte) error {
	c.given = true
	var text string
	if json.Unmarshal(data, &text) == nil {
		c.text, c.blocks = true, []messageBlock{{Type: "text", Text: &text, raw: data}}
		return nil
	}
	var raws []json.RawMessage
	if err := json.Unmarshal(data, &raws); err != nil {
		return fmt.Errorf("content: want a string or a list of blocks: %w", err)
	}
	for _, raw := range raws {
		var b messageBlock
		if err := json.Unmarshal(raw, &b); err != nil {
			return fmt.Errorf("content: %w", err)
		}
		b.raw = raw
		c.blocks = append(c.blocks, b)
	}
	return nil
}

// plain is the text of all blocks.
func (c content) plain() string {
	var texts []string
	for _, b := range c.blocks {
		if b.Text != nil {
			texts = append(texts, *b.Text)
		}
	}
	return strings.Join(texts, "\n")
}

func (m *messages) read(body []byte) (*conversation, *failure) {
	req := &messagesRequest{}
	if f := decodeKnown(body, req, "Extra inputs are not permitted"); f != nil {
		return nil, f
	}
	check := &messagesCheck{req: req, countOnly: m.countOnly}
	c := &conversation{model: req.Model, stream: req.Stream, system: req.System.plain()}
	if err := check.all(c); err != nil {
		return nil, invalid(err.Error())
	}
	if req.MaxTokens != nil {
		c.maxTokens = *req.MaxTokens
	}
	c.thinking = req.Thinking != nil && req.Thinking.Type != "disabled"
	return c, nil
}

// decodeKnown decodes a request and refuses fields that the API does not have.
func decodeKnown(body []byte, into any, complaint string) *failure {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return invalid("The request body is not valid JSON")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return invalid(strings.TrimPrefix(err.Error(), "json: "))
	}
	known := jsonNames(into)
	for name := range fields {
		if !known[name] {
			return &failure{status: http.StatusBadRequest, param: name, message: name + ": " + complaint}
		}
	}
	return nil
}

func (*messages) count(k *cache, c *conversation) usage { return k.marked(c) }

func (*messages) counted(w http.ResponseWriter, u usage) {
	write(w, http.StatusOK, map[string]any{"input_tokens": u.input})
}

// anthropicKinds are Anthropic's words for statuses.
var anthropicKinds = map[int]string{
	400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
	413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error", 529: "overloaded_error",
}

func anthropicError(f *failure) map[string]any {
	kind := cmp.Or(f.kind, anthropicKinds[f.status], "api_error")
	if f.status < 500 && anthropicKinds[f.status] == "" {
		kind = "invalid_request_error"
	}
	return map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": f.message}, "request_id": "req_scripted"}
}

func (*messages) fail(w http.ResponseWriter, f *failure) {
	w.Header().Set("request-id", "req_scripted")
	if f.retryAfter != "" {
		w.Header().Set("Retry-After", f.retryAfter)
	}
	write(w, f.status, anthropicError(f))
}

func (*messages) failing(f *failure) []byte { return event("error", anthropicError(f)) }

func (*messages) list(names []string) any {
	data := []any{}
	for _, name := range names {
		data = append(data, map[string]any{"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"})
	}
	return map[string]any{"data": data, "has_more": false, "first_id": names[0], "last_id": names[len(names)-1]}
}
