package v1alpha2

// OpenAIConfig is what is particular to OpenAI, and to what speaks its API.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.maxTokens) && has(self.maxCompletionTokens))",message="maxTokens and maxCompletionTokens are mutually exclusive"
type OpenAIConfig struct {
	// BaseURL is where the API is, such as http://vllm.models.svc:8000/v1:
	// OpenAI's own if absent.
	//
	// +optional
	BaseURL string `json:"baseUrl,omitempty"`

	// Organization is the organization that is billed.
	//
	// +optional
	Organization string `json:"organization,omitempty"`

	// Temperature is how freely the model picks its words, such as "0.2".
	//
	// +optional
	Temperature string `json:"temperature,omitempty"`

	// MaxTokens is how many tokens an answer may have, in the words of older
	// endpoints.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxTokens *int32 `json:"maxTokens,omitempty"`

	// MaxCompletionTokens is how many tokens an answer may have, thoughts
	// included.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxCompletionTokens *int32 `json:"maxCompletionTokens,omitempty"`

	// TopP is the share of likely words that the model picks from, such as
	// "0.9".
	//
	// +optional
	TopP string `json:"topP,omitempty"`

	// FrequencyPenalty makes often used words less likely, such as "0.5".
	//
	// +optional
	FrequencyPenalty string `json:"frequencyPenalty,omitempty"`

	// PresencePenalty makes used words less likely, such as "0.5".
	//
	// +optional
	PresencePenalty string `json:"presencePenalty,omitempty"`

	// Seed makes answers repeat themselves, as far as the endpoint can.
	//
	// +optional
	Seed *int64 `json:"seed,omitempty"`

	// N is how many answers to ask for, written "n" in YAML, which takes n for
	// false. An agent reads one: anything else is admitted and not served.
	//
	// +optional
	N *int32 `json:"n,omitempty"`

	// Timeout is how many seconds one answer may take.
	//
	// +optional
	Timeout *int32 `json:"timeout,omitempty"`

	// APIFormat is the API to speak: chatCompletions, which nearly every
	// endpoint knows. responses is admitted and not served.
	//
	// +optional
	// +kubebuilder:default=chatCompletions
	APIFormat OpenAIAPIFormat `json:"apiFormat,omitempty"`

	// ReasoningEffort is how long the model thinks before it answers.
	//
	// +optional
	ReasoningEffort OpenAIReasoningEffort `json:"reasoningEffort,omitempty"`

	// TokenExchange would trade a service account for a key. Admitted and not
	// served.
	//
	// +optional
	TokenExchange *TokenExchangeConfig `json:"tokenExchange,omitempty"`
}

// OpenAIAPIFormat is one of OpenAI's APIs.
//
// +kubebuilder:validation:Enum=chatCompletions;responses
type OpenAIAPIFormat string

// OpenAI's APIs.
const (
	APIFormatChatCompletions OpenAIAPIFormat = "chatCompletions"
	APIFormatResponses       OpenAIAPIFormat = "responses"
)

// OpenAIReasoningEffort is how long a model thinks before it answers.
//
// +kubebuilder:validation:Enum=none;minimal;low;medium;high;xhigh
type OpenAIReasoningEffort string

// TokenExchangeConfig is how a key is had in trade.
type TokenExchangeConfig struct {
	// Type is the kind of trade.
	//
	// +required
	// +kubebuilder:validation:Enum=GDCHServiceAccount
	Type string `json:"type"`

	// GDCHServiceAccount trades a service account of Google Distributed Cloud.
	//
	// +optional
	GDCHServiceAccount *GDCHServiceAccountConfig `json:"gdchServiceAccount,omitempty"`
}

// GDCHServiceAccountConfig is a trade of a Google Distributed Cloud service account.
type GDCHServiceAccountConfig struct {
	// Audience is whom the key is for.
	//
	// +required
	Audience string `json:"audience"`
}

