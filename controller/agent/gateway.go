package agent

import (
	"fmt"
	"maps"
	"net/url"
	"slices"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// gateways has a place for the URL of each provider that can be reached through
// one.
var gateways = map[kagent.ModelProvider]func(*kagent.ModelConfigSpec) *string{
	kagent.ProviderAnthropic: func(s *kagent.ModelConfigSpec) *string {
		if s.Anthropic == nil {
			s.Anthropic = &kagent.AnthropicConfig{}
		}
		return &s.Anthropic.BaseURL
	},
	kagent.ProviderOpenAI: func(s *kagent.ModelConfigSpec) *string {
		if s.OpenAI == nil {
			s.OpenAI = &kagent.OpenAIConfig{}
		}
		return &s.OpenAI.BaseURL
	},
}

// CheckGateways says what is wrong with URLs by the provider that is reached
// there, if anything is.
func CheckGateways(by map[string]string) error {
	for _, provider := range slices.Sorted(maps.Keys(by)) {
		if _, ok := gateways[kagent.ModelProvider(provider)]; !ok {
			return fmt.Errorf("%s: a gateway is for %s or %s", provider, kagent.ProviderAnthropic, kagent.ProviderOpenAI)
		}
		u, err := url.Parse(by[provider])
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return fmt.Errorf("%s: write a URL without credentials, such as https://models.example.com", provider)
		}
	}
	return nil
}

// through leads to the provider's gateway, unless the ModelConfig says itself
// where its model is reached.
func (o Options) through(m *kagent.ModelConfig) {
	at, ok := gateways[m.Spec.Provider]
	if !ok || o.Gateways[string(m.Spec.Provider)] == "" {
		return
	}
	if own := at(&m.Spec); *own == "" {
		*own = o.Gateways[string(m.Spec.Provider)]
	}
}
