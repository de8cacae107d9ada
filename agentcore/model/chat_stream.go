package model

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/packages/ssestream"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// chunk is a piece of an answer, with what others than OpenAI add to it.
type chunk struct {
	Choices []struct {
		Delta        delta   `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *chatUsage      `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type delta struct {
	Content   string      `json:"content"`
	Refusal   string      `json:"refusal"`
	Reasoning string      `json:"reasoning_content"` // DeepSeek's, vLLM's and Moonshot's, wanted back with calls
	ToolCalls []chatPiece `json:"tool_calls"`
}

// chatPiece is a piece of a call.
type chatPiece struct {
	Index    int    `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
	Extra json.RawMessage `json:"extra_content"` // Gemini's signatures of thoughts, wanted back
}

type chatUsage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`
	Details    struct {
		Cached int64 `json:"cached_tokens"`
		Wrote  int64 `json:"cache_write_tokens"` // OpenRouter's
	} `json:"prompt_tokens_details"`
	Hit int64 `json:"prompt_cache_hit_tokens"` // DeepSeek's
}

// usage splits what is counted. Gemini and xAI count thoughts in the total alone.
func (u *chatUsage) usage() v1alpha1.TokenUsage {
	read := min(max(u.Details.Cached, u.Hit, 0), u.Prompt)
	wrote := min(max(u.Details.Wrote, 0), u.Prompt-read)
	return v1alpha1.TokenUsage{Input: u.Prompt - read - wrote, Output: max(u.Completion, u.Total-u.Prompt), CacheRead: read, CacheWrite: wrote}
}

// chatCall is a call while it grows.
type chatCall struct {
	index     int
	id, name  string
	arguments strings.Builder
	extra     json.RawMessage
}

// completion is an answer of this API while it grows.
type completion struct {
	text, reasoning strings.Builder
	refused         bool
	calls           []*chatCall
	finish          string
	usage           *chatUsage
	done            bool
}

// readChat reads the events of a stream. The decoder is Anthropic's, which knows
// nothing of what the events hold.
func readChat(response *http.Response, r Request, say func(string)) (Reply, error) {
	var c completion
	events := ssestream.NewDecoder(response)
	for !c.done && events.Next() {
		if err := c.event(events.Event().Data, say); err != nil {
			return Reply{Usage: c.counted(r)}, err
		}
	}
	if err := events.Err(); err != nil {
		return Reply{Usage: c.counted(r)}, err
	}
	if c.finish == "" {
		return Reply{Usage: c.counted(r)}, broken("the answer ended in the middle")
	}
	return c.reply(r), nil
}

// event takes what an event holds: a piece of the answer, its end, or an error.
func (c *completion) event(data []byte, say func(string)) error {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil
	}
	if bytes.Equal(data, []byte("[DONE]")) {
		c.done = true
		return nil
	}
	var piece chunk
	if err := json.Unmarshal(data, &piece); err != nil || len(piece.Error) > 0 && string(piece.Error) != "null" {
		if o, ok := readObjection(data); ok && o.message != "" {
			return o.judge(http.StatusOK)
		}
		return broken("the answer cannot be read: " + string(data[:min(len(data), 200)]))
	}
	c.take(&piece, say)
	return nil
}

func (c *completion) take(piece *chunk, say func(string)) {
	if piece.Usage != nil { // the last one counts: some tell as they go
		c.usage = piece.Usage
	}
	if len(piece.Choices) == 0 {
		return
	}
	choice := &piece.Choices[0]
	c.reasoning.WriteString(choice.Delta.Reasoning)
	c.refused = c.refused || choice.Delta.Refusal != ""
	for _, text := range []string{choice.Delta.Content, choice.Delta.Refusal} {
		c.text.WriteString(text)
		say(text)
	}
	for i := range choice.Delta.ToolCalls {
		c.grow(&choice.Delta.ToolCalls[i])
	}
	if choice.FinishReason != nil && *choice.FinishReason != "" {
		c.finish = *choice.FinishReason
	}
}

// grow adds a piece to its call. Ollama and Gemini have sent several calls, each
// whole, under one index: another ID, or a name after arguments that are whole,
// begins another call.
func (c *completion) grow(piece *chatPiece) {
	var call *chatCall
	for _, known := range c.calls {
		if known.index == piece.Index {
			call = known // the newest of that index
		}
	}
	if call == nil || piece.ID != "" && call.id != "" && piece.ID != call.id ||
		piece.ID == "" && call.id == "" && piece.Function.Name != "" && json.Valid([]byte(call.arguments.String())) {
		call = &chatCall{index: piece.Index}
		c.calls = append(c.calls, call)
	}
	call.id = cmp.Or(call.id, piece.ID)
	call.name = cmp.Or(call.name, piece.Function.Name)
	call.arguments.WriteString(piece.Function.Arguments)
	if len(piece.Extra) > 0 && string(piece.Extra) != "null" {
		call.extra = piece.Extra
	}
}

// finishes are OpenAI's words for why an answer ends; any other is done.
var finishes = map[string]Stop{"tool_calls": StopCalls, "function_call": StopCalls, "length": StopLength, "content_filter": StopRefused}

func (c *completion) reply(r Request) Reply {
	reply := Reply{Text: c.text.String(), Usage: c.counted(r), Stop: StopDone}
	for _, call := range c.calls {
		if call.id == "" { // the results must name something
			call.id = "call_" + rand.Text()
		}
		reply.Calls = append(reply.Calls, Call{ID: call.id, Name: call.name, Arguments: cmp.Or(call.arguments.String(), "{}")})
	}
	stop, known := finishes[c.finish]
	switch {
	case c.refused:
		reply.Stop = StopRefused
	case known && (stop != StopCalls || len(c.calls) > 0):
		reply.Stop = stop
	case len(c.calls) > 0:
		reply.Stop = StopCalls
	}
	reply.Opaque = c.opaque(reply)
	return reply
}

// counted is what the answer cost. Where an endpoint does not tell, and where
// the answer broke off before it did, it is reckoned with four bytes for a
// token, so that limits hold all the same.
func (c *completion) counted(r Request) v1alpha1.TokenUsage {
	if c.usage != nil {
		return c.usage.usage()
	}
	const bytesPerToken = 4
	read, wrote := len(r.System), c.text.Len()+c.reasoning.Len()
	for _, t := range r.Tools {
		read += len(t.Name) + len(t.Description) + len(t.Schema)
	}
	for _, m := range r.Messages {
		read += len(m.Text)
		for _, call := range m.Calls {
			read += len(call.Name) + len(call.Arguments)
		}
		for _, result := range m.Results {
			read += len(result.Text)
		}
	}
	for _, call := range c.calls {
		wrote += len(call.name) + call.arguments.Len()
	}
	return v1alpha1.TokenUsage{Input: int64(read / bytesPerToken), Output: int64(wrote / bytesPerToken)}
}

// opaque is the answer as it goes back, if it holds what its parts do not: signed
// thoughts, and thoughts before calls.
func (c *completion) opaque(r Reply) string {
	extra := c.reasoning.Len() > 0 && len(c.calls) > 0
	calls := []any{}
	for i, call := range c.calls {
		v := map[string]any{"id": call.id, "type": "function", "function": map[string]string{"name": call.name, "arguments": r.Calls[i].Arguments}}
		if call.extra != nil {
			extra, v["extra_content"] = true, call.extra
		}
		calls = append(calls, v)
	}
	if !extra {
		return ""
	}
	message := map[string]any{"role": "assistant", "content": r.Text, "tool_calls": calls}
	if c.reasoning.Len() > 0 {
		message["reasoning_content"] = c.reasoning.String()
	}
	own, _ := json.Marshal(message) // it came as JSON
	kept, _ := json.Marshal(opaqueChat{own})
	return string(kept)
}
