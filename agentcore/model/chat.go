package model

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"sync/atomic"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"
)

// chat is OpenAI's chat completions API, and what others make of it.
type chat struct {
	service openai.ChatCompletionService
	params  openai.ChatCompletionNewParams // of each request
	at      endpoint
	newer   atomic.Bool // the most tokens of an answer are called max_completion_tokens
}

func newChat(at endpoint, headers map[string]string) *chat {
	options := []option.RequestOption{option.WithBaseURL(at.base), option.WithMaxRetries(0)}
	for name, value := range at.query {
		options = append(options, option.WithQuery(name, value))
	}
	for name, value := range at.headers {
		options = append(options, option.WithHeader(name, value))
	}
	for name, value := range headers {
		options = append(options, option.WithHeader(name, value))
	}
	c := &chat{service: openai.NewChatCompletionService(options...), at: at}
	c.newer.Store(at.newer)
	c.params = openai.ChatCompletionNewParams{
		Model:            at.model,
		Temperature:      chosen(at.temperature),
		TopP:             chosen(at.topP),
		FrequencyPenalty: chosen(at.frequency),
		PresencePenalty:  chosen(at.presence),
		Seed:             chosen(at.seed),
		ReasoningEffort:  shared.ReasoningEffort(at.effort),
		StreamOptions:    openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	}
	return c
}

func chosen[T comparable](value *T) (o param.Opt[T]) {
	if value != nil {
		o = param.NewOpt(*value)
	}
	return o
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
	params := c.params
	limit := chosen(c.at.most)
	most := param.Opt[int64]{}
	if limit.Valid() {
		most = openai.Int(int64(limit.Value))
	}
	if r.MaxTokens > 0 {
		most = openai.Int(int64(r.MaxTokens))
	}
	if newer {
		params.MaxCompletionTokens = most
	} else {
		params.MaxTokens = most
	}
	for _, t := range r.Tools {
		params.Tools = append(params.Tools, offered(t))
	}
	if r.NoCalls && len(r.Tools) > 0 {
		params.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("none")}
	}
	params.Messages = conversation(r)
	options := []option.RequestOption{option.WithHTTPClient(web)}
	switch {
	case key == "":
	case c.at.header != "":
		options = append(options, option.WithHeader(c.at.header, key))
	default:
		options = append(options, option.WithAPIKey(key))
	}
	stream := c.service.NewStreaming(ctx, params, options...)
	defer stream.Close()
	return readChat(stream, r, say)
}

func offered(t Tool) openai.ChatCompletionToolUnionParam {
	f := map[string]any{"name": t.Name, "parameters": schemaOf(t)} // the SDK's own type would sort the schema anew
	if t.Description != "" {
		f["description"] = t.Description
	}
	return openai.ChatCompletionFunctionTool(param.Override[shared.FunctionDefinitionParam](f))
}

func conversation(r Request) []openai.ChatCompletionMessageParamUnion {
	var out []openai.ChatCompletionMessageParamUnion
	if r.System != "" {
		out = append(out, openai.SystemMessage(r.System))
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
			out = append(out, openai.ToolMessage(text, result.Call))
		}
		if m.Text != "" {
			out = append(out, openai.UserMessage(m.Text))
		}
	}
	return out
}

// answered is an answer of the model as it goes back: as it came if it is of
// this API, else made of its parts.
func answered(m Message) openai.ChatCompletionMessageParamUnion {
	var own opaqueChat
	if m.Opaque != "" && json.Unmarshal([]byte(m.Opaque), &own) == nil && len(own.OpenAI) > 0 {
		return param.Override[openai.ChatCompletionMessageParamUnion](own.OpenAI)
	}
	var p openai.ChatCompletionAssistantMessageParam
	if m.Text != "" || len(m.Calls) == 0 {
		p.Content.OfString = openai.String(m.Text)
	}
	for _, c := range m.Calls {
		p.ToolCalls = append(p.ToolCalls, openai.ChatCompletionMessageToolCallUnionParam{OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
			ID: c.ID, Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{Name: c.Name, Arguments: c.Arguments},
		}})
	}
	return openai.ChatCompletionMessageParamUnion{OfAssistant: &p}
}

// opaqueChat is what an answer of this API is kept as.
type opaqueChat struct {
	OpenAI json.RawMessage `json:"openai"` // the message
}
