package model

import (
	"encoding/json"
	"fmt"
)

// anthropicStops are Anthropic's words for why an answer ends.
var anthropicStops = map[string]string{stopEnd: "end_turn", stopTools: "tool_use", stopLength: "max_tokens", stopRefusal: "refusal"}

func (u usage) anthropic(output int) map[string]any {
	short, long := u.wrote, 0
	if u.hour {
		short, long = 0, u.wrote
	}
	return map[string]any{
		"input_tokens": u.input - u.read - u.wrote, "output_tokens": output,
		"cache_read_input_tokens": u.read, "cache_creation_input_tokens": u.wrote,
		"cache_creation": map[string]any{"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
		"service_tier":   "standard",
	}
}

// toolUseID is the id of the nth call of an answer.
func (a *answer) toolUseID(n int) string { return fmt.Sprintf("toolu_%s%02d", a.id, n) }

// blocks are the answer's content blocks, each as it starts and as it is whole.
func (a *answer) blocks() []any {
	out := []any{}
	if a.think != "" {
		out = append(out, map[string]any{"type": "thinking", "thinking": a.think, "signature": signature(a.think)})
	}
	if a.text != "" {
		out = append(out, map[string]any{"type": "text", "text": a.text})
	}
	for i, call := range a.calls {
		var input any = call.arguments // what is no JSON can only be a string here
		if json.Valid([]byte(call.arguments)) {
			input = json.RawMessage(call.arguments)
		}
		out = append(out, map[string]any{"type": "tool_use", "id": a.toolUseID(i), "name": call.tool, "input": input})
	}
	return out
}

func (*messages) message(c *conversation, a *answer, content []any, stop any, usage map[string]any) map[string]any {
	return map[string]any{
		"id": "msg_" + a.id, "type": "message", "role": "assistant", "model": c.model,
		"content": content, "stop_reason": stop, "stop_sequence": nil, "usage": usage,
	}
}

func (m *messages) whole(c *conversation, a *answer, u usage) any {
	return m.message(c, a, a.blocks(), anthropicStops[a.stop], u.anthropic(u.output))
}

func (m *messages) frames(c *conversation, a *answer, u usage) []frame {
	s := &messageStream{}
	s.send("message_start", map[string]any{"message": m.message(c, a, []any{}, nil, u.anthropic(1))})
	if a.think != "" {
		s.open(map[string]any{"type": "thinking", "thinking": "", "signature": ""})
		s.deltas(a.chunk.pieces(a.think), "thinking_delta", "thinking")
		s.delta("signature_delta", "signature", signature(a.think))
		s.close()
	}
	if a.text != "" {
		s.open(map[string]any{"type": "text", "text": ""})
		s.deltas(a.chunk.pieces(a.text), "text_delta", "text")
		s.close()
	}
	for i, call := range a.calls {
		s.open(map[string]any{"type": "tool_use", "id": a.toolUseID(i), "name": call.tool, "input": map[string]any{}})
		s.delta("input_json_delta", "partial_json", "")
		s.deltas(a.chunk.pieces(call.arguments), "input_json_delta", "partial_json")
		s.close()
	}
	s.send("message_delta", map[string]any{
		"delta": map[string]any{"stop_reason": anthropicStops[a.stop], "stop_sequence": nil}, "usage": u.anthropic(u.output),
	})
	s.send("message_stop", map[string]any{})
	return s.frames
}

// messageStream gathers the events of one message.
type messageStream struct {
	frames []frame
	index  int
}

func (s *messageStream) send(name string, v map[string]any) {
	v["type"] = name
	s.frames = append(s.frames, fixed(event(name, v)))
}

func (s *messageStream) open(block map[string]any) {
	s.send("content_block_start", map[string]any{"index": s.index, "content_block": block})
	if s.index == 0 {
		s.send("ping", map[string]any{})
	}
}

func (s *messageStream) close() {
	s.send("content_block_stop", map[string]any{"index": s.index})
	s.index++
}

func (s *messageStream) delta(kind, field, value string) {
	s.send("content_block_delta", map[string]any{"index": s.index, "delta": map[string]any{"type": kind, field: value}})
}

// deltas are pieces of the answer. Only text may carry the time.
func (s *messageStream) deltas(pieces []string, kind, field string) {
	index := s.index
	for _, p := range pieces {
		render := func(text string) []byte {
			return event("content_block_delta", map[string]any{"type": "content_block_delta", "index": index, "delta": map[string]any{"type": kind, field: text}})
		}
		f := frame{piece: true, text: p, render: render}
		if kind != "text_delta" {
			f.text, f.render = "", func(string) []byte { return render(p) }
		}
		s.frames = append(s.frames, f)
	}
}
