package v1alpha2_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// object is what the three kinds have in common.
type object interface {
	Normalise() error
	Unsupported() []string
}

func agent(t *testing.T, spec string) *v1alpha2.Agent {
	a := &v1alpha2.Agent{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}}
	require.NoError(t, yaml.UnmarshalStrict([]byte(spec), &a.Spec))
	return a
}

func model(t *testing.T, spec string) *v1alpha2.ModelConfig {
	m := &v1alpha2.ModelConfig{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}}
	require.NoError(t, yaml.UnmarshalStrict([]byte(spec), &m.Spec))
	return m
}

func server(t *testing.T, spec string) *v1alpha2.RemoteMCPServer {
	r := &v1alpha2.RemoteMCPServer{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}}
	require.NoError(t, yaml.UnmarshalStrict([]byte(spec), &r.Spec))
	return r
}

// becomes holds that got is normalised to want, and stays it.
func becomes[T object](t *testing.T, read func(*testing.T, string) T, spec, want string) {
	t.Helper()
	got := read(t, spec)
	require.NoError(t, got.Normalise())
	require.Equal(t, read(t, want), got)
	require.NoError(t, got.Normalise())
	require.Equal(t, read(t, want), got, "what is normalised stays as it is")
}

// tools is an agent with one tool, in full.
func tools(tool string) string {
	return `{type: Declarative, declarative: {modelConfig: fast, runtime: go, stream: true, tools: [` + tool + `]}}`
}

func TestAgentsAreNormalised(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ spec, want string }{
		"nothing said":          {`{declarative: {}}`, `{type: Declarative, declarative: {modelConfig: default-model-config, runtime: go, stream: true}}`},
		"nothing taken away":    {`{declarative: {modelConfig: fast, runtime: python, stream: false, systemMessage: Be brief.}}`, `{type: Declarative, declarative: {modelConfig: fast, runtime: python, stream: false, systemMessage: Be brief.}}`},
		"a model in one word":   {`{declarative: {modelConfig: shop/fast}}`, `{type: Declarative, declarative: {modelConfig: fast, runtime: go, stream: true}}`},
		"a server in one word":  {tools(`{mcpServer: {name: tools/kube}}`), tools(`{type: McpServer, mcpServer: {kind: RemoteMCPServer, apiGroup: kagent.dev, name: kube, namespace: tools}}`)},
		"a server next door":    {tools(`{type: McpServer, mcpServer: {name: kube, kind: remotemcpserver, apiGroup: kagent.dev/v1alpha2}}`), tools(`{type: McpServer, mcpServer: {kind: RemoteMCPServer, apiGroup: kagent.dev, name: kube, namespace: shop}}`)},
		"a server of kagent's":  {tools(`{type: McpServer, mcpServer: {name: kube, kind: MCPServer}}`), tools(`{type: McpServer, mcpServer: {kind: MCPServer, apiGroup: kagent.dev, name: kube, namespace: shop}}`)},
		"a Service":             {tools(`{type: McpServer, mcpServer: {name: kube, kind: Service}}`), tools(`{type: McpServer, mcpServer: {kind: Service, name: kube, namespace: shop}}`)},
		"another agent":         {tools(`{agent: {name: dba}}`), tools(`{type: Agent, agent: {kind: Agent, apiGroup: kagent.dev, name: dba, namespace: shop}}`)},
		"texts":                 {`{declarative: {modelConfig: fast, promptTemplate: {dataSources: [{name: texts}]}}}`, `{type: Declarative, declarative: {modelConfig: fast, runtime: go, stream: true, promptTemplate: {dataSources: [{kind: ConfigMap, name: texts, alias: texts}]}}}`},
		"a skill without an id": {`{declarative: {modelConfig: fast, a2aConfig: {skills: [{name: Find  the Cause}]}}}`, `{type: Declarative, declarative: {modelConfig: fast, runtime: go, stream: true, a2aConfig: {skills: [{id: find-the-cause, name: Find  the Cause}]}}}`},
		"compaction":            {`{declarative: {modelConfig: fast, context: {compaction: {summarizer: {modelConfig: shop/cheap}}}}}`, `{type: Declarative, declarative: {modelConfig: fast, runtime: go, stream: true, context: {compaction: {compactionInterval: 5, overlapSize: 2, summarizer: {modelConfig: cheap}}}}}`},
		"allowed namespaces":    {`{declarative: {modelConfig: fast}, allowedNamespaces: {}}`, `{type: Declarative, declarative: {modelConfig: fast, runtime: go, stream: true}, allowedNamespaces: {from: Same}}`},
		"one's own image":       {`{type: BYO, byo: {deployment: {image: web}}}`, `{type: BYO, byo: {deployment: {image: web}}}`},
	} {
		t.Run(name, func(t *testing.T) { becomes(t, agent, c.spec, c.want) })
	}
}

