// Package terminal is an agent's face on a terminal: it streams the answer,
// shows what is called as it happens, and asks the person there about each
// write. It refuses to take anything but a plain yes for one.
package terminal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Screen shows runs. Out gets the answer, or with JSON one event per line and
// nothing else; what happens besides goes to Errs. Its methods may be called at
// the same time.
type Screen struct {
	Out, Errs io.Writer
	JSON      bool

	mu   sync.Mutex
	open bool // the last line of Out has not ended
	said bool // anything, since the last line of ours
}

// Observer shows one run. inner names the agent of a run that another asked for,
// and is empty for the run itself.
func (s *Screen) Observer(name, inner string) run.Observer {
	o := run.Observer{
		Called: func(c run.Called) { s.note("%s%s", prefix(inner), called(c)) },
		Event: func(e record.Event, _ *run.State) {
			if s.JSON {
				s.event(name, inner, e)
			}
			if e.Type == v1alpha1.EventWaits && e.Approval != "" {
				s.note("%s%s", prefix(inner), e.Reason)
			}
			if e.Type == v1alpha1.EventFolded {
				s.note("%sthe conversation grew long; its older part is folded into a summary", prefix(inner))
			}
			if e.Type == v1alpha1.EventAsked && e.Reason != "" && e.Seed != "" {
				s.note("%s%s", prefix(inner), e.Reason)
			}
		},
	}
	if inner == "" && !s.JSON {
		o.Text = s.text
	}
	return o
}

func prefix(inner string) string {
	if inner == "" {
		return ""
	}
	return inner + ": "
}

// Line is one event as --json writes it.
type Line struct {
	Run   string `json:"run"`
	Agent string `json:"agent,omitempty"` // of a run that another agent asked for
	record.Event
}

func (s *Screen) event(name, inner string, e record.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, err := json.Marshal(Line{name, inner, e})
	if err == nil {
		fmt.Fprintf(s.Out, "%s\n", line)
	}
}

// text shows the model's words as they arrive.
func (s *Screen) text(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text = mcpkit.Clean(text)
	if text == "" {
		return
	}
	io.WriteString(s.Out, text)
	s.open, s.said = !strings.HasSuffix(text, "\n"), true
}

// note shows a line of ours.
func (s *Screen) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	fmt.Fprintln(s.Errs, oneLine(fmt.Sprintf(format, args...), 400))
}

// end ends the line that the model is writing.
func (s *Screen) end() {
	if s.open {
		fmt.Fprintln(s.Out)
	}
	s.open = false
}

// show writes a text of several lines for the person to read.
func (s *Screen) show(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	io.WriteString(s.Errs, mcpkit.Clean(text))
}

// called is a call in one line.
func called(c run.Called) string {
	what := fmt.Sprintf("%s %s", c.Call.Tool, oneLine(c.Call.Arguments, 120))
	took := c.Took.Round(time.Millisecond)
	switch {
	case c.Unsure:
		return fmt.Sprintf("→ %s: what became of it is not known (%s)", what, took)
	case c.Error:
		return fmt.Sprintf("→ %s: an error of %d bytes in %s", what, c.Bytes, took)
	}
	return fmt.Sprintf("→ %s: %d bytes in %s", what, c.Bytes, took)
}

// oneLine is the beginning of a text, on one line.
func oneLine(text string, most int) string {
	text = strings.Join(strings.Fields(mcpkit.Clean(text)), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// Ended shows how a run ended.
func (s *Screen) Ended(name string, state *run.State, prices func(v1alpha1.TokenUsage) (float64, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := mcpkit.Clean(state.Answer())
	if !s.JSON && !s.said && answer != "" {
		io.WriteString(s.Out, answer)
		s.open = !strings.HasSuffix(answer, "\n")
	}
	s.end()
	if state.Phase != v1alpha1.RunCompleted || state.Reason != "" {
		fmt.Fprintf(s.Errs, "%s: %s\n", state.Phase, oneLine(state.Reason, 400))
	}
	u := state.Usage
	line := fmt.Sprintf("run %s: %d turns, %d tool calls, %d tokens", name, len(state.Turns), state.ToolCalls, u.Input+u.Output+u.CacheRead+u.CacheWrite)
	if cost, known := prices(u); known {
		line += fmt.Sprintf(", $%.4f", cost)
	}
	if a := state.Asked; a.Questions > 0 {
		line += fmt.Sprintf("; %d questions to agents, %d tokens, $%s", a.Questions, a.Tokens, cmp.Or(a.CostUSD, "0"))
		if a.Unstated > 0 {
			line += fmt.Sprintf(", and more that %d of them do not tell", a.Unstated)
		}
	}
	fmt.Fprintln(s.Errs, line)
}
