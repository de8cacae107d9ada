package model_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// TestPromptsAreCached: of the second turn only what is new is paid in full.
func TestPromptsAreCached(t *testing.T) {
	t.Parallel()
	for w := range wires {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			server := start(t, "rules:\n- {when: {calls: 0}, call: [{tool: k8s_ping, arguments: {}}]}\n- {when: {calls: 1}, call: [{tool: k8s_ping, arguments: {}}]}\n- say: Yes.\n")
			m := open(t, wire(t, w, server.URL), model.Options{})
			r := ask("Is it up?")
			r.System = strings.Repeat("Look closely. ", 1000)
			var usage []v1alpha1.TokenUsage
			for range 3 {
				reply, err := m.Generate(t.Context(), r, nil)
				require.NoError(t, err)
				usage = append(usage, reply.Usage)
				if len(reply.Calls) > 0 {
					r.Messages = append(r.Messages, model.Message{Role: model.Assistant, Calls: reply.Calls},
						model.Message{Role: model.User, Results: []model.Result{{Call: reply.Calls[0].ID, Text: strings.Repeat("up ", 2000)}}})
				}
			}
			require.Zero(t, usage[0].CacheRead)
			for _, u := range usage[1:] {
				require.Greater(t, u.CacheRead, int64(3000))
			}
			require.Greater(t, usage[2].CacheRead, usage[1].CacheRead+1000, "the results of the turn before are read from the cache")
			if w == "Anthropic" {
				require.Greater(t, usage[0].CacheWrite, int64(3000))
				require.Less(t, usage[2].Input, int64(100))
			}
		})
	}
}

func TestAtMostFourMarks(t *testing.T) {
	t.Parallel()
	p := serve(t, messageDone)
	r := ask("1")
	for range 5 {
		r.Messages = append(r.Messages, model.Message{Role: model.Assistant, Text: "and?"}, model.Message{Role: model.User, Text: "more"})
	}
	_, err := open(t, wire(t, "Anthropic", p.URL), model.Options{}).Generate(t.Context(), r, nil)
	require.NoError(t, err)
	raw := string(only(t, p).Raw)
	require.Equal(t, 4, strings.Count(raw, `"cache_control"`), "the tools, the system message and two turns")
	var body struct {
		System, Tools []struct {
			CacheControl map[string]any `json:"cache_control"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(raw), &body))
	require.Nil(t, body.Tools[0].CacheControl)
	require.Equal(t, "ephemeral", body.Tools[1].CacheControl["type"])
	require.Equal(t, "ephemeral", body.System[0].CacheControl["type"])
}

func TestUsageInAllItsForms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		usage string
		want  v1alpha1.TokenUsage
	}{
		"OpenAI":         {`{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":64}}`, v1alpha1.TokenUsage{Input: 36, Output: 20, CacheRead: 64}},
		"cache writes":   {`{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":30}}`, v1alpha1.TokenUsage{Input: 6, Output: 20, CacheRead: 64, CacheWrite: 30}},
		"DeepSeek":       {`{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_cache_hit_tokens":90}`, v1alpha1.TokenUsage{Input: 10, Output: 20, CacheRead: 90}},
		"thoughts apart": {`{"prompt_tokens":100,"completion_tokens":20,"total_tokens":500}`, v1alpha1.TokenUsage{Input: 100, Output: 400}},
		"nonsense":       {`{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":99,"cache_write_tokens":-4}}`, v1alpha1.TokenUsage{Output: 2, CacheRead: 10}},
	} {
		p := serve(t, events(`{"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, `{"choices":[],"usage":`+c.usage+`}`, `[DONE]`))
		reply, err := open(t, wire(t, "OpenAI", p.URL), model.Options{}).Generate(t.Context(), ask("?"), nil)
		require.NoError(t, err, name)
		require.Equal(t, c.want, reply.Usage, name)
	}
}
