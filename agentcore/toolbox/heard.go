package toolbox

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// maxHeard bounds what is kept of an agent's answer, in bytes.
const maxHeard = 1 << 20

// heard is what an agent has said to a question so far.
type heard struct {
	say func(text string) // hears what the agent says of its progress

	task  a2a.TaskID
	state a2a.TaskState
	words string   // of its latest message
	order []string // of artifacts
	texts map[string]string
	took  *v1alpha1.AskedUsage // as it said last; nil if it does not say
}

// all hears a stream until it ends, or nothing more comes.
func (h *heard) all(events iter.Seq2[a2a.Event, error]) error {
	for e, err := range events {
		if err != nil {
			return err
		}
		if h.hear(e); h.over() {
			return nil
		}
	}
	return nil
}

func (h *heard) hear(e a2a.Event) {
	switch e := e.(type) {
	case *a2a.Message:
		h.words, h.state = textOfParts(e.Parts), a2a.TaskStateCompleted
	case *a2a.Task:
		h.task = e.ID
		h.takes(e.Metadata)
		h.stands(e.Status)
		for _, a := range e.Artifacts {
			h.keep(a, false)
		}
		if h.words == "" && h.state.Terminal() {
			h.words = lastOf(e.History)
		}
	case *a2a.TaskStatusUpdateEvent:
		h.task = e.TaskID
		h.takes(e.Metadata)
		h.stands(e.Status)
	case *a2a.TaskArtifactUpdateEvent:
		h.task = e.TaskID
		h.keep(e.Artifact, e.Append)
	}
}

// takes notes what the agent says that it has taken.
func (h *heard) takes(metadata map[string]any) {
	said, ok := metadata[MetaUsage]
	if !ok {
		return
	}
	raw, err := json.Marshal(said)
	var u v1alpha1.AskedUsage
	if err != nil || json.Unmarshal(raw, &u) != nil {
		return
	}
	h.took = &u
}

// mostTokens is the most that an agent is believed to have taken for an answer.
const mostTokens = 1e12

// asked is what the question took, with what is to be believed of it.
func (h *heard) asked() *v1alpha1.AskedUsage {
	if h.took == nil {
		return &v1alpha1.AskedUsage{Questions: 1, Unstated: 1}
	}
	return &v1alpha1.AskedUsage{
		Questions: 1, Unstated: min(max(h.took.Unstated, 0), 1),
		Tokens: min(max(h.took.Tokens, 0), mostTokens), CostUSD: declared.Dollars(declared.Amount(h.took.CostUSD)),
	}
}

func (h *heard) stands(s a2a.TaskStatus) {
	h.state = s.State
	if s.Message == nil {
		return
	}
	h.words = textOfParts(s.Message.Parts)
	if !h.over() && h.words != "" {
		h.say(h.words)
	}
}

func (h *heard) keep(a *a2a.Artifact, more bool) {
	if a == nil {
		return
	}
	if h.texts == nil {
		h.texts = map[string]string{}
	}
	id := string(a.ID)
	was, known := h.texts[id]
	if !known {
		h.order = append(h.order, id)
	}
	text := textOfParts(a.Parts)
	if more {
		text = was + text
	}
	if len(text) <= maxHeard && len(h.order) <= 100 {
		h.texts[id] = text
	}
}

// over reports whether nothing more comes before we ask again.
func (h *heard) over() bool {
	return h.state.Terminal() || h.state == a2a.TaskStateInputRequired || h.state == a2a.TaskStateAuthRequired
}

// open is the task that waits for an answer of ours; none if empty.
func (h *heard) open() a2a.TaskID {
	if h.state == a2a.TaskStateInputRequired {
		return h.task
	}
	return ""
}

// outcome is what the agent answered in the end.
func (h *heard) outcome(tool string) Outcome {
	var parts []string
	for _, id := range h.order {
		if text := strings.TrimSpace(h.texts[id]); text != "" {
			parts = append(parts, text)
		}
	}
	text := strings.Join(parts, "\n")
	words := strings.TrimSpace(h.words)
	if text == "" || h.state != a2a.TaskStateCompleted && words != "" && !strings.Contains(text, words) {
		text = strings.TrimSpace(text + "\n" + words)
	}
	text = mcpkit.Clean(text)
	switch h.state {
	case a2a.TaskStateCompleted:
		if text == "" {
			text = "(the agent answered nothing)"
		}
		return Outcome{Text: text}
	case a2a.TaskStateInputRequired:
		return Outcome{Text: fmt.Sprintf("The agent wants to know more before it answers; call %s again with that.\n%s", tool, text)}
	case a2a.TaskStateAuthRequired:
		return Outcome{Error: true, Text: "The agent waits for somebody to log in, which nobody can here.\n" + text}
	case a2a.TaskStateCanceled:
		return Outcome{Error: true, Text: "The agent was cancelled before it had an answer.\n" + text}
	case a2a.TaskStateRejected:
		return Outcome{Error: true, Text: "The agent rejects the question.\n" + text}
	}
	return Outcome{Error: true, Text: "The agent failed.\n" + text}
}

// textOfParts is what of a message is text; data is shown as JSON, files are
// named.
func textOfParts(parts a2a.ContentParts) string {
	var b strings.Builder
	for _, p := range parts {
		switch content := p.Content.(type) {
		case a2a.Text:
			b.WriteString(string(content))
		case a2a.Data:
			if raw, err := json.Marshal(content.Value); err == nil {
				b.Write(raw)
			}
		case a2a.Raw:
			fmt.Fprintf(&b, "[file %s %s, %d bytes, not shown]", p.Filename, p.MediaType, len(content))
		case a2a.URL:
			fmt.Fprintf(&b, "[file %s %s at %s]", p.Filename, p.MediaType, content)
		}
	}
	return b.String()
}

// lastOf is what the agent said last in a conversation.
func lastOf(history []*a2a.Message) string {
	for i := len(history) - 1; i >= 0; i-- {
		if history[i].Role == a2a.MessageRoleAgent {
			return textOfParts(history[i].Parts)
		}
	}
	return ""
}
