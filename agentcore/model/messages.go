package model

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/packages/param"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// answerTokens are how long an answer may be where nobody says so: Anthropic's
// API has no default of its own. It is kagent's.
const answerTokens = 8192

// messages is Anthropic's API.
type messages struct {
	service anthropic.MessageService
	params  anthropic.MessageNewParams // of each request
}

func newMessages(s *kagent.ModelConfigSpec, at endpoint, headers map[string]string) *messages {
	options := []option.RequestOption{option.WithBaseURL(at.base), option.WithMaxRetries(0)}
	for name, value := range headers {
		options = append(options, option.WithHeader(name, value))
	}
	m := &messages{service: anthropic.NewMessageService(options...)}
	m.params = anthropic.MessageNewParams{Model: anthropic.Model(s.Model), MaxTokens: answerTokens}
	if at.most != nil {
		m.params.MaxTokens = int64(*at.most)
	}
	m.params.Temperature, m.params.TopP = given(at.temperature), given(at.topP)
	if at.topK != nil {
		m.params.TopK = anthropic.Int(int64(*at.topK))
	}
	return m
}

func given[T comparable](value *T) (o param.Opt[T]) {
	if value != nil {
		o = param.NewOpt(*value)
	}
	return o
}

// ask implements provider.
func (m *messages) ask(ctx context.Context, c *http.Client, key string, r Request, say func(string)) (Reply, error) {
	params := m.params
	params.MaxTokens = cmp.Or(int64(r.MaxTokens), params.MaxTokens)
	tools, none := r.Tools, r.NoCalls
	if len(tools) == 0 { // as when no tool server can be reached any more
		tools, none = called(r.Messages), true
	}
	params.Tools = toolsOf(tools)
	if none && len(tools) > 0 {
		params.ToolChoice = anthropic.ToolChoiceUnionParam{OfNone: &anthropic.ToolChoiceNoneParam{}}
	}
	if r.System != "" {
		params.System = []anthropic.TextBlockParam{{Text: r.System, CacheControl: anthropic.NewCacheControlEphemeralParam()}}
	}
	params.Messages = turnsOf(r.Messages)
	stream := m.service.NewStreaming(ctx, params, option.WithHTTPClient(c), option.WithAPIKey(key))
	defer stream.Close()
	return readMessage(stream, say)
}

// called are the tools that were called, of which the API wants to know even when
// none is on offer.
func called(all []Message) []Tool {
	var out []Tool
	for _, m := range all {
		for _, c := range m.Calls {
			if !slices.ContainsFunc(out, func(t Tool) bool { return t.Name == c.Name }) {
				out = append(out, Tool{Name: c.Name})
			}
		}
	}
	return out
}

// toolsOf marks the last tool, so that all of them are kept in the prompt cache
// whatever follows.
func toolsOf(tools []Tool) []anthropic.ToolUnionParam {
	var out []anthropic.ToolUnionParam
	for _, t := range tools {
		p := &anthropic.ToolParam{Name: t.Name, InputSchema: param.Override[anthropic.ToolInputSchemaParam](schemaOf(t))}
		if t.Description != "" {
			p.Description = anthropic.String(t.Description)
		}
		out = append(out, anthropic.ToolUnionParam{OfTool: p})
	}
	if len(out) > 0 {
		out[len(out)-1].OfTool.CacheControl = anthropic.NewCacheControlEphemeralParam()
	}
	return out
}

// schemaOf is a tool's schema; both APIs want one even of tools without
// arguments.
func schemaOf(t Tool) json.RawMessage {
	if schema := bytes.TrimSpace(t.Schema); len(schema) > 0 && !bytes.Equal(schema, []byte("null")) {
		return schema
	}
	return json.RawMessage(`{"type":"object","properties":{}}`)
}

// turnsOf marks the last two messages of the user: the older mark finds what
// the request before has left in the cache, the newer one leaves more for the
// next.
func turnsOf(all []Message) []anthropic.MessageParam {
	var out []anthropic.MessageParam
	for _, m := range all {
		if m.Role == Assistant {
			out = append(out, saidBefore(m))
			continue
		}
		var blocks []anthropic.ContentBlockParamUnion
		for _, r := range m.Results { // before any text, as the API wants it
			blocks = append(blocks, resultOf(r))
		}
		if m.Text != "" {
			blocks = append(blocks, anthropic.NewTextBlock(m.Text))
		}
		out = append(out, anthropic.NewUserMessage(blocks...))
	}
	marks := 2
	for _, m := range slices.Backward(out) {
		if m.Role != anthropic.MessageParamRoleUser || marks == 0 || len(m.Content) == 0 {
			continue
		}
		if mark := m.Content[len(m.Content)-1].GetCacheControl(); mark != nil {
			*mark = anthropic.NewCacheControlEphemeralParam()
		}
		marks--
	}
	return out
}

func resultOf(r Result) anthropic.ContentBlockParamUnion {
	p := &anthropic.ToolResultBlockParam{ToolUseID: r.Call}
	if r.Error {
		p.IsError = anthropic.Bool(true)
	}
	if r.Text != "" { // the API refuses empty texts
		p.Content = []anthropic.ToolResultBlockParamContentUnion{{OfText: &anthropic.TextBlockParam{Text: r.Text}}}
	}
	return anthropic.ContentBlockParamUnion{OfToolResult: p}
}

// saidBefore is an answer of the model as it goes back: as it came if it is of
// this API, else made of its parts.
func saidBefore(m Message) anthropic.MessageParam {
	var own opaqueMessage
	if m.Opaque != "" && json.Unmarshal([]byte(m.Opaque), &own) == nil && len(own.Anthropic) > 0 {
		return param.Override[anthropic.MessageParam](map[string]any{"role": "assistant", "content": own.Anthropic})
	}
	var blocks []anthropic.ContentBlockParamUnion
	if m.Text != "" {
		blocks = append(blocks, anthropic.NewTextBlock(m.Text))
	}
	for _, c := range m.Calls {
		blocks = append(blocks, anthropic.NewToolUseBlock(c.ID, argumentsOf(c.Arguments), c.Name))
	}
	if len(blocks) == 0 { // as after an answer that was nothing but refused
		blocks = append(blocks, anthropic.NewTextBlock("(no answer)"))
	}
	return anthropic.NewAssistantMessage(blocks...)
}

// opaqueMessage is what an answer of this API is kept as.
type opaqueMessage struct {
	Anthropic []json.RawMessage `json:"anthropic"` // its blocks
}

// argumentsOf is what a model wrote, as the object that the API wants back.
// What is none is wrapped as Anthropic advises for streamed arguments.
func argumentsOf(text string) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) == nil && object != nil {
		return json.RawMessage(text)
	}
	if text == "" {
		return json.RawMessage("{}")
	}
	wrapped, _ := json.Marshal(map[string]string{"INVALID_JSON": text}) // strings can be marshalled
	return wrapped
}
