package v1alpha2

import (
	"slices"
	"strconv"
)

// providers are all that the CRD admits, those that are served first.
var providers = []ModelProvider{
	ProviderAnthropic, ProviderOpenAI, ProviderAzureOpenAI, ProviderOllama, ProviderGemini,
	ProviderGeminiVertexAI, ProviderAnthropicVertexAI, ProviderBedrock, ProviderSAPAICore, ProviderFoundry,
}

// Served says whether agents can think with models of the provider. It must
// be in the case of the constants, as Normalise gives it.
func (p ModelProvider) Served() bool {
	i := slices.Index(providers, p)
	return i >= 0 && i < slices.Index(providers, ProviderGeminiVertexAI)
}

// The options of Ollama that its OpenAI-compatible endpoint knows.
var ollamaNumbers = []string{"temperature", "top_p", "seed", "num_predict", "frequency_penalty", "presence_penalty"}

// paths are those of fields that are admitted and not served.
type paths []string

// add adds the path if the field is given.
func (p *paths) add(given bool, path string) {
	if given {
		*p = append(*p, path)
	}
}

// other adds the path if another number is given than the one that is served.
func (p *paths) other(path string, value *int32, served int32) {
	if value != nil {
		p.add(*value != served, path+"="+strconv.Itoa(int(*value)))
	}
}

// Unsupported are the paths of the fields that are given, that are admitted for
// kagent's sake, and that are not served; with =VALUE where other values are.
// The agent must be normalised. An agent of type BYO is not served at all; all
// others are served without these fields.
func (a *Agent) Unsupported() []string {
	var p paths
	s := a.Spec
	p.add(s.Type == AgentTypeBYO, "spec.type=BYO")
	p.add(s.BYO != nil && s.Type != AgentTypeBYO, "spec.byo")
	p.add(s.Skills != nil, "spec.skills")
	p.add(s.Sandbox != nil, "spec.sandbox")
	if d := s.Declarative; d != nil {
		const path = "spec.declarative"
		p.add(d.Runtime == RuntimePython, path+".runtime=python")
		p.add(isTrue(d.ExecuteCodeBlocks), path+".executeCodeBlocks")
		p.add(d.Memory != nil, path+".memory")
		p.add(isTrue(d.ShareTools), path+".shareTools")
		if d.Context != nil && d.Context.Compaction != nil {
			p.other(path+".context.compaction.compactionInterval", d.Context.Compaction.CompactionInterval, defaultCompactionInterval)
			p.other(path+".context.compaction.overlapSize", d.Context.Compaction.OverlapSize, defaultOverlapSize)
		}
		for i, t := range d.Tools {
			if m := t.MCPServer; m != nil {
				path := at(path+".tools", i) + ".mcpServer"
				p.add(m.Kind == "MCPServer" || m.Kind == "Service", path+".kind="+m.Kind)
				p.add(len(m.AllowedHeaders) > 0, path+".allowedHeaders")
			}
		}
	}
	return p
}

// Unsupported are the paths of the fields that are given, that are admitted for
// kagent's sake, and that are not served; with =VALUE where other values are.
// The model must be normalised. A model of a provider that is not Served is not
// served at all; all others are served without these fields.
func (m *ModelConfig) Unsupported() []string {
	var p paths
	s := m.Spec
	p.add(!s.Provider.Served(), "spec.provider="+string(s.Provider))
	p.add(s.APIKeyPassthrough, "spec.apiKeyPassthrough")
	for _, part := range s.parts() {
		p.add(part.given && !part.provider.Served(), part.path)
	}
	if c := s.OpenAI; c != nil {
		p.add(c.APIFormat == APIFormatResponses, "spec.openAI.apiFormat=responses")
		p.other("spec.openAI.n", c.N, 1)
		p.add(c.TokenExchange != nil, "spec.openAI.tokenExchange")
	}
	if c := s.AzureOpenAI; c != nil {
		p.add(c.AzureADToken != "", "spec.azureOpenAI.azureAdToken")
	}
	if c := s.Ollama; c != nil {
		for name := range c.Options {
			p.add(!slices.Contains(ollamaNumbers, name), "spec.ollama.options["+name+"]")
		}
	}
	slices.Sort(p)
	return p
}

// Unsupported is empty: all fields of a tool server are served.
func (r *RemoteMCPServer) Unsupported() []string { return nil }

// part is what is particular to one provider.
type part struct {
	path     string
	provider ModelProvider
	given    bool
}

func (s *ModelConfigSpec) parts() []part {
	return []part{
		{"spec.openAI", ProviderOpenAI, s.OpenAI != nil},
		{"spec.anthropic", ProviderAnthropic, s.Anthropic != nil},
		{"spec.azureOpenAI", ProviderAzureOpenAI, s.AzureOpenAI != nil},
		{"spec.ollama", ProviderOllama, s.Ollama != nil},
		{"spec.gemini", ProviderGemini, s.Gemini != nil},
		{"spec.geminiVertexAI", ProviderGeminiVertexAI, s.GeminiVertexAI != nil},
		{"spec.anthropicVertexAI", ProviderAnthropicVertexAI, s.AnthropicVertexAI != nil},
		{"spec.bedrock", ProviderBedrock, s.Bedrock != nil},
		{"spec.sapAICore", ProviderSAPAICore, s.SAPAICore != nil},
		{"spec.foundry", ProviderFoundry, s.Foundry != nil},
	}
}

func isTrue(b *bool) bool { return b != nil && *b }
