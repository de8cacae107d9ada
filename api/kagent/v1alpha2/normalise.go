package v1alpha2

import (
	"maps"
	"slices"
	"strings"
)

// DefaultModelConfig is the ModelConfig of an agent that names none.
const DefaultModelConfig = "default-model-config"

// What the CRD fills in, too.
const (
	defaultCompactionInterval = 5
	defaultOverlapSize        = 2
)

// Normalise fills in what the agent leaves out and folds the forms that people
// write into one: a type that is absent, references without kind, group or
// namespace, NAMESPACE/NAME in one word. Its error names each field that is
// wrong by its path and says what to do. What it accepts may still not be
// served: see Unsupported.
func (a *Agent) Normalise() error {
	var p problems
	s := &a.Spec
	fill(&s.Type, AgentTypeDeclarative)
	checkAllowed(&p, "spec.allowedNamespaces", s.AllowedNamespaces)
	switch s.Type {
	case AgentTypeBYO:
		if s.BYO == nil {
			p.add("spec.byo", "give the agent itself, or set spec.type to Declarative")
		}
	case AgentTypeDeclarative:
		if s.Declarative == nil {
			p.add("spec.declarative", "give the agent itself: a modelConfig, a systemMessage and tools")
			break
		}
		s.Declarative.normalise(&p, a.Namespace)
	default:
		p.add("spec.type", "%q is no type of agent; write Declarative", s.Type)
	}
	return p.err()
}

func (d *DeclarativeAgentSpec) normalise(p *problems, namespace string) {
	const path = "spec.declarative"
	fill(&d.ModelConfig, DefaultModelConfig)
	d.ModelConfig = localName(p, path+".modelConfig", d.ModelConfig, namespace)
	if d.SystemMessage != "" && d.SystemMessageFrom != nil {
		p.add(path+".systemMessageFrom", "systemMessage is given too; keep one of them")
	}
	if d.SystemMessageFrom != nil {
		d.SystemMessageFrom.check(p, path+".systemMessageFrom")
	}
	fill(&d.Runtime, RuntimeGo)
	if d.Runtime != RuntimeGo && d.Runtime != RuntimePython {
		p.add(path+".runtime", "%q is no runtime; leave it out", d.Runtime)
	}
	fillPointer(&d.Stream, true)
	if d.PromptTemplate != nil {
		d.PromptTemplate.normalise(p, path+".promptTemplate")
	}
	if d.A2AConfig != nil {
		d.A2AConfig.normalise(p, path+".a2aConfig")
	}
	if d.Context != nil && d.Context.Compaction != nil {
		d.Context.Compaction.normalise(p, path+".context.compaction", namespace)
	}
	if d.Deployment != nil {
		d.Deployment.check(p, path+".deployment")
	}
	for i := range d.Tools {
		d.Tools[i].normalise(p, at(path+".tools", i), namespace)
	}
}

func (t *PromptTemplateSpec) normalise(p *problems, path string) {
	for i := range t.DataSources {
		s, path := &t.DataSources[i], at(path+".dataSources", i)
		fill(&s.Kind, "ConfigMap")
		if s.Kind != "ConfigMap" || s.APIGroup != "" {
			p.add(path+".kind", "texts come from ConfigMaps alone; put the text into one")
		}
		p.need(path+".name", s.Name, "name the ConfigMap")
		fill(&s.Alias, s.Name)
	}
}

func (c *A2AConfig) normalise(p *problems, path string) {
	for i := range c.Skills {
		s, path := &c.Skills[i], at(path+".skills", i)
		p.need(path+".name", s.Name, "name the skill")
		fill(&s.ID, strings.Join(strings.Fields(strings.ToLower(s.Name)), "-"))
	}
}