// AnthropicConfig is what is particular to Anthropic.
type AnthropicConfig struct {
	// BaseURL is where the API is: Anthropic's own if absent.
	//
	// +optional
	BaseURL string `json:"baseUrl,omitempty"`

	// MaxTokens is how many tokens an answer may have.
	//
	// +optional
	MaxTokens *int32 `json:"maxTokens,omitempty"`

	// Temperature is how freely the model picks its words, such as "0.2".
	//
	// +optional
	Temperature string `json:"temperature,omitempty"`

	// TopP is the share of likely words that the model picks from, such as
	// "0.9".
	//
	// +optional
	TopP string `json:"topP,omitempty"`

	// TopK is how many likely words the model picks from.
	//
	// +optional
	TopK *int32 `json:"topK,omitempty"`
}

// AzureOpenAIConfig is what is particular to AzureOpenAI.
type AzureOpenAIConfig struct {
	// Endpoint is the resource, such as https://example.openai.azure.com.
	//
	// +required
	Endpoint string `json:"azureEndpoint"`

	// APIVersion is the version of the API, such as 2024-10-21.
	//
	// +required
	APIVersion string `json:"apiVersion"`

	// DeploymentName is the deployment: the spec's model if absent.
	//
	// +optional
	DeploymentName string `json:"azureDeployment,omitempty"`

	// AzureADToken would be a token in the open. Admitted and not served: put
	// a key into a Secret.
	//
	// +optional
	AzureADToken string `json:"azureAdToken,omitempty"`

	// Temperature is how freely the model picks its words, such as "0.2".
	//
	// +optional
	Temperature string `json:"temperature,omitempty"`

	// MaxTokens is how many tokens an answer may have.
	//
	// +optional
	MaxTokens *int32 `json:"maxTokens,omitempty"`

	// TopP is the share of likely words that the model picks from, such as
	// "0.9".
	//
	// +optional
	TopP string `json:"topP,omitempty"`
}

// OllamaConfig is what is particular to Ollama.
type OllamaConfig struct {
	// Host is where Ollama listens, such as http://ollama.models.svc:11434:
	// http://localhost:11434 if absent.
	//
	// +optional
	Host string `json:"host,omitempty"`

	// Options are Ollama's own. Those that its OpenAI-compatible endpoint knows
	// are served: temperature, top_p, seed, num_predict, frequency_penalty and
	// presence_penalty. num_ctx, for one, belongs into the model's Modelfile.
	//
	// +optional
	Options map[string]string `json:"options,omitempty"`
}

// GeminiConfig is what is particular to Gemini.
type GeminiConfig struct {
	// MaxOutputTokens is how many tokens an answer may have.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxOutputTokens *int32 `json:"maxOutputTokens,omitempty"`
}

// BaseVertexAIConfig is what the models of Vertex AI share.
type BaseVertexAIConfig struct {
	// ProjectID is the Google Cloud project.
	//
	// +required
	ProjectID string `json:"projectID"`

	// Location is the region, such as us-east5.
	//
	// +required
	Location string `json:"location"`

	// Temperature is how freely the model picks its words.
	//
	// +optional
	Temperature string `json:"temperature,omitempty"`

	// TopP is the share of likely words that the model picks from.
	//
	// +optional
	TopP string `json:"topP,omitempty"`

	// TopK is how many likely words the model picks from.
	//
	// +optional
	TopK string `json:"topK,omitempty"`

	// StopSequences end an answer.
	//
	// +optional
	StopSequences []string `json:"stopSequences,omitempty"`
}

// GeminiVertexAIConfig is what is particular to GeminiVertexAI.
type GeminiVertexAIConfig struct {
	BaseVertexAIConfig `json:",inline"`

	// MaxOutputTokens is how many tokens an answer may have.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxOutputTokens *int32 `json:"maxOutputTokens,omitempty"`

	// CandidateCount is how many answers to ask for.
	//
	// +optional
	CandidateCount *int32 `json:"candidateCount,omitempty"`

	// ResponseMimeType is the form of the answer.
	//
	// +optional
	ResponseMimeType string `json:"responseMimeType,omitempty"`
}