func TestAgentsAreRefused(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		`{}`:           "spec.declarative: give the agent itself: a modelConfig, a systemMessage and tools",
		`{type: BYO}`:  "spec.byo: give the agent itself, or set spec.type to Declarative",
		`{type: Else}`: `spec.type: "Else" is no type of agent; write Declarative`,
		`{declarative: {modelConfig: other/fast}}`:                                                    `spec.declarative.modelConfig: "other/fast" is in another namespace; it has to be in the agent's, "shop"`,
		`{declarative: {modelConfig: Fast}}`:                                                          `spec.declarative.modelConfig: "Fast" is no name of an object: a lowercase RFC 1123 subdomain`,
		`{declarative: {runtime: java}}`:                                                              `spec.declarative.runtime: "java" is no runtime; leave it out`,
		`{declarative: {systemMessage: a, systemMessageFrom: {type: ConfigMap, name: a, key: b}}}`:    "spec.declarative.systemMessageFrom: systemMessage is given too; keep one of them",
		`{declarative: {systemMessageFrom: {type: File, name: a}}}`:                                   "spec.declarative.systemMessageFrom.type: \"File\" holds no values; write ConfigMap or Secret\nspec.declarative.systemMessageFrom.key: missing; name the key whose value is meant",
		`{declarative: {promptTemplate: {dataSources: [{kind: Secret, name: a}]}}}`:                   "spec.declarative.promptTemplate.dataSources[0].kind: texts come from ConfigMaps alone; put the text into one",
		`{declarative: {context: {compaction: {compactionInterval: 0}}}}`:                             "spec.declarative.context.compaction.compactionInterval: 0 is too little; give at least 1, or leave it out",
		`{declarative: {deployment: {serviceAccountName: a, serviceAccountConfig: {}}}}`:              "spec.declarative.deployment.serviceAccountConfig: serviceAccountName is given too",
		`{declarative: {deployment: {replicas: -1}}}`:                                                 "spec.declarative.deployment.replicas: -1 is too little",
		`{declarative: {}, allowedNamespaces: {from: Selector}}`:                                      "spec.allowedNamespaces.selector: say which namespaces, by their labels",
		`{declarative: {}, allowedNamespaces: {from: Selector, selector: {matchLabels: {a: "b c"}}}}`: "spec.allowedNamespaces.selector: ",
		`{declarative: {}, allowedNamespaces: {from: Some}}`:                                          `spec.allowedNamespaces.from: "Some" is no choice of namespaces; write Same, All or Selector`,
		tools(`{}`): `spec.declarative.tools[0].type: "" is no type of tool; write McpServer or Agent`,
		tools(`{type: Agent, mcpServer: {name: kube}}`):                                     "spec.declarative.tools[0]: a tool of type Agent has agent, and no mcpServer",
		tools(`{mcpServer: {name: kube}, agent: {name: dba}}`):                              "spec.declarative.tools[0]: a tool of type McpServer has mcpServer, and no agent",
		tools(`{mcpServer: {name: kube}, isolateSessions: true}`):                           "spec.declarative.tools[0].isolateSessions: only agents have sessions to isolate; leave it out",
		tools(`{mcpServer: {name: kube, kind: ToolServer}}`):                                `spec.declarative.tools[0].mcpServer.kind: "ToolServer" is no kind that can be used here; write RemoteMCPServer`,
		tools(`{mcpServer: {name: kube, apiGroup: apps}}`):                                  `spec.declarative.tools[0].mcpServer.apiGroup: RemoteMCPServer is of group "kagent.dev", not "apps"; leave apiGroup out`,
		tools(`{mcpServer: {name: tools/kube, namespace: other}}`):                          `spec.declarative.tools[0].mcpServer.name: "tools/kube" names another namespace than namespace, "other"; keep one of them`,
		tools(`{mcpServer: {name: kube, toolNames: [a, ""]}}`):                              "spec.declarative.tools[0].mcpServer.toolNames[1]: missing; name the tool",
		tools(`{mcpServer: {name: kube, toolNames: [a], requireApproval: [b]}}`):            `spec.declarative.tools[0].mcpServer.requireApproval[0]: "b" is not among toolNames; add it there too`,
		tools(`{mcpServer: {name: kube}, headersFrom: [{name: X-Team}]}`):                   "spec.declarative.tools[0].headersFrom[0]: give exactly one of value and valueFrom",
		tools(`{mcpServer: {name: kube}, headersFrom: [{name: "X Team", value: a}]}`):       `spec.declarative.tools[0].headersFrom[0]: "X Team" is no name of a header; write one such as X-Team`,
		tools(`{mcpServer: {name: kube}, headersFrom: [{name: A, value: "s3cret\nB: c"}]}`): "spec.declarative.tools[0].headersFrom[0]: the value has more than one line; headers have one",
	} {
		t.Run(spec, func(t *testing.T) { refused(t, agent(t, spec), want) })
	}
}

