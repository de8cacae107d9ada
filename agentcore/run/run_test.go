package run_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

func TestRunComesToItsAnswer(t *testing.T) {
	var last model.Request
	think := script(says("I look.", calls("a", "k8s_get_pods", `{"name":"web"}`), calls("b", "k8s_get_events", `{}`)), says("It is out of memory."))
	m := thinker(func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		last = r
		return think(ctx, r, say)
	})
	tools := &shelf{tools: []toolbox.Tool{reads("k8s_get_pods"), reads("k8s_get_events")}}
	var heard string
	var types []v1alpha1.EventType
	log, err := record.OpenFile(filepath.Join(t.TempDir(), "run.jsonl"))
	require.NoError(t, err)
	defer log.Close()
	r := runner(m, tools)
	s, err := r.Run(t.Context(), run.Question{Run: "run-1", Text: "Why is web down?", Data: `{"alert":"WebDown"}`}, log, run.Observer{
		Text:  func(text string) { heard += text },
		Event: func(e record.Event, _ *run.State) { types = append(types, e.Type) },
	})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RunCompleted, s.Phase)
	require.Equal(t, "It is out of memory.", s.Answer())
	require.Equal(t, 2, len(s.Turns))
	require.Equal(t, 2, s.ToolCalls)
	require.Equal(t, v1alpha1.TokenUsage{Input: 200, Output: 20}, s.Usage)
	require.Equal(t, "I look.It is out of memory.", heard)
	require.ElementsMatch(t, []string{`k8s_get_pods {"name":"web"}`, "k8s_get_events {}"}, tools.calls())
	require.Equal(t, []v1alpha1.EventType{"asked", "answered", "call", "call", "result", "result", "answered", "ended"}, types)

	require.Len(t, last.Messages, 3)
	require.Contains(t, last.Messages[0].Text, "Why is web down?")
	require.Regexp(t, `<<<DATA [0-9a-f]{16} from whoever asked>>>\n\{"alert":"WebDown"\}\n<<<END`, last.Messages[0].Text)
	require.Equal(t, "a", last.Messages[2].Results[0].Call)
	require.Regexp(t, `(?s)^<<<DATA ([0-9a-f]{16}) from k8s_get_pods>>>\nk8s_get_pods says fine\n<<<END `, last.Messages[2].Results[0].Text)
}
