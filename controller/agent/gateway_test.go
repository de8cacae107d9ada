package agent

import (
	"testing"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

func TestModelsAreReachedThroughTheGatewayOfTheirProvider(t *testing.T) {
	o := Options{Gateways: map[string]string{"Anthropic": "http://anthropic.example", "OpenAI": "http://openai.example"}}
	for _, c := range []struct {
		spec kagent.ModelConfigSpec
		at   string
	}{
		{kagent.ModelConfigSpec{Provider: kagent.ProviderAnthropic}, "http://anthropic.example"},
		{kagent.ModelConfigSpec{Provider: kagent.ProviderAnthropic, Anthropic: &kagent.AnthropicConfig{BaseURL: "http://own.example"}}, "http://own.example"},
		{kagent.ModelConfigSpec{Provider: kagent.ProviderOpenAI, OpenAI: &kagent.OpenAIConfig{MaxTokens: new(int32(7))}}, "http://openai.example"},
		{kagent.ModelConfigSpec{Provider: kagent.ProviderGemini}, "https://generativelanguage.googleapis.com"},
	} {
		m := &kagent.ModelConfig{Spec: c.spec}
		o.through(m)
		require.Equal(t, c.at, endpoint(m.Spec))
		Options{}.through(m)
		require.Equal(t, c.at, endpoint(m.Spec))
	}
}

func TestAGatewayIsOfAProviderAndAURL(t *testing.T) {
	require.NoError(t, CheckGateways(nil))
	require.NoError(t, CheckGateways(map[string]string{"Anthropic": "http://10.0.0.1:8080", "OpenAI": "https://models.example.com/v1"}))
	for provider, wrong := range map[string]string{"anthropic": "http://a", "Gemini": "http://a", "Anthropic": "models.example.com", "OpenAI": "https://key@models.example.com"} {
		require.ErrorContains(t, CheckGateways(map[string]string{provider: wrong}), provider+": ")
	}
}