// refused holds that the object is, with want in the error and no secret.
func refused(t *testing.T, o object, want string) {
	t.Helper()
	err := o.Normalise()
	require.ErrorContains(t, err, want)
	require.NotContains(t, err.Error(), "s3cret")
}

func TestModelsAreNormalised(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ spec, want string }{
		"nothing said":      {`{model: m}`, `{provider: OpenAI, model: m}`},
		"a lower case":      {`{provider: azureopenai, model: m, azureOpenAI: {azureEndpoint: "https://a", apiVersion: v}}`, `{provider: AzureOpenAI, model: m, azureOpenAI: {azureEndpoint: "https://a", apiVersion: v, azureDeployment: m}}`},
		"the key's ref":     {`{provider: anthropic, model: m, apiKeySecretRef: {name: keys, key: anthropic}}`, `{provider: Anthropic, model: m, apiKeySecret: keys, apiKeySecretKey: anthropic}`},
		"both forms agree":  {`{model: m, apiKeySecret: keys, apiKeySecretKey: k, apiKeySecretRef: {name: keys, key: k}}`, `{provider: OpenAI, model: m, apiKeySecret: keys, apiKeySecretKey: k}`},
		"the API":           {`{model: m, openAI: {baseUrl: "http://vllm:8000/v1", maxTokens: 0}}`, `{provider: OpenAI, model: m, openAI: {baseUrl: "http://vllm:8000/v1", apiFormat: chatCompletions}}`},
		"kagent's zeros":    {`{provider: Anthropic, model: m, anthropic: {maxTokens: 0, topK: 0}}`, `{provider: Anthropic, model: m, anthropic: {}}`},
		"Ollama at home":    {`{provider: OLLAMA, model: m}`, `{provider: Ollama, model: m, ollama: {host: "http://localhost:11434"}}`},
		"Ollama in a word":  {`{provider: Ollama, model: m, ollama: {host: "ollama.models.svc:11434"}}`, `{provider: Ollama, model: m, ollama: {host: "http://ollama.models.svc:11434"}}`},
		"a Secret as whole": {`{provider: Bedrock, model: m, apiKeySecret: aws, bedrock: {region: eu-west-1}}`, `{provider: Bedrock, model: m, apiKeySecret: aws, bedrock: {region: eu-west-1}}`},
	} {
		t.Run(name, func(t *testing.T) { becomes(t, model, c.spec, c.want) })
	}
}

