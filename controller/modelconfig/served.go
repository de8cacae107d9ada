package modelconfig

import (
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/outcome"
)

// served normalises the model and refuses it if no agent could think with it.
func served(m *kagent.ModelConfig) error {
	if err := m.Normalise(); err != nil {
		return outcome.Stalled("Invalid", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if !m.Spec.Provider.Served() {
		return outcome.Stalled("ProviderNotServed", "spec.provider: %s is not served; use Anthropic, OpenAI (and whatever speaks its API, by openAI.baseUrl), AzureOpenAI, Ollama or Gemini", m.Spec.Provider)
	}
	return nil
}
