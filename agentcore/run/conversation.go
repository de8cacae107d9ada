package run

import (
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/agentcore/model"
)

// How often the same call may come to the same result before the model is told,
// and before the run ends.
const (
	repeatsTold = 3
	repeatsMost = 6
)

// conversation is the run as the model is shown it. It follows from the state
// alone, so that a run that goes on after a restart is the same conversation.
type conversation struct {
	*State
	fence
}

func (s *State) conversation(f fence) []model.Message {
	c := conversation{s, f}
	var out []model.Message
	for _, h := range s.History {
		out = append(out, model.Message{Role: model.User, Text: orElse(h.Question, "(no question)")}, model.Message{Role: model.Assistant, Text: orElse(h.Answer, "(no answer)")})
	}
	out = append(out, model.Message{Role: model.User, Text: c.question()})
	for _, t := range s.Turns[s.Folded:] {
		out = c.turn(out, t)
	}
	return out
}

// turn adds an answer of the model and the results of its calls. An answer that
// said nothing is not sent back: no provider takes it.
func (c *conversation) turn(out []model.Message, t Turn) []model.Message {
	if t.Text == "" && len(t.Calls) == 0 {
		last := &out[len(out)-1]
		last.Text = strings.TrimLeft(last.Text+"\n\nYour last answer was empty. Answer now.", "\n")
		return out
	}
	said := model.Message{Role: model.Assistant, Text: t.Text, Opaque: t.Opaque}
	for _, call := range t.Calls {
		said.Calls = append(said.Calls, model.Call{ID: call.ID, Name: admissible(call.Tool), Arguments: call.Arguments})
	}
	heard := model.Message{Role: model.User, Results: c.results(t)}
	if len(t.Calls) == 0 {
		heard.Text = "Go on."
	}
	return append(out, said, heard)
}

// admissible is a name that a model gave to a tool as all providers take it back.
// The names of tools on offer are so already; models make up others.
func admissible(name string) string {
	name = strings.Map(func(r rune) rune {
		if odd(r) {
			return '_'
		}
		return r
	}, name)
	return orElse(name[:min(len(name), 64)], "unnamed")
}

// question is the first message: what is asked, what came with it, and what is
// known by now if it has been folded.
func (c *conversation) question() string {
	var b strings.Builder
	b.WriteString(orElse(c.Question, "(no question)"))
	if HasTakenOut(c.Question) {
		fmt.Fprintf(&b, "\n\nWhat looked like a credential was taken out of this question, and stands there as %s. You need none: go on without it, and ask for none.", takenOut)
	}
	if c.Data != "" {
		fmt.Fprintf(&b, "\n\nThis came with the question:\n%s", c.wrap("whoever asked", c.Data))
	}
	if c.Missing != "" {
		fmt.Fprintf(&b, "\n\nNot on offer in this run:\n%s", c.wrap("the tool servers", c.Missing))
	}
	if c.Summary != "" {
		fmt.Fprintf(&b, "\n\nYour notes on the conversation and the work so far:\n%s", c.wrap("your notes", c.Summary))
	}
	return b.String()
}

// results are those of a turn, in the order of its calls.
func (c *conversation) results(t Turn) []model.Result {
	var out []model.Result
	for _, call := range t.Calls {
		if !call.Done {
			out = append(out, model.Result{Call: call.ID, Text: "This call was not made.", Error: true})
			continue
		}
		text := call.Result
		if call.Outcome == "" { // else it is our own word
			text = c.wrap(call.Tool, text)
		}
		if call.Repeats >= repeatsTold {
			text += fmt.Sprintf("\n\nThis call has now come to this same result %d times. Calling it again will not help: try something else, or answer with what you know. After %d times the run ends.", call.Repeats, repeatsMost)
		}
		out = append(out, model.Result{Call: call.ID, Text: text, Error: call.Error})
	}
	return out
}

func orElse(s, otherwise string) string {
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}