func TestModelsAreRefused(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		`{}`:                                "spec.model: missing; name the model, in its provider's words",
		`{provider: HAL, model: m}`:         `spec.provider: "HAL" is no provider; write one of Anthropic, OpenAI, AzureOpenAI, Ollama, Gemini`,
		`{provider: AzureOpenAI, model: m}`: "spec.azureOpenAI: say where the deployment is: azureEndpoint and apiVersion",
		`{provider: AzureOpenAI, model: m, azureOpenAI: {}}`:                       "spec.azureOpenAI.azureEndpoint: missing; say where the resource is",
		`{provider: anthropic, model: m, openAI: {}}`:                              "spec.openAI: this is for provider OpenAI, and the provider is Anthropic; remove it or change spec.provider",
		`{model: m, apiKeySecret: keys}`:                                           `spec.apiKeySecretKey: name the key in Secret "keys"`,
		`{model: m, apiKeySecretKey: k}`:                                           `spec.apiKeySecret: name the Secret that holds key "k"`,
		`{model: m, apiKeySecretRef: {name: keys}}`:                                "spec.apiKeySecretRef.key: missing; name the key in the Secret",
		`{model: m, apiKeySecret: a, apiKeySecretRef: {name: b, key: c}}`:          "spec.apiKeySecretRef: apiKeySecret names another Secret or key; keep one of them",
		`{model: m, apiKeyPassthrough: true, apiKeySecret: a, apiKeySecretKey: b}`: "spec.apiKeyPassthrough: apiKeySecret is given too; keep that",
		`{model: m, defaultHeaders: {"%s": a}}`:                                    `spec.defaultHeaders[%s]: "%s" is no name of a header`,
		`{model: m, defaultHeaders: {A: "s3cret\r\n"}}`:                            "spec.defaultHeaders[A]: the value has more than one line",
		`{model: m, tls: {caCertSecretKey: ca.crt}}`:                               `spec.tls.caCertSecretRef: name the Secret that holds key "ca.crt"`,
		`{model: m, tls: {caCertSecretRef: ca}}`:                                   `spec.tls.caCertSecretKey: name the key in Secret "ca"`,
		`{model: m, tls: {disableSystemCAs: true}}`:                                "spec.tls.disableSystemCAs: so nobody would be trusted",
		`{model: m, openAI: {baseUrl: "ftp://s3cret"}}`:                            "spec.openAI.baseUrl: this is no URL of http or https with a host",
		`{model: m, openAI: {baseUrl: "https://me:s3cret@example.com"}}`:           "spec.openAI.baseUrl: the URL holds a user or password; put credentials into a Secret",
		`{model: m, openAI: {baseUrl: "https://%s3cret"}}`:                         "spec.openAI.baseUrl: this is no URL",
		`{model: m, openAI: {baseUrl: "https://a/#b"}}`:                            "spec.openAI.baseUrl: the URL has a fragment",
		`{model: m, openAI: {temperature: warm}}`:                                  `spec.openAI.temperature: "warm" is no number; write one such as "0.2"`,
		`{model: m, openAI: {temperature: "NaN"}}`:                                 "spec.openAI.temperature: NaN is out of range; give at least 0 and at most 2",
		`{model: m, openAI: {topP: "1.5"}}`:                                        "spec.openAI.topP: 1.5 is out of range; give at least 0 and at most 1",
		`{model: m, openAI: {presencePenalty: "-3"}}`:                              "spec.openAI.presencePenalty: -3 is out of range",
		`{model: m, openAI: {maxTokens: 5, maxCompletionTokens: 5}}`:               "spec.openAI.maxTokens: maxCompletionTokens is given too; keep that",
		`{model: m, openAI: {apiFormat: morse}}`:                                   `spec.openAI.apiFormat: "morse" is no API; write chatCompletions`,
		`{model: m, openAI: {timeout: 0}}`:                                         "spec.openAI.timeout: 0 is too little; give at least 1, or leave it out",
		`{provider: Anthropic, model: m, anthropic: {temperature: "1.2"}}`:         "spec.anthropic.temperature: 1.2 is out of range; give at least 0 and at most 1",
		`{provider: Anthropic, model: m, anthropic: {maxTokens: -1}}`:              "spec.anthropic.maxTokens: -1 is too little",
		`{provider: Gemini, model: m, gemini: {maxOutputTokens: 0}}`:               "spec.gemini.maxOutputTokens: 0 is too little",
		`{provider: Ollama, model: m, ollama: {options: {seed: odd}}}`:             `spec.ollama.options[seed]: "odd" is no number`,
	} {
		t.Run(spec, func(t *testing.T) { refused(t, model(t, spec), want) })
	}
}

