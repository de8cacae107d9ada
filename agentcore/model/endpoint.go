package model

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// endpoint is where a model is reached and how it is to answer, whoever's it is.
type endpoint struct {
	base     string            // URL, to which the API's path is added
	model    string            // in the provider's words
	query    map[string]string // of each request
	needsKey bool
	header   string // that the key is sent in; Authorization, as a bearer token, if empty
	headers  map[string]string
	timeout  time.Duration // of one try; none if 0

	sampling
	most      *int32 // tokens of an answer
	newer     bool   // the limit is called max_completion_tokens
	effort    string
	seed      *int64
	frequency *float64
	presence  *float64
}

// sampling is how freely a model picks its words.
type sampling struct {
	temperature, topP *float64
	topK              *int32
}

// endpointOf reads what is particular to the provider.
func endpointOf(s *kagent.ModelConfigSpec) (endpoint, error) {
	at := endpoint{model: s.Model, needsKey: true, headers: map[string]string{}}
	var err error
	switch s.Provider {
	case kagent.ProviderAnthropic:
		err = at.anthropic(s.Anthropic)
	case kagent.ProviderOpenAI:
		err = at.openAI(s.OpenAI)
	case kagent.ProviderAzureOpenAI:
		err = at.azure(s.AzureOpenAI)
	case kagent.ProviderOllama:
		err = at.ollama(s.Ollama)
	case kagent.ProviderGemini:
		at.base = "https://generativelanguage.googleapis.com/v1beta/openai/"
		if s.Gemini != nil {
			at.most = s.Gemini.MaxOutputTokens
		}
	default:
		err = fmt.Errorf("provider %s is not served: use Anthropic, OpenAI (with openAI.baseUrl for what speaks its API), AzureOpenAI, Ollama or Gemini", s.Provider)
	}
	return at, err
}

func (e *endpoint) anthropic(c *kagent.AnthropicConfig) error {
	if c == nil {
		c = &kagent.AnthropicConfig{}
	}
	e.base = "https://api.anthropic.com"
	if c.BaseURL != "" {
		e.base = strings.TrimSuffix(strings.TrimRight(c.BaseURL, "/"), "/v1") // the API's own path begins with v1
	}
	e.most, e.topK = c.MaxTokens, c.TopK
	return e.sample(c.Temperature, c.TopP)
}

func (e *endpoint) openAI(c *kagent.OpenAIConfig) error {
	e.base, e.newer = "https://api.openai.com/v1/", true
	if c == nil {
		return nil
	}
	if c.APIFormat == kagent.APIFormatResponses {
		return fmt.Errorf("openAI.apiFormat %s is not served: use %s", c.APIFormat, kagent.APIFormatChatCompletions)
	}
	if c.BaseURL != "" {
		e.base, e.needsKey, e.newer = c.BaseURL, false, false
	}
	if e.most = c.MaxTokens; e.most != nil {
		e.newer = false
	}
	if c.MaxCompletionTokens != nil {
		e.most, e.newer = c.MaxCompletionTokens, true
	}
	if c.Organization != "" {
		e.headers["OpenAI-Organization"] = c.Organization
	}
	if c.Timeout != nil {
		e.timeout = time.Duration(*c.Timeout) * time.Second
	}
	if c.Seed != nil {
		e.seed = new(int64(*c.Seed))
	}
	e.effort = string(c.ReasoningEffort)
	return firstOf(e.sample(c.Temperature, c.TopP), number(c.FrequencyPenalty, &e.frequency), number(c.PresencePenalty, &e.presence))
}

// azure follows Azure's two forms: the dated one names the deployment in the
// path, the one of version v1 (or preview) in the body.
func (e *endpoint) azure(c *kagent.AzureOpenAIConfig) error {
	if c == nil {
		return fmt.Errorf("azureOpenAI is missing: say where the deployment is, with azureEndpoint and apiVersion")
	}
	base := strings.TrimSuffix(strings.TrimRight(c.Endpoint, "/"), "/openai") + "/openai/"
	e.model = c.DeploymentName
	e.header, e.most = "Api-Key", c.MaxTokens
	switch c.APIVersion {
	case "v1", "latest":
		e.base = base + "v1/"
	case "preview":
		e.base, e.query = base+"v1/", map[string]string{"api-version": "preview"}
	default:
		e.base, e.query = base+"deployments/"+url.PathEscape(c.DeploymentName)+"/", map[string]string{"api-version": c.APIVersion}
	}
	return e.sample(c.Temperature, c.TopP)
}

// ollama takes those of Ollama's options that its OpenAI-compatible API knows.
func (e *endpoint) ollama(c *kagent.OllamaConfig) error {
	if c == nil || c.Host == "" {
		return fmt.Errorf("ollama.host is missing: say where Ollama listens, such as http://ollama.models.svc:11434")
	}
	e.base, e.needsKey = strings.TrimRight(c.Host, "/")+"/v1/", false
	var most, seed *float64
	err := firstOf(
		e.sample(c.Options["temperature"], c.Options["top_p"]),
		number(c.Options["frequency_penalty"], &e.frequency),
		number(c.Options["presence_penalty"], &e.presence),
		number(c.Options["num_predict"], &most),
		number(c.Options["seed"], &seed),
	)
	if most != nil && *most > 0 { // -1 is Ollama's word for no limit
		e.most = new(int32(*most))
	}
	if seed != nil {
		e.seed = new(int64(*seed))
	}
	return err
}

func (e *endpoint) sample(temperature, topP string) error {
	return firstOf(number(temperature, &e.temperature), number(topP, &e.topP))
}

// number reads a number that may be absent.
func number(text string, into **float64) error {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("%q is no number; write one such as \"0.2\"", text)
	}
	*into = &n
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
