package sdks

import (
	"context"
	"errors"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/azure"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/model"
)

// openaiClients speak to one server as different providers are spoken to.
func openaiClients(server *model.Server, key string) map[string]openai.Client {
	bare := option.WithMaxRetries(0)
	return map[string]openai.Client{
		"openai":           openai.NewClient(option.WithBaseURL(server.URL+"/v1/"), option.WithAPIKey(key), bare),
		"gemini":           openai.NewClient(option.WithBaseURL(server.URL+"/v1beta/openai/"), option.WithAPIKey(key), bare),
		"azure deployment": openai.NewClient(azure.WithEndpoint(server.URL, "2026-06-01"), azure.WithAPIKey(key), bare),
		"azure v1":         openai.NewClient(option.WithBaseURL(server.URL+"/openai/v1/"), option.WithHeader("api-key", key), option.WithHeaderDel("Authorization"), bare),
	}
}

func chatQuestion(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model: "gpt-test",
		Messages: []openai.ChatCompletionMessageParamUnion{
			openai.SystemMessage("あなたはKubernetesの障害調査専門エージェントです。"), openai.UserMessage(text),
		},
		Tools: []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
			Name:       "k8s_get_pod_logs",
			Parameters: openai.FunctionParameters{"type": "object", "properties": map[string]any{"pod_name": map[string]any{"type": "string"}}},
		})},
	}
}

func chatStreamed(ctx context.Context, c openai.Client, p openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.Chat.Completions.NewStreaming(ctx, p)
	var acc openai.ChatCompletionAccumulator
	for stream.Next() {
		if !acc.AddChunk(stream.Current()) {
			return nil, errors.New("the chunk does not fit")
		}
	}
	return &acc.ChatCompletion, stream.Err()
}

func chatWhole(ctx context.Context, c openai.Client, p openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
	return c.Chat.Completions.New(ctx, p)
}

var waysToChat = map[string]func(context.Context, openai.Client, openai.ChatCompletionNewParams) (*openai.ChatCompletion, error){
	"streamed": chatStreamed, "whole": chatWhole,
}

func TestOpenAITellsAStory(t *testing.T) {
	server := start(t, story, model.Options{Key: "right"})
	for name, c := range openaiClients(server, "right") {
		for way, ask := range waysToChat {
			t.Run(name+"/"+way, func(t *testing.T) {
				p := chatQuestion("Why does checkout crash?")
				first, err := ask(t.Context(), c, p)
				require.NoError(t, err)
				require.Equal(t, "gpt-test", first.Model)
				require.Equal(t, "tool_calls", first.Choices[0].FinishReason)
				m := first.Choices[0].Message
				require.Equal(t, "Reading the log of the pod you mean …", m.Content)
				require.Len(t, m.ToolCalls, 1)
				require.Equal(t, "k8s_get_pod_logs", m.ToolCalls[0].Function.Name)
				require.JSONEq(t, `{"pod_name":"checkout-1","namespace":"shop","tail_lines":20}`, m.ToolCalls[0].Function.Arguments)
				require.Positive(t, first.Usage.PromptTokens)
				require.Positive(t, first.Usage.CompletionTokens)

				p.Messages = append(p.Messages, m.ToParam(), openai.ToolMessage(`level=error err="lookup orders-db.shop.svc: no such host"`, m.ToolCalls[0].ID))
				second, err := ask(t.Context(), c, p)
				require.NoError(t, err)
				require.Equal(t, "stop", second.Choices[0].FinishReason)
				require.Equal(t, "The host orders-db.shop.svc does not exist. Füge es hinzu: 追加してください。", second.Choices[0].Message.Content)
				require.Greater(t, second.Usage.PromptTokens, first.Usage.PromptTokens)
			})
		}
	}
}

func requireOpenAIError(t *testing.T, err error, status int, code, says string) {
	t.Helper()
	var failure *openai.Error
	require.True(t, errors.As(err, &failure), "%v", err)
	require.Equal(t, status, failure.StatusCode)
	require.Equal(t, code, failure.Code)
	require.Contains(t, failure.Message, says)
}

func TestOpenAIErrors(t *testing.T) {
	server := start(t, story, model.Options{Key: "right", Models: []string{"gpt-test"}})
	wrong, right := openaiClients(server, "wrong"), openaiClients(server, "right")
	for way, ask := range waysToChat {
		t.Run(way, func(t *testing.T) {
			_, err := ask(t.Context(), wrong["openai"], chatQuestion("?"))
			requireOpenAIError(t, err, 401, "invalid_api_key", "Incorrect API key provided")
			_, err = ask(t.Context(), wrong["azure deployment"], chatQuestion("?"))
			requireOpenAIError(t, err, 401, "401", "Access denied due to invalid subscription key")
			_, err = ask(t.Context(), wrong["azure v1"], chatQuestion("?"))
			requireOpenAIError(t, err, 401, "401", "Access denied due to invalid subscription key")
			_, err = ask(t.Context(), wrong["gemini"], chatQuestion("?"))
			var failure *openai.Error
			require.True(t, errors.As(err, &failure))
			require.Equal(t, 401, failure.StatusCode) // Gemini's form is a list, which the SDK cannot read

			p := chatQuestion("?")
			p.Model = "gpt-none"
			_, err = ask(t.Context(), right["openai"], p)
			requireOpenAIError(t, err, 404, "model_not_found", "gpt-none")
			p = chatQuestion("?")
			p.Messages = append(p.Messages, openai.ToolMessage("out of nowhere", "call_1"))
			_, err = ask(t.Context(), right["openai"], p)
			requireOpenAIError(t, err, 400, "", "must be a response to a preceeding message with 'tool_calls'")
		})
	}
}

func TestModels(t *testing.T) {
	server := start(t, story, model.Options{Key: "right", Models: []string{"a", "b"}})
	c := openaiClients(server, "right")["openai"]
	list, err := c.Models.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list.Data, 2)
	require.Equal(t, "b", list.Data[1].ID)
	names, err := anthropicModels(t.Context(), server)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
}
