package sdks

import (
	"errors"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/model"
)

// failing fails in each way once, and then answers.
const failing = `
rules:
- {name: limited, times: 1, fail: {status: 429, retry_after: "0"}}
- {name: within, times: 1, say: This is an answer that nobody will read to its end., fail: {status: 529, after: 1}}
- {name: cut, times: 1, say: This is an answer that nobody will read to its end., fail: {cut: true, after: 1}}
- {name: answer, say: Here you are.}
`

func outcomes(server *model.Server) []string {
	var out []string
	for _, r := range server.Requests() {
		out = append(out, r.Outcome)
	}
	return out
}

// The SDK tries again what failed before the first byte, and tells what fails
// later.
func TestAnthropicFailures(t *testing.T) {
	server := start(t, failing, model.Options{})
	c := anthropic.NewClient(anthropicoption.WithBaseURL(server.URL), anthropicoption.WithAPIKey("any"))
	_, err := streamed(t.Context(), c, question("?"))
	var failure *anthropic.Error
	require.True(t, errors.As(err, &failure), "%v", err)
	require.Equal(t, anthropic.ErrorTypeOverloadedError, failure.Type())
	_, err = streamed(t.Context(), c, question("?"))
	require.ErrorContains(t, err, "unexpected EOF")
	m, err := streamed(t.Context(), c, question("?"))
	require.NoError(t, err)
	require.Equal(t, "Here you are.", m.Content[0].Text)
	require.Equal(t, []string{"limited", "within", "cut", "answer"}, outcomes(server))
}

func TestOpenAIFailures(t *testing.T) {
	server := start(t, failing, model.Options{})
	c := openai.NewClient(option.WithBaseURL(server.URL+"/v1/"), option.WithAPIKey("any"))
	_, err := chatStreamed(t.Context(), c, chatQuestion("?"))
	require.ErrorContains(t, err, "Overloaded")
	_, err = chatStreamed(t.Context(), c, chatQuestion("?"))
	require.ErrorContains(t, err, "unexpected EOF")
	r, err := chatStreamed(t.Context(), c, chatQuestion("?"))
	require.NoError(t, err)
	require.Equal(t, "Here you are.", r.Choices[0].Message.Content)
	require.Equal(t, []string{"limited", "within", "cut", "answer"}, outcomes(server))
}

// Arguments that are no JSON come through as they are, for the agent to refuse.
// Anthropic's SDK makes an empty object of them when it adds the events up: an
// agent that would refuse them must look at the events itself.
func TestMalformedArguments(t *testing.T) {
	server := start(t, `rules: [{call: [{tool: k8s_get_pod_logs, raw: '{"pod_name": "ch'}]}]`, model.Options{})
	c := anthropicClient(server, "any")
	stream := c.Messages.NewStreaming(t.Context(), question("?"))
	var input string
	for stream.Next() {
		input += stream.Current().Delta.PartialJSON
	}
	require.NoError(t, stream.Err())
	require.Equal(t, `{"pod_name": "ch`, input)
	m, err := streamed(t.Context(), c, question("?"))
	require.NoError(t, err)
	require.Equal(t, `{}`, string(m.Content[0].Input))
	r, err := chatStreamed(t.Context(), openaiClients(server, "any")["openai"], chatQuestion("?"))
	require.NoError(t, err)
	require.Equal(t, `{"pod_name": "ch`, r.Choices[0].Message.ToolCalls[0].Function.Arguments)
}

func TestThinkingComesBackAsItWas(t *testing.T) {
	server := start(t, `
rules:
- {when: {calls: 0}, think: The log will tell., say: Let me look., call: [{tool: k8s_get_pod_logs}]}
- {say: Done.}`, model.Options{})
	for name, ask := range waysToAsk {
		t.Run(name, func(t *testing.T) {
			p := question("?")
			p.MaxTokens, p.Thinking = 4096, anthropic.ThinkingConfigParamOfEnabled(1024)
			m, err := ask(t.Context(), anthropicClient(server, "any"), p)
			require.NoError(t, err)
			require.Equal(t, "The log will tell.", m.Content[0].AsThinking().Thinking)
			p.Messages = append(p.Messages, m.ToParam(), anthropic.NewUserMessage(anthropic.NewToolResultBlock(m.Content[2].ID, "nothing", false)))
			m, err = ask(t.Context(), anthropicClient(server, "any"), p)
			require.NoError(t, err)
			require.Equal(t, "Done.", m.Content[0].Text)
		})
	}
}
