package model

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/packages/ssestream"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// block is a part of an answer while it grows.
type block struct {
	kind, id, name            string
	text, thinking, signature strings.Builder
	input                     strings.Builder
	raw                       string // as it began, for kinds that do not grow
}

// message is an answer of Anthropic's API while it grows. The SDK's own
// accumulator drops arguments that are no JSON, which the model must be told of.
type message struct {
	blocks []*block
	stop   anthropic.StopReason
	usage  v1alpha1.TokenUsage
	ended  bool
}

func readMessage(stream *ssestream.Stream[anthropic.MessageStreamEventUnion], say func(string)) (Reply, error) {
	var m message
	for stream.Next() {
		if f := m.take(stream.Current(), say); f != nil {
			return Reply{Usage: m.usage}, f
		}
	}
	if err := stream.Err(); err != nil {
		return Reply{Usage: m.usage}, streamed(err)
	}
	if !m.ended {
		return Reply{Usage: m.usage}, broken("the answer ended in the middle")
	}
	return m.reply(), nil
}

// streamed makes an Error of an error that came as an event of the stream.
func streamed(err error) error {
	var said *anthropic.Error
	if errors.As(err, &said) {
		if o, ok := readObjection([]byte(said.RawJSON())); ok {
			return o.judge(200)
		}
	}
	return spoiled(err)
}

// spoiled tells what cannot be read from a connection that broke.
func spoiled(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) {
		return broken("the answer cannot be read: " + err.Error())
	}
	return err
}

func (m *message) take(e anthropic.MessageStreamEventUnion, say func(string)) *Error {
	switch e.Type {
	case "message_start":
		u := e.Message.Usage
		m.usage = v1alpha1.TokenUsage{Input: u.InputTokens, Output: u.OutputTokens, CacheRead: u.CacheReadInputTokens, CacheWrite: u.CacheCreationInputTokens}
	case "content_block_start":
		if int(e.Index) != len(m.blocks) {
			return broken("the answer's parts come out of order")
		}
		m.start(e.ContentBlock, say)
	case "content_block_delta":
		if e.Index < 0 || int(e.Index) >= len(m.blocks) {
			return broken("the answer goes on with a part that never began")
		}
		m.blocks[e.Index].grow(e.Delta, say)
	case "message_delta":
		m.stop = e.Delta.StopReason
		m.count(e.Usage)
	case "message_stop":
		m.ended = true
	}
	return nil
}

func (m *message) start(c anthropic.ContentBlockStartEventContentBlockUnion, say func(string)) {
	b := &block{kind: c.Type, id: c.ID, name: c.Name, raw: c.RawJSON()}
	m.blocks = append(m.blocks, b)
	b.text.WriteString(c.Text)
	b.thinking.WriteString(c.Thinking)
	b.signature.WriteString(c.Signature)
	if c.Type == "tool_use" { // some endpoints send the arguments at once
		var began struct{ Input json.RawMessage }
		if json.Unmarshal([]byte(b.raw), &began) == nil && string(began.Input) != "{}" && string(began.Input) != "null" {
			b.input.Write(began.Input)
		}
	}
	say(c.Text)
}

func (b *block) grow(d anthropic.MessageStreamEventUnionDelta, say func(string)) {
	switch d.Type {
	case "text_delta":
		b.text.WriteString(d.Text)
		say(d.Text)
	case "input_json_delta":
		b.input.WriteString(d.PartialJSON)
	case "thinking_delta":
		b.thinking.WriteString(d.Thinking)
	case "signature_delta":
		b.signature.WriteString(d.Signature)
	}
}

// count takes totals, which replace those of the start where they are given.
func (m *message) count(u anthropic.MessageDeltaUsage) {
	m.usage.Output = max(u.OutputTokens, m.usage.Output)
	if u.JSON.InputTokens.Valid() {
		m.usage.Input = u.InputTokens
	}
	if u.JSON.CacheReadInputTokens.Valid() {
		m.usage.CacheRead = u.CacheReadInputTokens
	}
	if u.JSON.CacheCreationInputTokens.Valid() {
		m.usage.CacheWrite = u.CacheCreationInputTokens
	}
}

// stops are Anthropic's words for why an answer ends; any other is done.
var stops = map[anthropic.StopReason]Stop{
	anthropic.StopReasonToolUse:     StopCalls,
	anthropic.StopReasonMaxTokens:   StopLength,
	anthropic.StopReasonRefusal:     StopRefused,
	"model_context_window_exceeded": StopLength,
}

func (m *message) reply() Reply {
	r := Reply{Usage: m.usage, Stop: StopDone}
	var texts []string
	var own opaqueMessage
	unchanged := false
	for _, b := range m.blocks {
		switch b.kind {
		case "text":
			texts = append(texts, b.text.String())
		case "tool_use":
			r.Calls = append(r.Calls, Call{ID: b.id, Name: b.name, Arguments: b.arguments()})
		default: // thoughts, signed or redacted
			unchanged = true
		}
		if piece := b.back(); piece != nil {
			own.Anthropic = append(own.Anthropic, piece)
		}
	}
	r.Text = strings.Join(texts, "")
	if len(r.Calls) > 0 {
		r.Stop = StopCalls
	}
	if stop, ok := stops[m.stop]; ok {
		r.Stop = stop
	}
	if unchanged && len(own.Anthropic) > 0 {
		kept, _ := json.Marshal(own) // valid JSON is all that is in it
		r.Opaque = string(kept)
	}
	return r
}

func (b *block) arguments() string {
	if b.input.Len() == 0 {
		return "{}" // how the API calls a tool without arguments
	}
	return b.input.String()
}

// back is the block as it goes back to the API; nil if it may not.
func (b *block) back() json.RawMessage {
	var v any
	switch b.kind {
	case "text":
		if strings.TrimSpace(b.text.String()) == "" {
			return nil // the API refuses such texts, which it sends
		}
		v = map[string]any{"type": b.kind, "text": b.text.String()}
	case "thinking":
		v = map[string]any{"type": b.kind, "thinking": b.thinking.String(), "signature": b.signature.String()}
	case "tool_use":
		v = map[string]any{"type": b.kind, "id": b.id, "name": b.name, "input": argumentsOf(b.input.String())}
	default:
		if !json.Valid([]byte(b.raw)) {
			return nil
		}
		return json.RawMessage(b.raw)
	}
	piece, _ := json.Marshal(v) // strings and valid JSON
	return piece
}
