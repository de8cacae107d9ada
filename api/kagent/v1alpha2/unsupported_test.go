package v1alpha2_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

func TestWhatIsNotServedIsSaid(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string][]string{
		`{declarative: {}}`:                            nil,
		`{type: BYO, byo: {deployment: {image: web}}}`: {"spec.type=BYO"},
		`{declarative: {runtime: python, executeCodeBlocks: true, memory: {modelConfig: m}, shareTools: true}, byo: {}, skills: {refs: [a]}, sandbox: {}}`: {
			"spec.byo", "spec.skills", "spec.sandbox", "spec.declarative.runtime=python", "spec.declarative.executeCodeBlocks", "spec.declarative.memory", "spec.declarative.shareTools"},
		`{declarative: {executeCodeBlocks: false, shareTools: false, stream: true, context: {compaction: {tokenThreshold: 5, eventRetentionSize: 5, summarizer: {}}}}}`: nil,
		`{declarative: {context: {compaction: {compactionInterval: 3, overlapSize: 0}}}}`: {
			"spec.declarative.context.compaction.compactionInterval=3", "spec.declarative.context.compaction.overlapSize=0"},
		`{declarative: {tools: [{mcpServer: {name: a}}, {mcpServer: {name: b, kind: MCPServer, allowedHeaders: [X]}}, {mcpServer: {name: c, kind: Service}}, {agent: {name: d}, isolateSessions: true}]}}`: {
			"spec.declarative.tools[1].mcpServer.kind=MCPServer", "spec.declarative.tools[1].mcpServer.allowedHeaders", "spec.declarative.tools[2].mcpServer.kind=Service"},
	} {
		t.Run(spec, func(t *testing.T) { says(t, agent(t, spec), want) })
	}
	for spec, want := range map[string][]string{
		`{model: m, apiKeyPassthrough: true}`: {"spec.apiKeyPassthrough"},
		`{model: m, openAI: {apiFormat: responses, "n": 2, tokenExchange: {type: GDCHServiceAccount}}}`:                {"spec.openAI.apiFormat=responses", "spec.openAI.n=2", "spec.openAI.tokenExchange"},
		`{model: m, openAI: {"n": 1, seed: 3}, tls: {disableVerify: true}, defaultHeaders: {A: b}}`:                    nil,
		`{model: m, provider: AzureOpenAI, azureOpenAI: {azureEndpoint: "https://a", apiVersion: v, azureAdToken: t}}`: {"spec.azureOpenAI.azureAdToken"},
		`{model: m, provider: Ollama, ollama: {options: {temperature: "0.1", num_ctx: "8192", mirostat: "1"}}}`:        {"spec.ollama.options[mirostat]", "spec.ollama.options[num_ctx]"},
		`{model: m, provider: gemini, gemini: {maxOutputTokens: 5}}`:                                                   nil,
		`{model: m, provider: bedrock, bedrock: {region: r}}`:                                                          {"spec.bedrock", "spec.provider=Bedrock"},
		`{model: m, provider: geminivertexai, geminiVertexAI: {projectID: p, location: l}}`:                            {"spec.geminiVertexAI", "spec.provider=GeminiVertexAI"},
		`{model: m, provider: anthropicvertexai}`:                                                                      {"spec.provider=AnthropicVertexAI"},
		`{model: m, provider: sapaicore, sapAICore: {baseUrl: "https://a"}}`:                                           {"spec.provider=SAPAICore", "spec.sapAICore"},
		`{model: m, provider: foundry, foundry: {deployment: d, endpoint: "https://a"}}`:                               {"spec.foundry", "spec.provider=Foundry"},
	} {
		t.Run(spec, func(t *testing.T) { says(t, model(t, spec), want) })
	}
	says(t, server(t, `{url: "http://kube"}`), nil)
}

func says(t *testing.T, o object, want []string) {
	t.Helper()
	require.NoError(t, o.Normalise())
	require.Equal(t, want, o.Unsupported())
}

func TestWhoIsServed(t *testing.T) {
	t.Parallel()
	for provider, want := range map[v1alpha2.ModelProvider]bool{
		v1alpha2.ProviderAnthropic: true, v1alpha2.ProviderOpenAI: true, v1alpha2.ProviderAzureOpenAI: true, v1alpha2.ProviderOllama: true, v1alpha2.ProviderGemini: true,
		v1alpha2.ProviderGeminiVertexAI: false, v1alpha2.ProviderAnthropicVertexAI: false, v1alpha2.ProviderBedrock: false, v1alpha2.ProviderSAPAICore: false, v1alpha2.ProviderFoundry: false, "HAL": false,
	} {
		require.Equal(t, want, provider.Served(), provider)
	}
}
