package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"sigs.k8s.io/yaml"
)

// rule is a spec that the API server refuses, what it says, and a neighbour
// that it admits.
type rule struct{ bad, want, good string }

// hold tries all rules of a kind. kubectl goes through them to the end and
// names each object that is refused, so that two calls do for all.
func hold(t *testing.T, apiVersion, kind string, rules []rule) {
	try := func(spec func(rule) string) (string, error) {
		var all []byte
		for i, r := range rules {
			var fields map[string]any
			require.NoError(t, yaml.UnmarshalStrict([]byte(spec(r)), &fields))
			object, err := json.Marshal(map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": fmt.Sprintf("rule-%d", i)}, "spec": fields})
			require.NoError(t, err)
			all = append(append(all, object...), '\n')
		}
		return admin.try(t.Context(), all, "create", "--validate=strict", "--dry-run=server", "-f", "-")
	}
	_, err := try(func(r rule) string { return r.bad })
	require.Error(t, err)
	said := strings.Split(err.Error(), "error when creating")[1:]
	require.Len(t, said, len(rules), "each is refused")
	for i, r := range rules {
		require.Contains(t, said[i], r.want, r.bad)
	}
	admitted, err := try(func(r rule) string { return r.good })
	require.NoError(t, err)
	require.Equal(t, len(rules), strings.Count(admitted, "created (server dry run)"))
}

// tool is an agent with one tool, given as YAML.
func tool(tool string) string { return `{declarative: {tools: [` + tool + `]}}` }

func TestTheRulesOfAgents(t *testing.T) {
	t.Parallel()
	hold(t, kagent.GroupVersion.String(), "Agent", []rule{
		{`{type: Other, declarative: {}}`, `supported values: "Declarative", "BYO"`, `{declarative: {}}`},
		{`{type: BYO, declarative: {}}`, "declarative must be specified if type is Declarative, or byo must be specified if type is BYO", `{type: BYO, byo: {}}`},
		{`{declarative: {systemMessage: a, systemMessageFrom: {type: Secret, name: a, key: b}}}`, "systemMessage and systemMessageFrom are mutually exclusive", `{declarative: {systemMessageFrom: {type: Secret, name: a, key: b}}}`},
		{`{declarative: {systemMessageFrom: {type: File, name: a, key: b}}}`, `supported values: "ConfigMap", "Secret"`, `{declarative: {systemMessageFrom: {type: ConfigMap, name: a, key: b}}}`},
		{`{declarative: {runtime: java}}`, `supported values: "python", "go"`, `{declarative: {runtime: python}}`},
		{`{declarative: {deployment: {serviceAccountName: a, serviceAccountConfig: {}}}}`, "serviceAccountName and serviceAccountConfig are mutually exclusive", `{declarative: {deployment: {serviceAccountConfig: {}}}}`},
		{`{declarative: {}, allowedNamespaces: {from: Selector}}`, "selector must be specified when from is Selector", `{declarative: {}, allowedNamespaces: {from: Selector, selector: {}}}`},
		{`{declarative: {}, iconUrl: "not one"}`, `spec.iconUrl: Invalid value: "not one"`, `{declarative: {}, iconUrl: "https://example.com"}`},
		{`{declarative: {a2aConfig: {skills: []}}}`, "spec.declarative.a2aConfig.skills in body should have at least 1 items", `{declarative: {a2aConfig: {skills: [{name: a}]}}}`},
		{`{declarative: {context: {compaction: {compactionInterval: 0}}}}`, "compactionInterval in body should be greater than or equal to 1", `{declarative: {context: {compaction: {overlapSize: 0}}}}`},
		{`{declarative: {memory: {modelConfig: a, ttlDays: 0}}}`, "ttlDays in body should be greater than or equal to 1", `{declarative: {memory: {modelConfig: a}}}`},
		{`{declarative: {}, skills: {s3Refs: [{uri: "http://a"}]}}`, `spec.skills.s3Refs[0].uri: Invalid value: "http://a"`, `{declarative: {}, skills: {s3Refs: [{uri: "s3://a"}]}}`},
		{tool(`{type: Agent, agent: {name: a}, mcpServer: {name: a}}`), "type.mcpServer must be nil if the type is not McpServer", tool(`{type: McpServer, mcpServer: {name: a}}`)},
		{tool(`{type: McpServer}`), "type.mcpServer must be specified for McpServer filter.type", tool(`{mcpServer: {name: a}}`)},
		{tool(`{type: McpServer, agent: {name: a}, mcpServer: {name: a}}`), "type.agent must be nil if the type is not Agent", tool(`{type: Agent, agent: {name: a}}`)},
		{tool(`{type: Agent}`), "type.agent must be specified for Agent filter.type", tool(`{agent: {name: a}}`)},
		{tool(`{}`), "name what the tool is: mcpServer or agent", tool(`{agent: {name: a}}`)},
		{tool(`{type: McpServer, isolateSessions: true, mcpServer: {name: a}}`), "isolateSessions can only be set when type is Agent", tool(`{type: Agent, isolateSessions: true, agent: {name: a}}`)},
		{tool(`{mcpServer: {name: a, toolNames: [b], requireApproval: [c]}}`), "each RequireApproval entry must also appear in ToolNames", tool(`{mcpServer: {name: a, requireApproval: [c]}}`)},
		{tool(`{mcpServer: {name: a}, headersFrom: [{name: A}]}`), "Exactly one of value or valueFrom must be specified", tool(`{mcpServer: {name: a}, headersFrom: [{name: A, value: b}]}`)},
		{tool(`{mcpServer: {kind: RemoteMCPServer}}`), "spec.declarative.tools[0].mcpServer.name: Required value", tool(`{mcpServer: {name: a, kind: RemoteMCPServer}}`)},
		{`{declarative: {systemMesage: a}}`, `unknown field "spec.declarative.systemMesage"`, `{declarative: {deployment: {affinity: {anything: goes}}}}`},
	})
}

func TestTheRulesOfModels(t *testing.T) {
	t.Parallel()
	hold(t, kagent.GroupVersion.String(), "ModelConfig", []rule{
		{`{}`, "spec.model: Required value", `{model: m}`},
		{`{model: m, provider: HAL}`, "provider must be one of Anthropic, OpenAI, AzureOpenAI, Ollama, Gemini, GeminiVertexAI, AnthropicVertexAI, Bedrock, SAPAICore, Foundry, in any case", `{model: m, provider: anthropic}`},
		{`{model: m, provider: anthropic, openAI: {}}`, "provider.openAI must be nil if the provider is not OpenAI", `{model: m, provider: openai, openAI: {}}`},
		{`{model: m, anthropic: {}}`, "provider.anthropic must be nil if the provider is not Anthropic", `{model: m, provider: ANTHROPIC, anthropic: {}}`},
		{`{model: m, azureOpenAI: {azureEndpoint: a, apiVersion: v}}`, "provider.azureOpenAI must be nil if the provider is not AzureOpenAI", `{model: m, provider: azureOpenAI, azureOpenAI: {azureEndpoint: a, apiVersion: v}}`},
		{`{model: m, ollama: {}}`, "provider.ollama must be nil if the provider is not Ollama", `{model: m, provider: ollama, ollama: {}}`},
		{`{model: m, gemini: {}}`, "provider.gemini must be nil if the provider is not Gemini", `{model: m, provider: gemini, gemini: {}}`},
		{`{model: m, geminiVertexAI: {projectID: p, location: l}}`, "provider.geminiVertexAI must be nil if the provider is not GeminiVertexAI", `{model: m, provider: geminiVertexAI, geminiVertexAI: {projectID: p, location: l}}`},
		{`{model: m, anthropicVertexAI: {projectID: p, location: l}}`, "provider.anthropicVertexAI must be nil if the provider is not AnthropicVertexAI", `{model: m, provider: anthropicVertexAI, anthropicVertexAI: {projectID: p, location: l}}`},
		{`{model: m, bedrock: {region: r}}`, "provider.bedrock must be nil if the provider is not Bedrock", `{model: m, provider: bedrock, bedrock: {region: r}}`},
		{`{model: m, sapAICore: {baseUrl: b}}`, "provider.sapAICore must be nil if the provider is not SAPAICore", `{model: m, provider: sapAICore, sapAICore: {baseUrl: b}}`},
		{`{model: m, foundry: {deployment: d, endpoint: e}}`, "provider.foundry must be nil if the provider is not Foundry", `{model: m, provider: foundry, foundry: {deployment: d, endpoint: e}}`},
		{`{model: m, provider: foundry, foundry: {deployment: d}}`, "foundry.endpoint or foundry.endpointFrom is required", `{model: m, provider: foundry, foundry: {deployment: d, endpointFrom: {name: a, key: b}}}`},
		{`{model: m, provider: foundry, foundry: {deployment: d, endpoint: e, endpointFrom: {name: a, key: b}}}`, "foundry.endpoint and foundry.endpointFrom are mutually exclusive", `{model: m, provider: foundry, foundry: {deployment: d, endpoint: e}}`},
		{`{model: m, apiKeySecretKey: k}`, "apiKeySecret must be set if apiKeySecretKey is set", `{model: m, apiKeySecret: s, apiKeySecretKey: k}`},
		{`{model: m, apiKeySecret: s}`, "apiKeySecretKey must be set if apiKeySecret is set (except for Bedrock and SAPAICore providers)", `{model: m, provider: bedrock, apiKeySecret: s}`},
		{`{model: m, apiKeySecret: s, apiKeySecretKey: k, apiKeySecretRef: {name: s, key: k}}`, "apiKeySecretRef and apiKeySecret are two forms of the same: give one of them", `{model: m, apiKeySecretRef: {name: s, key: k}}`},
		{`{model: m, apiKeySecretRef: {name: s}}`, "spec.apiKeySecretRef.key: Required value", `{model: m, apiKeySecretRef: {name: s, key: k}}`},
		{`{model: m, apiKeyPassthrough: true, apiKeySecretRef: {name: s, key: k}}`, "apiKeyPassthrough and apiKeySecret are mutually exclusive", `{model: m, apiKeyPassthrough: true}`},
		{`{model: m, provider: gemini, apiKeyPassthrough: true}`, "apiKeyPassthrough must be false if provider is Gemini;GeminiVertexAI;AnthropicVertexAI", `{model: m, provider: anthropic, apiKeyPassthrough: true}`},
		{`{model: m, openAI: {tokenExchange: {type: GDCHServiceAccount, gdchServiceAccount: {audience: a}}}}`, "openAI.tokenExchange requires apiKeySecret (the service account secret)", `{model: m, apiKeySecret: s, apiKeySecretKey: k, openAI: {tokenExchange: {type: GDCHServiceAccount, gdchServiceAccount: {audience: a}}}}`},
		{`{model: m, apiKeyPassthrough: true, openAI: {tokenExchange: {type: GDCHServiceAccount, gdchServiceAccount: {audience: a}}}}`, "openAI.tokenExchange and apiKeyPassthrough are mutually exclusive", `{model: m, apiKeyPassthrough: true, openAI: {}}`},
		{`{model: m, apiKeySecret: s, apiKeySecretKey: k, openAI: {tokenExchange: {type: GDCHServiceAccount}}}`, "openAI.tokenExchange type GDCHServiceAccount requires openAI.tokenExchange.gdchServiceAccount", `{model: m, openAI: {}}`},
		{`{model: m, openAI: {maxTokens: 1, maxCompletionTokens: 1}}`, "maxTokens and maxCompletionTokens are mutually exclusive", `{model: m, openAI: {maxCompletionTokens: 1}}`},
		{`{model: m, openAI: {reasoningEffort: most}}`, `supported values: "none", "minimal", "low", "medium", "high", "xhigh"`, `{model: m, openAI: {reasoningEffort: none}}`},
		{`{model: m, tls: {caCertSecretKey: k}}`, "caCertSecretKey requires caCertSecretRef", `{model: m, tls: {}}`},
		{`{model: m, tls: {caCertSecretRef: s}}`, "caCertSecretRef requires caCertSecretKey", `{model: m, tls: {caCertSecretRef: s, caCertSecretKey: k}}`},
		{`{model: m, tls: {disableSystemCAs: true}}`, "disableSystemCAs requires caCertSecretRef or disableVerify (trust-nothing config rejects every upstream)", `{model: m, tls: {disableSystemCAs: true, disableVerify: true}}`},
		{`{model: m, provider: bedrock, bedrock: {region: r, cacheTTL: 2h}}`, `supported values: "5m", "1h"`, `{model: m, provider: bedrock, bedrock: {region: r, cacheTTL: 1h}}`},
	})
}

func TestTheRulesOfToolServers(t *testing.T) {
	t.Parallel()
	hold(t, kagent.GroupVersion.String(), "RemoteMCPServer", []rule{
		{`{url: "http://a"}`, "spec.description: Required value", `{description: d, url: "http://a"}`},
		{`{description: d, url: ""}`, "spec.url in body should be at least 1 chars long", `{description: d, url: a}`},
		{`{description: d, url: "http://a", protocol: GRPC}`, `supported values: "SSE", "STREAMABLE_HTTP"`, `{description: d, url: "http://a", protocol: SSE}`},
		{`{description: d, url: "http://a", timeout: soon}`, `spec.timeout: Invalid value: "soon": write a length of time such as 30s or 1m30s`, `{description: d, url: "http://a", timeout: 1m30.5s}`},
		{`{description: d, url: "http://a", sseReadTimeout: "30"}`, `spec.sseReadTimeout: Invalid value: "30": write a length of time such as 30s or 1m30s`, `{description: d, url: "http://a", sseReadTimeout: 5m0s}`},
		{`{description: d, url: "http://a", tls: {}}`, "spec.tls must be unset when spec.url has http:// scheme", `{description: d, url: "a:8443", tls: {}}`},
		{`{description: d, url: "https://a", tls: {caCertSecretRef: s, caCertSecretKey: k}, allowedNamespaces: {from: All}}`, "spec.allowedNamespaces must not permit cross-namespace access (from: All or from: Selector) when spec.tls.caCertSecretRef is set", `{description: d, url: "https://a", tls: {caCertSecretRef: s, caCertSecretKey: k}, allowedNamespaces: {}}`},
		{`{description: d, url: "https://a", allowedNamespaces: {from: Selector}}`, "selector must be specified when from is Selector", `{description: d, url: "https://a", allowedNamespaces: {from: All}}`},
		{`{description: d, url: "http://a", headersFrom: [{name: A, value: b, valueFrom: {type: Secret, name: s, key: k}}]}`, "Exactly one of value or valueFrom must be specified", `{description: d, url: "http://a", headersFrom: [{name: A, valueFrom: {type: Secret, name: s, key: k}}]}`},
	})
}
