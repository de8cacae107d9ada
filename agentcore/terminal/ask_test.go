package terminal_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/terminal"
)

// shown tells of each text that is shown.
type shown chan string

func (s shown) Write(p []byte) (int, error) {
	s <- string(p)
	return len(p), nil
}

// TestWhatIsTypedTooEarly holds that a yes counts for the question that stands on
// the screen, and for no later one.
func TestWhatIsTypedTooEarly(t *testing.T) {
	t.Parallel()
	in, typed := io.Pipe()
	defer typed.Close()
	screen := make(shown)
	p := &terminal.Person{In: in, Screen: &terminal.Screen{Out: io.Discard, Errs: screen}}
	ask := func(question, answer string) bool {
		said := make(chan bool)
		go func() {
			yes, err := p.Ask(t.Context(), question)
			said <- err == nil && yes
		}()
		require.Equal(t, "\n"+question+"\n\n[y/N] ", <-screen)
		_, err := io.WriteString(typed, answer)
		require.NoError(t, err)
		return <-said
	}
	require.True(t, ask("Scale web?", "y\ny\ny\ny\n"))
	require.False(t, ask("Delete web?", "n\n"), "the yes was typed before")
	require.True(t, ask("Scale db?", "yes\n"))
	typed.Close()
	go func() { <-screen }()
	_, err := p.Ask(t.Context(), "Delete db?")
	require.ErrorContains(t, err, "the terminal was closed")
}