func TestToolServersAreNormalised(t *testing.T) {
	t.Parallel()
	const filled = `protocol: STREAMABLE_HTTP, timeout: 30s, terminateOnClose: true`
	for name, c := range map[string]struct{ spec, want string }{
		"nothing said":     {`{url: "http://kube:8080/mcp"}`, `{url: "http://kube:8080/mcp", ` + filled + `}`},
		"in a word":        {`{url: "kube:8080/mcp"}`, `{url: "http://kube:8080/mcp", ` + filled + `}`},
		"in a word of TLS": {`{url: "kube:8080/mcp", tls: {disableVerify: true}}`, `{url: "https://kube:8080/mcp", tls: {disableVerify: true}, ` + filled + `}`},
		"all said":         {`{url: "https://kube", protocol: SSE, timeout: 1m30s, sseReadTimeout: 5m, terminateOnClose: false}`, `{url: "https://kube", protocol: SSE, timeout: 1m30s, sseReadTimeout: 5m, terminateOnClose: false}`},
	} {
		t.Run(name, func(t *testing.T) { becomes(t, server, c.spec, c.want) })
	}
}

func TestToolServersAreRefused(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		`{}`:                                               "spec.url: missing; say where the server is, such as http://kubernetes-mcp.tools.svc:8080/mcp",
		`{url: "stdio://kube"}`:                            "spec.url: this is no URL of http or https with a host",
		`{url: "http://me:s3cret@kube"}`:                   "spec.url: the URL holds a user or password; put credentials into a Secret",
		`{url: "http://kube", protocol: GRPC}`:             `spec.protocol: "GRPC" is no protocol; write STREAMABLE_HTTP or SSE`,
		`{url: "http://kube", timeout: "30"}`:              `spec.timeout: "30" is no length of time; write one such as 30s or 1m30s`,
		`{url: "http://kube", timeout: 0s}`:                "spec.timeout: 0s is too little; give more than 0s",
		`{url: "http://kube", tls: {disableVerify: true}}`: "spec.tls: the URL is one of http, which has no TLS; write https or remove tls",
		`{url: "https://kube", allowedNamespaces: {from: All}, tls: {caCertSecretRef: a, caCertSecretKey: b}}`: "spec.allowedNamespaces: agents of other namespaces cannot have the Secret of spec.tls",
		`{url: "http://kube", headersFrom: [{name: A, valueFrom: {type: Secret, name: a}}]}`:                   "spec.headersFrom[0].valueFrom.key: missing; name the key whose value is meant",
	} {
		t.Run(spec, func(t *testing.T) { refused(t, server(t, spec), want) })
	}
}

