package model_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

func TestEveryProviderIsAskedInItsWay(t *testing.T) {
	t.Parallel()
	const key = `apiKeySecret: llm, apiKeySecretKey: key`
	for name, c := range map[string]struct {
		spec, url string
		headers   map[string]string // "-" for none
		body      string            // what of the body is told apart
	}{
		"Anthropic": {`{provider: Anthropic, model: claude-x, ` + key + `, defaultHeaders: {X-Team: sre}, anthropic: {temperature: "0.2", topP: "0.9", topK: 40, maxTokens: 1000}}`,
			"http://api.anthropic.com/v1/messages",
			map[string]string{"X-Api-Key": rightKey, "Anthropic-Version": "2023-06-01", "X-Team": "sre", "Authorization": "-"},
			`{"model":"claude-x","max_tokens":1000,"temperature":0.2,"top_p":0.9,"top_k":40,"stream":true}`},
		"Anthropic elsewhere": {`{provider: anthropic, model: claude-x, ` + key + `, anthropic: {baseUrl: "http://gateway.test/anthropic/v1/"}}`,
			"http://gateway.test/anthropic/v1/messages", nil, `{"model":"claude-x","max_tokens":8192,"stream":true}`},
		"OpenAI": {`{provider: OpenAI, model: gpt-x, ` + key + `, openAI: {organization: acme, temperature: "0", topP: "0.5", frequencyPenalty: "0.1", presencePenalty: "-0.1", seed: 7, reasoningEffort: high, maxCompletionTokens: 900}}`,
			"http://api.openai.com/v1/chat/completions",
			map[string]string{"Authorization": "Bearer " + rightKey, "Openai-Organization": "acme"},
			`{"model":"gpt-x","temperature":0,"top_p":0.5,"frequency_penalty":0.1,"presence_penalty":-0.1,"seed":7,"reasoning_effort":"high","max_completion_tokens":900,"stream":true,"stream_options":{"include_usage":true}}`},
		"vLLM": {`{provider: OpenAI, model: qwen, openAI: {baseUrl: "http://vllm.models.svc:8000/v1", maxTokens: 50}}`,
			"http://vllm.models.svc:8000/v1/chat/completions", map[string]string{"Authorization": "-"},
			`{"model":"qwen","max_tokens":50,"stream":true,"stream_options":{"include_usage":true}}`},
		"Azure": {`{provider: AzureOpenAI, model: gpt-x, ` + key + `, azureOpenAI: {azureEndpoint: "http://acme.openai.azure.test", apiVersion: "2024-10-21", azureDeployment: my gpt, temperature: "1", topP: "0.3", maxTokens: 40}}`,
			"http://acme.openai.azure.test/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
			map[string]string{"Api-Key": rightKey, "Authorization": "-"},
			`{"model":"my gpt","temperature":1,"top_p":0.3,"max_tokens":40,"stream":true,"stream_options":{"include_usage":true}}`},
		"Azure v1": {`{provider: AzureOpenAI, model: gpt-x, ` + key + `, azureOpenAI: {azureEndpoint: "http://acme.openai.azure.test/openai", apiVersion: v1}}`,
			"http://acme.openai.azure.test/openai/v1/chat/completions", map[string]string{"Api-Key": rightKey},
			`{"model":"gpt-x","stream":true,"stream_options":{"include_usage":true}}`},
		"Ollama": {`{provider: Ollama, model: llama3.2, ollama: {host: "ollama.models.svc:11434", options: {temperature: "0.1", top_p: "0.8", seed: "3", num_predict: "77", num_ctx: "8192"}}}`,
			"http://ollama.models.svc:11434/v1/chat/completions", map[string]string{"Authorization": "-"},
			`{"model":"llama3.2","temperature":0.1,"top_p":0.8,"seed":3,"max_tokens":77,"stream":true,"stream_options":{"include_usage":true}}`},
		"Gemini": {`{provider: Gemini, model: gemini-x, ` + key + `, gemini: {maxOutputTokens: 60}}`,
			"http://generativelanguage.googleapis.com/v1beta/openai/chat/completions", map[string]string{"Authorization": "Bearer " + rightKey},
			`{"model":"gemini-x","max_tokens":60,"stream":true,"stream_options":{"include_usage":true}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, c.spec, "")
			p := serve(t, done["OpenAI"])
			if cfg.Spec.Provider == kagent.ProviderAnthropic {
				p = serve(t, done["Anthropic"])
			}
			m := model.Through(open(t, cfg, model.Options{}), everywhere(p))
			reply, err := m.Generate(t.Context(), ask("Hello?"), nil)
			require.NoError(t, err)
			require.Equal(t, "ok", reply.Text)
			require.EqualValues(t, 10, reply.Usage.Input)
			require.EqualValues(t, 2, reply.Usage.Output)
			got := only(t, p)
			require.Equal(t, c.url, got.URL)
			require.Contains(t, got.Header.Get("User-Agent"), "toolcrib-agentcore/")
			for name, value := range c.headers {
				if value == "-" {
					require.NotContains(t, got.Header, name)
					continue
				}
				require.Equal(t, value, got.Header.Get(name), name)
			}
			require.Len(t, got.Body["tools"], 2)
			for _, shared := range []string{"messages", "tools", "system"} {
				delete(got.Body, shared)
			}
			rest, err := json.Marshal(got.Body)
			require.NoError(t, err)
			require.JSONEq(t, c.body, string(rest))
		})
	}
}

func TestAShorterAnswerCanBeAskedFor(t *testing.T) {
	t.Parallel()
	for name, field := range map[string]string{"Anthropic": "max_tokens", "OpenAI": "max_tokens"} {
		p := serve(t, done[name])
		r := ask("Hello?")
		r.MaxTokens = 33
		_, err := open(t, wire(t, name, p.URL), model.Options{}).Generate(t.Context(), r, nil)
		require.NoError(t, err)
		require.EqualValues(t, 33, only(t, p).Body[field])
	}
}

func TestTheOtherNameOfALimitIsLearnt(t *testing.T) {
	t.Parallel()
	unsupported := refuse(400, `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`)
	p := serve(t, unsupported, chatDone)
	m := open(t, config(t, `{provider: AzureOpenAI, model: o4, apiKeySecret: llm, apiKeySecretKey: key, azureOpenAI: {azureEndpoint: "URL", apiVersion: v1, maxTokens: 40}}`, p.URL), model.Options{})
	for range 2 {
		_, err := m.Generate(t.Context(), ask("Hello?"), nil)
		require.NoError(t, err)
	}
	got := p.requests()
	require.Len(t, got, 3)
	require.EqualValues(t, 40, got[0].Body["max_tokens"])
	for _, later := range got[1:] {
		require.NotContains(t, later.Body, "max_tokens")
		require.EqualValues(t, 40, later.Body["max_completion_tokens"])
	}
}

func TestWhatIsNotServedIsNotOpened(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		`{provider: Bedrock, model: m}`:                                "provider Bedrock is not served: use Anthropic, OpenAI",
		`{provider: OpenAI, model: m, openAI: {apiFormat: responses}}`: "openAI.apiFormat responses is not served: use chatCompletions",
	} {
		_, err := model.Open(config(t, spec, ""), keys(), model.Options{})
		require.ErrorContains(t, err, want)
	}
}
