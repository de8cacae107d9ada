package model

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// started is a server that plays a scenario and never really waits.
func started(t *testing.T, scenario string, o Options) *Server {
	t.Helper()
	s, err := Parse("test", []byte(scenario))
	require.NoError(t, err)
	o.Scenario = s
	return serve(t, o)
}

func serve(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Wait == nil {
		o.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	server, err := Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

// reply is an answer as it came over the wire.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// post sends a body as it is.
func post(t *testing.T, server *Server, path, body string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(content), err}
}

var version = []string{"anthropic-version", "2023-06-01"}

func ask(t *testing.T, server *Server, body string) reply {
	t.Helper()
	return post(t, server, "/v1/messages", body, version...)
}

func chatAsk(t *testing.T, server *Server, body string) reply {
	t.Helper()
	return post(t, server, "/v1/chat/completions", body)
}

// block is one of an answer on Anthropic's wire.
type answerBlock struct {
	Type, Text, ID, Name string
	Input                json.RawMessage
}

type anthropicReply struct {
	Content    []answerBlock
	StopReason string `json:"stop_reason"`
	Usage      struct {
		Input  int `json:"input_tokens"`
		Output int `json:"output_tokens"`
		Read   int `json:"cache_read_input_tokens"`
		Wrote  int `json:"cache_creation_input_tokens"`
	}
}

func (r reply) decode(t *testing.T, into any) {
	t.Helper()
	require.NoError(t, r.err)
	require.Equal(t, http.StatusOK, r.status, r.body)
	require.NoError(t, json.Unmarshal([]byte(r.body), into), r.body)
}

// talk is a conversation on Anthropic's wire.
type talk struct {
	t        *testing.T
	server   *Server
	tools    []string
	messages []any
}

func (k *talk) say(content any) anthropicReply {
	k.t.Helper()
	k.messages = append(k.messages, map[string]any{"role": "user", "content": content})
	tools := []any{}
	for _, name := range k.tools {
		tools = append(tools, map[string]any{"name": name, "input_schema": map[string]any{"type": "object"}})
	}
	body, err := json.Marshal(map[string]any{"model": "m", "max_tokens": 4096, "system": "あなたは専門家です。", "tools": tools, "messages": k.messages})
	require.NoError(k.t, err)
	var r anthropicReply
	ask(k.t, k.server, string(body)).decode(k.t, &r)
	content = json.RawMessage(must(json.Marshal(contentOf(r))))
	k.messages = append(k.messages, map[string]any{"role": "assistant", "content": content})
	return r
}

func must(content []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return content
}

func contentOf(r anthropicReply) []any {
	out := []any{}
	for _, b := range r.Content {
		if b.Type == "text" {
			out = append(out, map[string]any{"type": "text", "text": b.Text})
			continue
		}
		input := b.Input
		if !bytes.HasPrefix(input, []byte("{")) {
			input = json.RawMessage("{}")
		}
		out = append(out, map[string]any{"type": "tool_use", "id": b.ID, "name": b.Name, "input": input})
	}
	return out
}

// answer gives the results of a turn's calls, by tool; several of one tool in order.
func (k *talk) answer(r anthropicReply, results ...string) anthropicReply {
	k.t.Helper()
	blocks, next := []any{}, 0
	for _, b := range r.Content {
		if b.Type == "tool_use" {
			blocks = append(blocks, map[string]any{"type": "tool_result", "tool_use_id": b.ID, "content": results[next]})
			next++
		}
	}
	require.Len(k.t, results, next)
	return k.say(blocks)
}

func (r anthropicReply) text() string {
	for _, b := range r.Content {
		if b.Type == "text" {
			return b.Text
		}
	}
	return ""
}

func (r anthropicReply) calls() []string {
	var out []string
	for _, b := range r.Content {
		if b.Type == "tool_use" {
			out = append(out, b.Name+" "+string(b.Input))
		}
	}
	return out
}