func (c *ContextCompressionConfig) normalise(p *problems, path, namespace string) {
	fillPointer(&c.CompactionInterval, defaultCompactionInterval)
	fillPointer(&c.OverlapSize, defaultOverlapSize)
	p.least(path+".compactionInterval", c.CompactionInterval, 1)
	p.least(path+".overlapSize", c.OverlapSize, 0)
	p.least(path+".tokenThreshold", c.TokenThreshold, 1)
	p.least(path+".eventRetentionSize", c.EventRetentionSize, 0)
	if s := c.Summarizer; s != nil && s.ModelConfig != "" {
		s.ModelConfig = localName(p, path+".summarizer.modelConfig", s.ModelConfig, namespace)
	}
}

func (t *Tool) normalise(p *problems, path, namespace string) {
	if t.Type == "" && t.MCPServer != nil {
		t.Type = ToolTypeMCPServer
	}
	if t.Type == "" && t.Agent != nil {
		t.Type = ToolTypeAgent
	}
	switch t.Type {
	case ToolTypeMCPServer:
		if t.MCPServer == nil || t.Agent != nil {
			p.add(path, "a tool of type McpServer has mcpServer, and no agent")
			return
		}
		t.MCPServer.normalise(p, path+".mcpServer", namespace)
	case ToolTypeAgent:
		if t.Agent == nil || t.MCPServer != nil {
			p.add(path, "a tool of type Agent has agent, and no mcpServer")
			return
		}
		t.Agent.normalise(p, path+".agent", namespace, "Agent")
	default:
		p.add(path+".type", "%q is no type of tool; write McpServer or Agent", t.Type)
	}
	if t.IsolateSessions != nil && *t.IsolateSessions && t.Type != ToolTypeAgent {
		p.add(path+".isolateSessions", "only agents have sessions to isolate; leave it out")
	}
	checkHeaders(p, path+".headersFrom", t.HeadersFrom)
}

func (m *MCPServerTool) normalise(p *problems, path, namespace string) {
	m.TypedReference.normalise(p, path, namespace, "RemoteMCPServer", "MCPServer", "Service")
	for i, name := range m.ToolNames {
		p.need(at(path+".toolNames", i), name, "name the tool")
	}
	for i, name := range m.RequireApproval {
		path := at(path+".requireApproval", i)
		p.need(path, name, "name the tool")
		if len(m.ToolNames) > 0 && !slices.Contains(m.ToolNames, name) {
			p.add(path, "%q is not among toolNames; add it there too", name)
		}
	}
}

// normalise folds the reference into one of kinds, the first of which it is if
// it says none.
func (r *TypedReference) normalise(p *problems, path, namespace string, kinds ...string) {
	if before, name, both := strings.Cut(r.Name, "/"); both {
		if r.Namespace != "" && r.Namespace != before {
			p.add(path+".name", "%q names another namespace than namespace, %q; keep one of them", r.Name, r.Namespace)
		}
		r.Namespace, r.Name = before, name
	}
	fill(&r.Namespace, namespace)
	fill(&r.Kind, kinds[0])
	p.name(path+".name", r.Name)
	if i := slices.IndexFunc(kinds, func(kind string) bool { return strings.EqualFold(kind, r.Kind) }); i < 0 {
		p.add(path+".kind", "%q is no kind that can be used here; write %s", r.Kind, kinds[0])
		return
	} else {
		r.Kind = kinds[i]
	}
	group := GroupVersion.Group
	if r.Kind == "Service" {
		group = ""
	}
	r.APIGroup, _, _ = strings.Cut(r.APIGroup, "/") // some write the version, too
	fill(&r.APIGroup, group)
	if r.APIGroup != group {
		p.add(path+".apiGroup", "%s is of group %q, not %q; leave apiGroup out", r.Kind, group, r.APIGroup)
	}
}

