package declared

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

func TestPrices(t *testing.T) {
	t.Parallel()
	table, err := ParsePrices([]byte(`
models:
  claude-sonnet-4: {input: 1, output: 2, cacheRead: 0.5, cacheWrite: 1.5}
  local: {input: 0, output: 0}
`))
	require.NoError(t, err)
	for model, want := range map[string]Prices{
		"claude-sonnet-4":           {true, 1, 2, 0.5, 1.5},
		"claude-sonnet-4-20250514":  {true, 1, 2, 0.5, 1.5},
		"claude-opus-4-20250514":    {true, 15, 75, 1.5, 18.75},
		"claude-opus-4-8":           {true, 5, 25, 0.5, 6.25},
		"claude-haiku-4-5@20251001": {true, 1, 5, 0.1, 1.25},
		"gpt-5":                     {true, 1.25, 10, 0.125, 1.25},
		"gpt-5-mini-2025-08-07":     {true, 0.25, 2, 0.025, 0.25},
		"gpt-5.7":                   {},
		"gpt-50":                    {},
		"models/gemini-2.5-flash":   {true, 0.3, 2.5, 0.03, 0.3},
		"gemini-2.5-flash-lite":     {true, 0.1, 0.4, 0.01, 0.1},
		"local:70b":                 {true, 0, 0, 0, 0},
		"localhost":                 {},
		"":                          {},
	} {
		require.Equal(t, want, table.Of(model), model)
	}
	cost, known := table.Of("claude-sonnet-4").Cost(v1alpha1.TokenUsage{Input: 1_000_000, Output: 500_000, CacheRead: 2_000_000, CacheWrite: 100_000})
	require.True(t, known)
	require.InDelta(t, 1+1+1+0.15, cost, 1e-9)
	_, known = table.Of("gpt-5.7").Cost(v1alpha1.TokenUsage{Input: 1})
	require.False(t, known)
}

func TestPricesAreReadStrictly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"models: {a: {input: 1}}":                                      "models[a]: give input and output, in US dollars for a million tokens",
		"models: {a: {input: 1, output: -2}}":                          "models[a]: prices are numbers from 0 on",
		"models: {a: {input: 1, output: 2, cache: 3}}":                 `unknown field "cache"`,
		"models: {a: {input: free, output: 2}}":                        "cannot unmarshal string",
		"models: {a: {input: 1, output: .inf}}":                        "",
		"modles: {}":                                                   `unknown field "modles"`,
		"models: {a: {input: 1, output: 2}, a: {input: 2, output: 2}}": "already set",
		"models: {a: {output: 1}, b: {input: 1}}":                      "models[b]: give input",
	} {
		_, err := ParsePrices([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
	table, err := ParsePrices(nil)
	require.NoError(t, err)
	require.True(t, table.Of("gpt-4o").Known)
}