func TestTheSamplesAreNormalised(t *testing.T) {
	t.Parallel()
	var a v1alpha2.Agent
	read(t, "testdata/samples/agent.yaml", &a)
	require.NoError(t, a.Normalise())
	require.Empty(t, a.Unsupported())
	require.Equal(t, v1alpha2.TypedReference{Kind: "RemoteMCPServer", APIGroup: "kagent.dev", Name: "kagent-tool-server", Namespace: "kagent"}, a.Spec.Declarative.Tools[0].MCPServer.TypedReference)
	require.Equal(t, []string{"prometheus_query"}, a.Spec.Declarative.Tools[1].MCPServer.ToolNames)

	var m v1alpha2.ModelConfig
	read(t, "testdata/samples/modelconfig.yaml", &m)
	require.NoError(t, m.Normalise())
	require.Empty(t, m.Unsupported())
	require.Equal(t, v1alpha2.ModelConfigSpec{Provider: v1alpha2.ProviderAnthropic, Model: "claude-sonnet-4-20250514", APIKeySecret: "anthropic-api-key", APIKeySecretKey: "api-key"}, m.Spec)

	custom := v1alpha2.Agent{Spec: v1alpha2.AgentSpec{Declarative: &v1alpha2.DeclarativeAgentSpec{}}}
	read(t, "testdata/samples/custom-mcp-tools.yaml", custom.Spec.Declarative)
	require.NoError(t, custom.Normalise())
	require.Equal(t, []string{"custom_tool_1", "custom_tool_2"}, custom.Spec.Declarative.Tools[0].MCPServer.ToolNames)
}

// read reads a file of YAML as it stands.
func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, into))
}

func TestDurationsAndOpenParts(t *testing.T) {
	t.Parallel()
	d, err := v1alpha2.Duration("1m30s").Parse()
	require.NoError(t, err)
	require.Equal(t, 90*time.Second, d)
	d, err = v1alpha2.Duration("").Parse()
	require.NoError(t, err)
	require.Zero(t, d)

	type toleration struct {
		Key string `json:"key"`
	}
	a := agent(t, `{declarative: {deployment: {tolerations: [{key: gpu}, {key: gpu, effekt: NoSchedule}]}}}`)
	parts := a.Spec.Declarative.Deployment.Tolerations
	var got toleration
	require.NoError(t, parts[0].Decode(&got))
	require.Equal(t, toleration{Key: "gpu"}, got)
	require.ErrorContains(t, parts[1].Decode(&got), `unknown field "effekt"`)
	require.NoError(t, v1alpha2.Open{}.Decode(&got))
	sent, err := json.Marshal(parts)
	require.NoError(t, err)
	require.JSONEq(t, `[{"key":"gpu"},{"key":"gpu","effekt":"NoSchedule"}]`, string(sent))
}

func TestWhoAllowsWhom(t *testing.T) {
	t.Parallel()
	pays := map[string]string{"team": "pay"}
	selector := &v1alpha2.AllowedNamespaces{From: v1alpha2.NamespacesFromSelector, Selector: &metav1.LabelSelector{MatchLabels: pays}}
	for name, c := range map[string]struct {
		allowed *v1alpha2.AllowedNamespaces
		other   string
		labels  map[string]string
		want    bool
	}{
		"its own, with nothing said": {nil, "shop", nil, true},
		"another, with nothing said": {nil, "pay", nil, false},
		"another, of the same":       {&v1alpha2.AllowedNamespaces{From: v1alpha2.NamespacesFromSame}, "pay", nil, false},
		"any":                        {&v1alpha2.AllowedNamespaces{From: v1alpha2.NamespacesFromAll}, "pay", nil, true},
		"one that is selected":       {selector, "pay", pays, true},
		"one that is not":            {selector, "pay", nil, false},
		"its own, not selected":      {selector, "shop", nil, true},
		"a selector that is missing": {&v1alpha2.AllowedNamespaces{From: v1alpha2.NamespacesFromSelector}, "pay", pays, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.allowed.Allows("shop", c.other, c.labels)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}
