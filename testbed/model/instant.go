package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Answer is one that is made beforehand, so that it costs a benchmark almost
// nothing: a request is not decoded or checked, and the answer is chosen by the
// number of times the assistant has spoken in it; the last is repeated.
type Answer struct {
	Say   string
	Call  []Call // what they quote is not filled in
	Chunk Chunk  // of a stream; Delay is ignored
}

// instant is an answer in every form it may be asked in.
type instant struct {
	chunk  Chunk
	whole  map[bool][]byte // by whether the wire is OpenAI's
	stream map[bool][]instantFrame
}

// instantFrame is a frame rendered beforehand.
type instantFrame struct {
	frame
	content []byte
}

func (a Answer) prepare(n int) (instant, error) {
	whole := &answer{text: a.Say, stop: stopEnd, chunk: a.Chunk, id: fmt.Sprintf("instant%013d", n)}
	for _, call := range a.Call {
		arguments, err := captures{}.arguments(call)
		if err != nil {
			return instant{}, err
		}
		whole.stop = stopTools
		whole.calls = append(whole.calls, made{call.Tool, arguments})
	}
	out := instant{a.Chunk, map[bool][]byte{}, map[bool][]instantFrame{}}
	c := &conversation{model: "instant", countUsage: true}
	u := usage{input: 1, output: whole.output()}
	for openai, on := range map[bool]wire{false: &messages{}, true: &chat{}} {
		content, err := json.Marshal(on.whole(c, whole, u))
		if err != nil {
			return instant{}, fmt.Errorf("instant answer %d: %w", n+1, err)
		}
		out.whole[openai] = content
		for _, f := range on.frames(c, whole, u) {
			out.stream[openai] = append(out.stream[openai], instantFrame{f, f.render(f.text)})
		}
	}
	return out, nil
}

func prepare(answers []Answer) ([]instant, error) {
	var out []instant
	for i, a := range answers {
		prepared, err := a.prepare(i)
		if err != nil {
			return nil, err
		}
		out = append(out, prepared)
	}
	return out, nil
}

var (
	assistantSpoke = []byte(`"role":"assistant"`)
	wantsStream    = []byte(`"stream":true`)
)

// play answers with what was made beforehand.
func (s *Server) play(w http.ResponseWriter, r *http.Request, body []byte) {
	answer := &s.instant[min(bytes.Count(body, assistantSpoke), len(s.instant)-1)]
	openai := strings.HasSuffix(r.URL.Path, "/chat/completions")
	if !bytes.Contains(body, wantsStream) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer.whole[openai])
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for _, f := range answer.stream[openai] {
		content := f.content
		if text := s.stamped(answer.chunk, f.frame); answer.chunk.Stamp {
			content = f.render(text)
		}
		if _, err := w.Write(content); err != nil || out.Flush() != nil {
			return
		}
	}
}
