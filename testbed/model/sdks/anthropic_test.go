package sdks

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/model"
)

// story asks a tool, quotes what it returned, and knows no more.
const story = `
rules:
- name: look
  when: {calls: 0, offered: [k8s_get_pod_logs]}
  say: "Reading the log of the pod you mean …"
  call:
  - tool: k8s_get_pod_logs
    arguments: {pod_name: checkout-1, namespace: shop, tail_lines: 20}
- name: tell
  when:
    results:
    - tool: k8s_get_pod_logs
      matches: 'lookup (?P<host>\S+): no such host'
  say: "The host ${host} does not exist. Füge es hinzu: 追加してください。"
- name: hello
  when: {not_offered: [k8s_get_pod_logs]}
  say: Hello.
`

func start(t *testing.T, scenario string, o model.Options) *model.Server {
	t.Helper()
	s, err := model.Parse(t.Name(), []byte(scenario))
	require.NoError(t, err)
	o.Scenario = s
	server, err := model.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

func anthropicClient(server *model.Server, key string) anthropic.Client {
	return anthropic.NewClient(option.WithBaseURL(server.URL), option.WithAPIKey(key), option.WithMaxRetries(0))
}

func logTool() []anthropic.ToolUnionParam {
	tool := anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: map[string]any{"pod_name": map[string]any{"type": "string"}}}, "k8s_get_pod_logs")
	return []anthropic.ToolUnionParam{tool}
}

func question(text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: "claude-test", MaxTokens: 1024, Tools: logTool(),
		System:   []anthropic.TextBlockParam{{Text: "あなたはKubernetesの障害調査専門エージェントです。"}},
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))},
	}
}

// streamed is the message a stream adds up to.
func streamed(ctx context.Context, c anthropic.Client, p anthropic.MessageNewParams) (*anthropic.Message, error) {
	stream := c.Messages.NewStreaming(ctx, p)
	var m anthropic.Message
	for stream.Next() {
		if err := m.Accumulate(stream.Current()); err != nil {
			return nil, err
		}
	}
	return &m, stream.Err()
}

func whole(ctx context.Context, c anthropic.Client, p anthropic.MessageNewParams) (*anthropic.Message, error) {
	return c.Messages.New(ctx, p)
}

type asking func(context.Context, anthropic.Client, anthropic.MessageNewParams) (*anthropic.Message, error)

var waysToAsk = map[string]asking{"streamed": streamed, "whole": whole}

func TestAnthropicTellsAStory(t *testing.T) {
	for name, ask := range waysToAsk {
		t.Run(name, func(t *testing.T) {
			server := start(t, story, model.Options{Key: "right"})
			c := anthropicClient(server, "right")
			p := question("Why does checkout crash?")
			first, err := ask(t.Context(), c, p)
			require.NoError(t, err)
			require.Equal(t, anthropic.StopReasonToolUse, first.StopReason)
			require.Len(t, first.Content, 2)
			require.Equal(t, "Reading the log of the pod you mean …", first.Content[0].Text)
			call := first.Content[1].AsToolUse()
			require.Equal(t, "k8s_get_pod_logs", call.Name)
			require.JSONEq(t, `{"pod_name":"checkout-1","namespace":"shop","tail_lines":20}`, string(call.Input))
			require.Positive(t, first.Usage.InputTokens)
			require.Positive(t, first.Usage.OutputTokens)

			p.Messages = append(p.Messages, first.ToParam(), anthropic.NewUserMessage(
				anthropic.NewToolResultBlock(call.ID, "level=error err=\"lookup orders-db.shop.svc: no such host\"", false)))
			second, err := ask(t.Context(), c, p)
			require.NoError(t, err)
			require.Equal(t, anthropic.StopReasonEndTurn, second.StopReason)
			require.Equal(t, "The host orders-db.shop.svc does not exist. Füge es hinzu: 追加してください。", second.Content[0].Text)
			require.Greater(t, second.Usage.InputTokens, first.Usage.InputTokens)

			requests := server.Requests()
			require.Len(t, requests, 2)
			require.Equal(t, []string{"look", "tell"}, []string{requests[0].Outcome, requests[1].Outcome})
			require.Equal(t, "given", requests[0].Header.Get("X-Api-Key"))
			var body struct{ Model string }
			require.NoError(t, json.Unmarshal(requests[1].Body, &body))
			require.Equal(t, "claude-test", body.Model)
		})
	}
}

func requireAnthropicError(t *testing.T, err error, status int, kind anthropic.ErrorType, says string) {
	t.Helper()
	var failure *anthropic.Error
	require.True(t, errors.As(err, &failure), "%v", err)
	require.Equal(t, status, failure.StatusCode)
	require.Equal(t, kind, failure.Type())
	require.Contains(t, failure.Error(), says)
}

func TestAnthropicErrors(t *testing.T) {
	server := start(t, story, model.Options{Key: "right", Models: []string{"claude-test"}})
	for name, ask := range waysToAsk {
		t.Run(name, func(t *testing.T) {
			_, err := ask(t.Context(), anthropicClient(server, "wrong"), question("?"))
			requireAnthropicError(t, err, 401, anthropic.ErrorTypeAuthenticationError, "invalid x-api-key")
			p := question("?")
			p.Model = "claude-none"
			_, err = ask(t.Context(), anthropicClient(server, "right"), p)
			requireAnthropicError(t, err, 404, anthropic.ErrorTypeNotFoundError, "claude-none")
			p = question("?")
			p.Messages = append(p.Messages, anthropic.NewUserMessage(anthropic.NewTextBlock("and?")))
			_, err = ask(t.Context(), anthropicClient(server, "right"), p)
			requireAnthropicError(t, err, 400, anthropic.ErrorTypeInvalidRequestError, "roles must alternate")
		})
	}
}

func anthropicModels(ctx context.Context, server *model.Server) ([]string, error) {
	c := anthropicClient(server, "right")
	page, err := c.Models.List(ctx, anthropic.ModelListParams{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range page.Data {
		names = append(names, m.ID)
	}
	return names, nil
}
