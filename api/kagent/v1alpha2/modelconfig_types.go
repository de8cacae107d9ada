package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ModelConfig is a model that agents think with: whose it is, where it is
// reached, with which key, and how it answers.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=modelconfigs,shortName=mc,categories=kagent;toolcrib
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name=Provider,type=string,JSONPath=`.spec.provider`,description="Whose API the model is reached by"
// +kubebuilder:printcolumn:name=Model,type=string,JSONPath=`.spec.model`,description="The model, in its provider's words"
// +kubebuilder:printcolumn:name=Accepted,type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`,description="Whether agents can use it"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`,description="How long ago it was made"
// +kubebuilder:printcolumn:name=Message,type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].message`,priority=1,description="What is wrong, if anything is"
type ModelConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the model and how to reach it.
	//
	// +optional
	Spec ModelConfigSpec `json:"spec,omitempty"`

	// Status is how it stands with the model.
	//
	// +optional
	Status ModelConfigStatus `json:"status,omitempty"`
}

// ModelProvider is whose API a model is reached by. The CRD admits it in any
// case; Normalise gives it the case of the constants.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.lowerAscii() in ['anthropic', 'openai', 'azureopenai', 'ollama', 'gemini', 'geminivertexai', 'anthropicvertexai', 'bedrock', 'sapaicore', 'foundry']",message="provider must be one of Anthropic, OpenAI, AzureOpenAI, Ollama, Gemini, GeminiVertexAI, AnthropicVertexAI, Bedrock, SAPAICore, Foundry, in any case"
type ModelProvider string

// The providers.
const (
	ProviderAnthropic         ModelProvider = "Anthropic"
	ProviderOpenAI            ModelProvider = "OpenAI"
	ProviderAzureOpenAI       ModelProvider = "AzureOpenAI"
	ProviderOllama            ModelProvider = "Ollama"
	ProviderGemini            ModelProvider = "Gemini"
	ProviderGeminiVertexAI    ModelProvider = "GeminiVertexAI"
	ProviderAnthropicVertexAI ModelProvider = "AnthropicVertexAI"
	ProviderBedrock           ModelProvider = "Bedrock"
	ProviderSAPAICore         ModelProvider = "SAPAICore"
	ProviderFoundry           ModelProvider = "Foundry"
)

