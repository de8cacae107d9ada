package run_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// FuzzReplay holds that whatever a record says, in whatever order, a run is
// made of it that can go on: its conversation is one that providers take, and
// the same each time.
func FuzzReplay(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 1, 7})
	f.Add([]byte{0, 9, 18, 2, 3, 1, 5, 6, 2, 2, 3, 7, 0})
	f.Add([]byte{3, 2, 4, 5, 1, 1, 1, 0, 0, 7, 7})
	f.Fuzz(func(t *testing.T, moves []byte) {
		events := eventsOf(moves)
		s := run.Replay(events)
		again := run.Replay(events)
		require.Equal(t, s, again)
		require.NoError(t, wellFormed(s.Conversation()))
		require.Equal(t, s.Conversation(), again.Conversation())
		require.GreaterOrEqual(t, s.Active(time.Unix(1e6, 0)), time.Duration(0))
		require.LessOrEqual(t, s.Folded, len(s.Turns))
		for _, a := range s.Approvals() {
			require.NotEmpty(t, a.Name)
		}
		text, err := json.Marshal(s.Approvals())
		require.NoError(t, err)
		require.True(t, json.Valid(text))
		if s.Over() {
			more := run.Replay(append(events, events...))
			require.Equal(t, s.Phase, more.Phase, "what is over stays over")
			require.Equal(t, s.Answer(), more.Answer())
		}
	})
}

// eventsOf makes events of numbers, those of a run and some that fit nowhere.
func eventsOf(moves []byte) []record.Event {
	types := []v1alpha1.EventType{"asked", "answered", "call", "result", "waits", "folded", "resumed", "ended", "unheard of"}
	ids := []string{"a", "b", "", "c"}
	var out []record.Event
	for i, m := range moves {
		id := ids[int(m/9)%len(ids)]
		e := record.Event{
			Time: time.Unix(int64(1000+i*int(m%5)), 0).UTC().Format(time.RFC3339Nano),
			Type: types[int(m)%len(types)], Call: id, Tool: "tool-" + id,
		}
		switch e.Type {
		case "asked":
			e.Text, e.Seed = "Why?", "seed"
		case "answered":
			e.Usage = &v1alpha1.TokenUsage{Input: int64(m) - 100}
			if m%2 == 0 {
				e.Text = "So."
			}
			if m > 60 {
				e.Calls = []v1alpha1.ToolCall{{ID: id, Tool: "get", Arguments: "{"}, {ID: id + "2", Tool: "get", Arguments: "{}"}}
			}
		case "folded":
			e.Turn, e.Text = int32(m%4), "notes"
		case "waits":
			e.Approval = "tools/a"
		case "ended":
			e.Phase = []v1alpha1.RunPhase{v1alpha1.RunCompleted, "", v1alpha1.RunStopped}[m%3]
		}
		if m%11 == 0 {
			e.Time = "no time"
		}
		out = append(out, e)
	}
	return out
}