// Normalise fills in what the model leaves out and folds the forms that people
// write into one: the case of the provider, apiKeySecretRef, an Ollama host
// without a scheme. Its error names each field that is wrong by its path and
// says what to do. What it accepts may still not be served: see Unsupported.
func (m *ModelConfig) Normalise() error {
	var p problems
	s := &m.Spec
	fill(&s.Provider, ProviderOpenAI)
	if i := slices.IndexFunc(providers, func(known ModelProvider) bool { return strings.EqualFold(string(known), string(s.Provider)) }); i >= 0 {
		s.Provider = providers[i]
	} else {
		p.add("spec.provider", "%q is no provider; write one of Anthropic, OpenAI, AzureOpenAI, Ollama, Gemini", s.Provider)
	}
	p.need("spec.model", s.Model, "name the model, in its provider's words")
	s.normaliseKey(&p)
	s.checkParts(&p)
	for _, name := range slices.Sorted(maps.Keys(s.DefaultHeaders)) {
		checkHeader(&p, "spec.defaultHeaders["+name+"]", name, s.DefaultHeaders[name])
	}
	s.TLS.check(&p, "spec.tls")
	if s.Provider == ProviderOllama && s.Ollama == nil {
		s.Ollama = &OllamaConfig{}
	}
	switch {
	case s.OpenAI != nil:
		s.OpenAI.normalise(&p)
	case s.Anthropic != nil:
		s.Anthropic.normalise(&p)
	case s.AzureOpenAI != nil:
		s.AzureOpenAI.normalise(&p, s.Model)
	case s.Ollama != nil:
		s.Ollama.normalise(&p)
	case s.Gemini != nil:
		p.least("spec.gemini.maxOutputTokens", s.Gemini.MaxOutputTokens, 1)
	}
	if s.Provider == ProviderAzureOpenAI && s.AzureOpenAI == nil {
		p.add("spec.azureOpenAI", "say where the deployment is: azureEndpoint and apiVersion")
	}
	return p.err()
}

// normaliseKey folds the two forms of where the key is into one.
func (s *ModelConfigSpec) normaliseKey(p *problems) {
	if r := s.APIKeySecretRef; r != nil {
		if s.APIKeySecret != "" && (s.APIKeySecret != r.Name || s.APIKeySecretKey != r.Key) {
			p.add("spec.apiKeySecretRef", "apiKeySecret names another Secret or key; keep one of them")
		}
		s.APIKeySecret, s.APIKeySecretKey, s.APIKeySecretRef = r.Name, r.Key, nil
		p.need("spec.apiKeySecretRef.name", r.Name, "name the Secret that holds the key")
		p.need("spec.apiKeySecretRef.key", r.Key, "name the key in the Secret")
		return
	}
	whole := s.Provider == ProviderBedrock || s.Provider == ProviderSAPAICore
	if s.APIKeySecret != "" && s.APIKeySecretKey == "" && !whole {
		p.add("spec.apiKeySecretKey", "name the key in Secret %q", s.APIKeySecret)
	}
	if s.APIKeySecret == "" && s.APIKeySecretKey != "" {
		p.add("spec.apiKeySecret", "name the Secret that holds key %q", s.APIKeySecretKey)
	}
	if s.APIKeyPassthrough && s.APIKeySecret != "" {
		p.add("spec.apiKeyPassthrough", "apiKeySecret is given too; keep that")
	}
}

// checkParts refuses what is particular to another provider.
func (s *ModelConfigSpec) checkParts(p *problems) {
	for _, part := range s.parts() {
		if part.given && part.provider != s.Provider {
			p.add(part.path, "this is for provider %s, and the provider is %s; remove it or change spec.provider", part.provider, s.Provider)
		}
	}
}

func (c *OpenAIConfig) normalise(p *problems) {
	fill(&c.APIFormat, APIFormatChatCompletions)
	if c.APIFormat != APIFormatChatCompletions && c.APIFormat != APIFormatResponses {
		p.add("spec.openAI.apiFormat", "%q is no API; write chatCompletions", c.APIFormat)
	}
	p.url("spec.openAI.baseUrl", c.BaseURL)
	p.number("spec.openAI.temperature", c.Temperature, 0, 2)
	p.number("spec.openAI.topP", c.TopP, 0, 1)
	p.number("spec.openAI.frequencyPenalty", c.FrequencyPenalty, -2, 2)
	p.number("spec.openAI.presencePenalty", c.PresencePenalty, -2, 2)
	p.tokens("spec.openAI.maxTokens", &c.MaxTokens)
	p.tokens("spec.openAI.maxCompletionTokens", &c.MaxCompletionTokens)
	if c.MaxTokens != nil && c.MaxCompletionTokens != nil {
		p.add("spec.openAI.maxTokens", "maxCompletionTokens is given too; keep that, unless the endpoint is an older one")
	}
	p.least("spec.openAI.timeout", c.Timeout, 1)
	p.least("spec.openAI.n", c.N, 1)
}