// AnthropicVertexAIConfig is what is particular to AnthropicVertexAI.
type AnthropicVertexAIConfig struct {
	BaseVertexAIConfig `json:",inline"`

	// MaxTokens is how many tokens an answer may have.
	//
	// +optional
	MaxTokens *int32 `json:"maxTokens,omitempty"`
}

// BedrockConfig is what is particular to Bedrock.
type BedrockConfig struct {
	// Region is the AWS region, such as us-east-1.
	//
	// +required
	Region string `json:"region"`

	// ConnectTimeout is how many seconds connecting may take.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	ConnectTimeout *int32 `json:"connectTimeout,omitempty"`

	// ReadTimeout is how many seconds an answer may take.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	ReadTimeout *int32 `json:"readTimeout,omitempty"`

	// PromptCaching has repeated parts of prompts cached.
	//
	// +optional
	// +kubebuilder:default=false
	PromptCaching bool `json:"promptCaching,omitempty"`

	// CacheTTL is how long they are.
	//
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Enum="5m";"1h"
	CacheTTL string `json:"cacheTTL,omitempty"`

	// Guardrail is the guardrail that answers pass.
	//
	// +optional
	Guardrail *BedrockGuardrailConfig `json:"guardrail,omitempty"`

	// AdditionalModelRequestFields are the model's own.
	//
	// +optional
	AdditionalModelRequestFields *Open `json:"additionalModelRequestFields,omitempty"`
}

// BedrockGuardrailConfig is a guardrail of Bedrock.
type BedrockGuardrailConfig struct {
	// Identifier is the guardrail.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Identifier string `json:"identifier"`

	// Version is the guardrail's version.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	Version string `json:"version"`

	// Trace is how much the guardrail tells.
	//
	// +optional
	// +kubebuilder:default=disabled
	// +kubebuilder:validation:Enum=disabled;enabled;enabled_full
	Trace string `json:"trace,omitempty"`
}

// SAPAICoreConfig is what is particular to SAPAICore.
type SAPAICoreConfig struct {
	// BaseURL is where the API is.
	//
	// +required
	BaseURL string `json:"baseUrl"`

	// AuthURL is where tokens are had.
	//
	// +optional
	AuthURL string `json:"authUrl,omitempty"`

	// ResourceGroup is the resource group.
	//
	// +optional
	// +kubebuilder:default=default
	ResourceGroup string `json:"resourceGroup,omitempty"`
}

// FoundryConfig is what is particular to Foundry.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.endpoint) && size(self.endpoint) > 0 && has(self.endpointFrom))",message="foundry.endpoint and foundry.endpointFrom are mutually exclusive"
// +kubebuilder:validation:XValidation:rule="(has(self.endpoint) && size(self.endpoint) > 0) || has(self.endpointFrom)",message="foundry.endpoint or foundry.endpointFrom is required"
type FoundryConfig struct {
	// Endpoint is the resource.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Endpoint string `json:"endpoint,omitempty"`

	// EndpointFrom is the ConfigMap that names the resource.
	//
	// +optional
	EndpointFrom *ConfigMapKeyReference `json:"endpointFrom,omitempty"`

	// Deployment is the deployment.
	//
	// +required
	Deployment string `json:"deployment"`

	// APIVersion is the version of the API.
	//
	// +optional
	// +kubebuilder:default="2024-10-21"
	APIVersion string `json:"apiVersion,omitempty"`
}

// ConfigMapKeyReference is one key of a ConfigMap of the same namespace.
type ConfigMapKeyReference struct {
	// Name is the ConfigMap's name.
	//
	// +optional
	// +kubebuilder:default=""
	Name string `json:"name,omitempty"`

	// Key is the key whose value is taken.
	//
	// +required
	Key string `json:"key"`

	// Optional lets the ConfigMap or its key be absent.
	//
	// +optional
	Optional *bool `json:"optional,omitempty"`
}
