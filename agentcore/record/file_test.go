package record_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

func open(t testing.TB, path string) *record.File {
	t.Helper()
	f, err := record.OpenFile(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

var (
	asked    = record.Event{Time: "2026-01-02T15:04:05.000Z", Type: v1alpha1.EventAsked, Text: "Why?\nSay — 日本語"}
	answered = record.Event{Type: v1alpha1.EventAnswered, Turn: 1, Calls: []v1alpha1.ToolCall{{ID: "a", Tool: "get", Arguments: `{"x":1}`}}, Usage: &v1alpha1.TokenUsage{Input: 3}}
	call     = record.Event{Type: v1alpha1.EventCall, Call: "a", Tool: "get"}
)

func TestFileKeepsWhatWasAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs", "one.jsonl")
	f := open(t, path)
	require.Empty(t, f.Events())
	require.NoError(t, f.Append(t.Context(), asked))
	require.NoError(t, f.Append(t.Context(), answered, call))
	require.Equal(t, []record.Event{asked, answered, call}, f.Events())

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	require.Len(t, lines, 3, "a line for each event")
	require.JSONEq(t, `{"time":"2026-01-02T15:04:05.000Z","type":"asked","text":"Why?\nSay — 日本語"}`, lines[0])

	_, err = record.OpenFile(path)
	require.ErrorIs(t, err, record.ErrBusy)
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Append(t.Context(), call), os.ErrClosed)
	require.Equal(t, []record.Event{asked, answered, call}, open(t, path).Events())
}

func TestFileLeavesOutWhatWasCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.jsonl")
	f := open(t, path)
	require.NoError(t, f.Append(t.Context(), asked))
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, f.Append(t.Context(), answered, call))
	require.NoError(t, f.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)

	for end := len(first); end < len(whole); end++ {
		require.NoError(t, os.WriteFile(path, whole[:end], 0o600))
		f := open(t, path)
		require.Equal(t, []record.Event{asked}, f.Events(), "cut at %d: what was appended together is kept together", end)
		require.NoError(t, f.Append(t.Context(), call))
		require.NoError(t, f.Close())
		require.Equal(t, []record.Event{asked, call}, reopened(t, path), "cut at %d", end)
	}
}

func reopened(t *testing.T, path string) []record.Event {
	f, err := record.OpenFile(path)
	require.NoError(t, err)
	defer f.Close()
	return f.Events()
}

func TestFileRefusesWhatIsNoRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("{\"type\":\"asked\"}\nshopping list\n{\"type\":\"ended\"}\n"), 0o600))
	_, err := record.OpenFile(path)
	require.ErrorContains(t, err, "line 2 is not an event of a run")
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(kept), "shopping list", "it is left as it is")
}

func TestFullRecordTakesResultsAndTheEnd(t *testing.T) {
	for name, log := range map[string]record.Log{"file": open(t, filepath.Join(t.TempDir(), "one.jsonl")), "memory": &record.Memory{}} {
		t.Run(name, func(t *testing.T) {
			big := record.Event{Type: v1alpha1.EventAnswered, Text: strings.Repeat("x", 50<<10)}
			var err error
			for err == nil {
				err = log.Append(t.Context(), big)
			}
			require.ErrorIs(t, err, record.ErrFull)
			require.NoError(t, log.Append(t.Context(), record.Event{Type: v1alpha1.EventResult, Text: strings.Repeat("y", 30<<10)}))
			require.NoError(t, log.Append(t.Context(), record.Event{Type: v1alpha1.EventEnded, Phase: v1alpha1.RunStopped}))
			bytes := 0
			for _, e := range log.Events() {
				bytes += record.Size(e)
			}
			require.Greater(t, bytes, 900<<10)
			require.LessOrEqual(t, bytes, record.MostBytes)

			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, log.Append(cancelled, call), context.Canceled)
		})
	}
}

// FuzzParse holds that whatever a disk is left with, what was whole is read, and
// what is read would be read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte("{\"type\":\"asked\"}\n{\"type\":\"call\",\"more\":true}\n{\"type\":\"resu"), 20)
	f.Add([]byte("{\"type\":\"asked\",\"text\":\"\\ud800\"}\n\x00\x00\x00"), 3)
	f.Fuzz(func(t *testing.T, content []byte, cut int) {
		events, whole, err := record.Parse(content)
		if err != nil {
			require.Empty(t, events)
			return
		}
		require.LessOrEqual(t, whole, len(content))
		require.LessOrEqual(t, len(events), bytes.Count(content[:whole], []byte("\n")))
		again, all, err := record.Parse(content[:whole])
		require.NoError(t, err)
		require.Equal(t, whole, all)
		require.Equal(t, events, again)
		if cut >= 0 && cut < whole {
			before, end, err := record.Parse(content[:cut])
			require.NoError(t, err, "the beginning of a record is a record")
			require.LessOrEqual(t, end, cut)
			require.Equal(t, append([]record.Event{}, events[:len(before)]...), append([]record.Event{}, before...))
		}
	})
}