// ModelConfigSpec is a model and how to reach it.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.openAI) && self.provider.lowerAscii() != 'openai')",message="provider.openAI must be nil if the provider is not OpenAI"
// +kubebuilder:validation:XValidation:rule="!(has(self.anthropic) && self.provider.lowerAscii() != 'anthropic')",message="provider.anthropic must be nil if the provider is not Anthropic"
// +kubebuilder:validation:XValidation:rule="!(has(self.azureOpenAI) && self.provider.lowerAscii() != 'azureopenai')",message="provider.azureOpenAI must be nil if the provider is not AzureOpenAI"
// +kubebuilder:validation:XValidation:rule="!(has(self.ollama) && self.provider.lowerAscii() != 'ollama')",message="provider.ollama must be nil if the provider is not Ollama"
// +kubebuilder:validation:XValidation:rule="!(has(self.gemini) && self.provider.lowerAscii() != 'gemini')",message="provider.gemini must be nil if the provider is not Gemini"
// +kubebuilder:validation:XValidation:rule="!(has(self.geminiVertexAI) && self.provider.lowerAscii() != 'geminivertexai')",message="provider.geminiVertexAI must be nil if the provider is not GeminiVertexAI"
// +kubebuilder:validation:XValidation:rule="!(has(self.anthropicVertexAI) && self.provider.lowerAscii() != 'anthropicvertexai')",message="provider.anthropicVertexAI must be nil if the provider is not AnthropicVertexAI"
// +kubebuilder:validation:XValidation:rule="!(has(self.bedrock) && self.provider.lowerAscii() != 'bedrock')",message="provider.bedrock must be nil if the provider is not Bedrock"
// +kubebuilder:validation:XValidation:rule="!(has(self.sapAICore) && self.provider.lowerAscii() != 'sapaicore')",message="provider.sapAICore must be nil if the provider is not SAPAICore"
// +kubebuilder:validation:XValidation:rule="!(has(self.foundry) && self.provider.lowerAscii() != 'foundry')",message="provider.foundry must be nil if the provider is not Foundry"
// +kubebuilder:validation:XValidation:rule="!(has(self.apiKeySecretKey) && size(self.apiKeySecretKey) > 0 && (!has(self.apiKeySecret) || size(self.apiKeySecret) == 0))",message="apiKeySecret must be set if apiKeySecretKey is set"
// +kubebuilder:validation:XValidation:rule="!(has(self.apiKeySecret) && size(self.apiKeySecret) > 0 && (!has(self.apiKeySecretKey) || size(self.apiKeySecretKey) == 0) && !(self.provider.lowerAscii() in ['bedrock', 'sapaicore']))",message="apiKeySecretKey must be set if apiKeySecret is set (except for Bedrock and SAPAICore providers)"
// +kubebuilder:validation:XValidation:rule="!(has(self.apiKeySecretRef) && has(self.apiKeySecret) && size(self.apiKeySecret) > 0)",message="apiKeySecretRef and apiKeySecret are two forms of the same: give one of them"
// +kubebuilder:validation:XValidation:rule="!(has(self.apiKeyPassthrough) && self.apiKeyPassthrough && ((has(self.apiKeySecret) && size(self.apiKeySecret) > 0) || has(self.apiKeySecretRef)))",message="apiKeyPassthrough and apiKeySecret are mutually exclusive"
// +kubebuilder:validation:XValidation:rule="!(has(self.apiKeyPassthrough) && self.apiKeyPassthrough && self.provider.lowerAscii() in ['gemini', 'geminivertexai', 'anthropicvertexai'])",message="apiKeyPassthrough must be false if provider is Gemini;GeminiVertexAI;AnthropicVertexAI"
// +kubebuilder:validation:XValidation:rule="!(has(self.openAI) && has(self.openAI.tokenExchange) && !(has(self.apiKeySecret) && size(self.apiKeySecret) > 0) && !has(self.apiKeySecretRef))",message="openAI.tokenExchange requires apiKeySecret (the service account secret)"
// +kubebuilder:validation:XValidation:rule="!(has(self.openAI) && has(self.openAI.tokenExchange) && has(self.apiKeyPassthrough) && self.apiKeyPassthrough)",message="openAI.tokenExchange and apiKeyPassthrough are mutually exclusive"
// +kubebuilder:validation:XValidation:rule="!(has(self.openAI) && has(self.openAI.tokenExchange) && self.openAI.tokenExchange.type == 'GDCHServiceAccount' && !has(self.openAI.tokenExchange.gdchServiceAccount))",message="openAI.tokenExchange type GDCHServiceAccount requires openAI.tokenExchange.gdchServiceAccount"
type ModelConfigSpec struct {
	// Provider is whose API the model is reached by, in any case: Anthropic,
	// OpenAI (and whatever speaks its API, by openAI.baseUrl), AzureOpenAI,
	// Ollama or Gemini. GeminiVertexAI, AnthropicVertexAI, Bedrock, SAPAICore
	// and Foundry are admitted and not served.
	//
	// +optional
	// +kubebuilder:default=OpenAI
	Provider ModelProvider `json:"provider,omitempty"`

	// Model is the model in its provider's words, such as
	// claude-sonnet-4-20250514.
	//
	// +required
	Model string `json:"model"`

	// APIKeySecret is a Secret of the ModelConfig's namespace that holds the
	// provider's key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	APIKeySecret string `json:"apiKeySecret,omitempty"`

	// APIKeySecretKey is the key in that Secret.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	APIKeySecretKey string `json:"apiKeySecretKey,omitempty"`

	// APIKeySecretRef is another form of apiKeySecret and apiKeySecretKey.
	//
	// +optional
	APIKeySecretRef *SecretKeyReference `json:"apiKeySecretRef,omitempty"`

	// APIKeyPassthrough would send the key of whoever asks on to the provider.
	// Admitted and not served.
	//
	// +optional
	APIKeyPassthrough bool `json:"apiKeyPassthrough,omitempty"`

	// DefaultHeaders are headers of every request to the provider. They are no
	// place for credentials: whoever may read the ModelConfig reads them.
	//
	// +optional
	DefaultHeaders map[string]string `json:"defaultHeaders,omitempty"`

	// TLS says whom to trust on the connection to the provider: the authorities
	// that the system knows, if absent.
	//
	// +optional
	TLS *TLSConfig `json:"tls,omitempty"`

	// OpenAI holds what is particular to provider OpenAI.
	//
	// +optional
	OpenAI *OpenAIConfig `json:"openAI,omitempty"`

	// Anthropic holds what is particular to provider Anthropic.
	//
	// +optional
	Anthropic *AnthropicConfig `json:"anthropic,omitempty"`

	// AzureOpenAI holds what is particular to provider AzureOpenAI.
	//
	// +optional
	AzureOpenAI *AzureOpenAIConfig `json:"azureOpenAI,omitempty"`

	// Ollama holds what is particular to provider Ollama.
	//
	// +optional
	Ollama *OllamaConfig `json:"ollama,omitempty"`

	// Gemini holds what is particular to provider Gemini.
	//
	// +optional
	Gemini *GeminiConfig `json:"gemini,omitempty"`

	// GeminiVertexAI holds what is particular to provider GeminiVertexAI.
	// Admitted and not served.
	//
	// +optional
	GeminiVertexAI *GeminiVertexAIConfig `json:"geminiVertexAI,omitempty"`

	// AnthropicVertexAI holds what is particular to provider
	// AnthropicVertexAI. Admitted and not served.
	//
	// +optional
	AnthropicVertexAI *AnthropicVertexAIConfig `json:"anthropicVertexAI,omitempty"`

	// Bedrock holds what is particular to provider Bedrock. Admitted and not
	// served.
	//
	// +optional
	Bedrock *BedrockConfig `json:"bedrock,omitempty"`

	// SAPAICore holds what is particular to provider SAPAICore. Admitted and
	// not served.
	//
	// +optional
	SAPAICore *SAPAICoreConfig `json:"sapAICore,omitempty"`

	// Foundry holds what is particular to provider Foundry. Admitted and not
	// served.
	//
	// +optional
	Foundry *FoundryConfig `json:"foundry,omitempty"`
}

// SecretKeyReference is one key of a Secret of the same namespace.
type SecretKeyReference struct {
	// Name is the Secret's name.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key is the key whose value is taken.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// ModelConfigStatus is how it stands with a model.
type ModelConfigStatus struct {
	// ObservedGeneration is the generation of the spec that the status is of.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions say how it stands. Accepted: agents can use the model.
	// UnsupportedFeatures: which fields are admitted and not served.
	//
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// SecretHash is a hash of the Secrets that the spec refers to: it changes
	// when they do.
	//
	// +optional
	SecretHash string `json:"secretHash,omitempty"`
}

// ModelConfigList is a list of models.
//
// +kubebuilder:object:root=true
type ModelConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ModelConfig `json:"items"`
}
