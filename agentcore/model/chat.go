package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
)

// chat is OpenAI's chat completions API, and what others make of it. Why it is
// spoken without OpenAI's SDK: docs/decisions/026.
type chat struct {
	at      endpoint
	url     string
	headers map[string]string
	newer   atomic.Bool // the most tokens of an answer are called max_completion_tokens
}

// chatRequest is a request of the API.
type chatRequest struct {
	Model               string        `json:"model"`
	Messages            []any         `json:"messages"` // chatMessage, or one as it came
	Tools               []chatTool    `json:"tools,omitempty"`
	ToolChoice          string        `json:"tool_choice,omitempty"`
	MaxTokens           int64         `json:"max_tokens,omitempty"`
	MaxCompletionTokens int64         `json:"max_completion_tokens,omitempty"`
	Temperature         *float64      `json:"temperature,omitempty"`
	TopP                *float64      `json:"top_p,omitempty"`
	FrequencyPenalty    *float64      `json:"frequency_penalty,omitempty"`
	PresencePenalty     *float64      `json:"presence_penalty,omitempty"`
	Seed                *int64        `json:"seed,omitempty"`
	ReasoningEffort     string        `json:"reasoning_effort,omitempty"`
	Stream              bool          `json:"stream"`
	StreamOptions       streamOptions `json:"stream_options"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type chatMessage struct {
	Role       string         `json:"role"`
	Content    *string        `json:"content,omitempty"`
	ToolCalls  []chatToolCall `json:"tool_calls,omitempty"`
	ToolCallID string         `json:"tool_call_id,omitempty"`
}

type chatToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type chatTool struct {
	Type     string          `json:"type"`
	Function chatDeclaration `json:"function"`
}

type chatDeclaration struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

func newChat(at endpoint, headers map[string]string) (*chat, error) {
	u, err := url.Parse(at.base)
	if err != nil {
		return nil, errors.New("its URL cannot be read") // which may hold what nobody should read
	}
	u = u.JoinPath("chat/completions")
	query := u.Query()
	for name, value := range at.query {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	c := &chat{at: at, url: u.String(), headers: headers}
	c.newer.Store(at.newer)
	return c, nil
}

// limitName is what an API says that knows the limit by its other name alone.
var limitName = regexp.MustCompile(`max_(completion_)?tokens`)

// ask implements provider.
func (c *chat) ask(ctx context.Context, web *http.Client, key string, r Request, say func(string)) (Reply, error) {
	newer := c.newer.Load()
	reply, err := c.once(ctx, web, key, r, newer, say)
	f := failureOf(ctx, err)
	if f == nil || f.Kind != Invalid || len(limitName.FindAllString(f.Text, 2)) < 2 {
		return reply, err
	}
	// "Unsupported parameter: 'max_tokens' … Use 'max_completion_tokens' instead."
	c.newer.Store(!newer)
	return c.once(ctx, web, key, r, !newer, say)
}

func (c *chat) once(ctx context.Context, web *http.Client, key string, r Request, newer bool, say func(string)) (Reply, error) {
	body, err := json.Marshal(c.request(r, newer))
	if err != nil {
		return Reply{}, &Error{Kind: Invalid, Text: "the request cannot be written: " + err.Error()}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return Reply{}, fmt.Errorf("make a request: %w", withoutURL(err))
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	switch {
	case key == "":
	case c.at.header != "":
		request.Header.Set(c.at.header, key)
	default:
		request.Header.Set("Authorization", "Bearer "+key)
	}
	for _, more := range []map[string]string{c.at.headers, c.headers} {
		for name, value := range more {
			request.Header.Set(name, value)
		}
	}
	response, err := web.Do(request)
	if err != nil {
		return Reply{}, err
	}
	defer response.Body.Close()
	return readChat(response, r, say)
}

func (c *chat) request(r Request, newer bool) chatRequest {
	q := chatRequest{
		Model: c.at.model, Messages: conversation(r),
		Temperature: c.at.temperature, TopP: c.at.topP, FrequencyPenalty: c.at.frequency, PresencePenalty: c.at.presence,
		Seed: c.at.seed, ReasoningEffort: c.at.effort, Stream: true, StreamOptions: streamOptions{IncludeUsage: true},
	}
	for _, t := range r.Tools {
		q.Tools = append(q.Tools, chatTool{"function", chatDeclaration{t.Name, t.Description, schemaOf(t)}})
	}
	if r.NoCalls && len(r.Tools) > 0 {
		q.ToolChoice = "none"
	}
	most := int64(r.MaxTokens)
	if most == 0 && c.at.most != nil {
		most = int64(*c.at.most)
	}
	if newer {
		q.MaxCompletionTokens = most
	} else {
		q.MaxTokens = most
	}
	return q
}

func conversation(r Request) []any {
	var out []any
	if r.System != "" {
		out = append(out, chatMessage{Role: "system", Content: &r.System})
	}
	for _, m := range r.Messages {
		if m.Role == Assistant {
			out = append(out, answered(m))
			continue
		}
		for _, result := range m.Results {
			text := result.Text
			if result.Error { // this API has no other way to say so
				text = "Error: " + text
			}
			out = append(out, chatMessage{Role: "tool", Content: &text, ToolCallID: result.Call})
		}
		if m.Text != "" {
			out = append(out, chatMessage{Role: "user", Content: &m.Text})
		}
	}
	return out
}

// answered is an answer of the model as it goes back: as it came if it is of
// this API, else made of its parts.
func answered(m Message) any {
	var own opaqueChat
	if m.Opaque != "" && json.Unmarshal([]byte(m.Opaque), &own) == nil && len(own.OpenAI) > 0 {
		return own.OpenAI
	}
	said := chatMessage{Role: "assistant"}
	if m.Text != "" || len(m.Calls) == 0 {
		said.Content = &m.Text
	}
	for _, c := range m.Calls {
		said.ToolCalls = append(said.ToolCalls, chatToolCall{c.ID, "function", chatFunction{c.Name, c.Arguments}})
	}
	return said
}

// opaqueChat is what an answer of this API is kept as.
type opaqueChat struct {
	OpenAI json.RawMessage `json:"openai"` // the message
}