func (c *AnthropicConfig) normalise(p *problems) {
	p.url("spec.anthropic.baseUrl", c.BaseURL)
	p.number("spec.anthropic.temperature", c.Temperature, 0, 1)
	p.number("spec.anthropic.topP", c.TopP, 0, 1)
	p.tokens("spec.anthropic.maxTokens", &c.MaxTokens)
	p.tokens("spec.anthropic.topK", &c.TopK)
}

func (c *AzureOpenAIConfig) normalise(p *problems, model string) {
	p.need("spec.azureOpenAI.azureEndpoint", c.Endpoint, "say where the resource is, such as https://example.openai.azure.com")
	p.url("spec.azureOpenAI.azureEndpoint", c.Endpoint)
	p.need("spec.azureOpenAI.apiVersion", c.APIVersion, "say the version of the API, such as 2024-10-21")
	p.number("spec.azureOpenAI.temperature", c.Temperature, 0, 2)
	p.number("spec.azureOpenAI.topP", c.TopP, 0, 1)
	p.tokens("spec.azureOpenAI.maxTokens", &c.MaxTokens)
	fill(&c.DeploymentName, model)
}

func (c *OllamaConfig) normalise(p *problems) {
	fill(&c.Host, "http://localhost:11434")
	if !strings.Contains(c.Host, "://") {
		c.Host = "http://" + c.Host
	}
	p.url("spec.ollama.host", c.Host)
	for _, name := range ollamaNumbers {
		p.number("spec.ollama.options["+name+"]", c.Options[name], -1e9, 1e9)
	}
}

// Normalise fills in what the tool server leaves out and folds the forms that
// people write into one: a URL without a scheme is one of https if tls is
// given, of http if not. Its error names each field that is wrong by its path
// and says what to do.
func (r *RemoteMCPServer) Normalise() error {
	var p problems
	s := &r.Spec
	fill(&s.Protocol, ProtocolStreamableHTTP)
	if s.Protocol != ProtocolStreamableHTTP && s.Protocol != ProtocolSSE {
		p.add("spec.protocol", "%q is no protocol; write STREAMABLE_HTTP or SSE", s.Protocol)
	}
	if s.URL != "" && !strings.Contains(s.URL, "://") {
		scheme := "http://"
		if s.TLS != nil {
			scheme = "https://"
		}
		s.URL = scheme + s.URL
	}
	p.need("spec.url", s.URL, "say where the server is, such as http://kubernetes-mcp.tools.svc:8080/mcp")
	p.url("spec.url", s.URL)
	if s.TLS != nil && strings.HasPrefix(strings.ToLower(s.URL), "http://") {
		p.add("spec.tls", "the URL is one of http, which has no TLS; write https or remove tls")
	}
	s.TLS.check(&p, "spec.tls")
	fill(&s.Timeout, "30s")
	p.duration("spec.timeout", s.Timeout)
	p.duration("spec.sseReadTimeout", s.SSEReadTimeout)
	fillPointer(&s.TerminateOnClose, true)
	checkHeaders(&p, "spec.headersFrom", s.HeadersFrom)
	checkAllowed(&p, "spec.allowedNamespaces", s.AllowedNamespaces)
	if s.TLS != nil && s.TLS.CACertSecretRef != "" && s.AllowedNamespaces != nil && s.AllowedNamespaces.From != NamespacesFromSame {
		p.add("spec.allowedNamespaces", "agents of other namespaces cannot have the Secret of spec.tls; write from: Same, or remove the Secret")
	}
	return p.err()
}
