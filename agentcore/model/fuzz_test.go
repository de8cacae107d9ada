package model_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
)

// canned answers whatever is asked, without a network, and keeps what was asked.
type canned struct {
	status int
	kind   string
	body   []byte
	asked  []byte
}

// RoundTrip implements http.RoundTripper.
func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	c.asked, _ = io.ReadAll(r.Body) // from memory
	header := http.Header{"Content-Type": {c.kind}}
	return &http.Response{StatusCode: c.status, Header: header, Body: io.NopCloser(bytes.NewReader(c.body)), Request: r}, nil
}

// presentable is what any error's text must be.
func presentable(t *testing.T, err error) {
	t.Helper()
	var e *model.Error
	require.True(t, errors.As(err, &e), "%v", err)
	require.NotEmpty(t, e.Kind)
	require.NotEmpty(t, e.Provider)
	require.LessOrEqual(t, len(e.Text), 1100)
	require.True(t, utf8.ValidString(e.Text))
	require.False(t, strings.ContainsFunc(e.Text, unicode.IsControl), "%q", e.Text)
	require.NotContains(t, e.Error(), rightKey)
}

// FuzzAnswers feeds both wires streams. What is taken for an answer must be one
// that can be told and sent back.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		"data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"x\",\"arguments\":\"{\"}}]},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
		": comment\n\ndata: {\"choices\":[{\"delta\":{\"reasoning_content\":\"r\",\"tool_calls\":[{\"index\":-1,\"extra_content\":{\"a\":1}}]},\"finish_reason\":\"x\"}],\"usage\":{\"prompt_tokens\":-5}}\n\n",
		"data: {\"error\":{\"message\":\"no\",\"code\":429}}\n\n",
		"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"s\"}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"x\",\"input\":{\"a\":1}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"[\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"a\"}}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		for w := range wires {
			by := &canned{status: 200, kind: "text/event-stream", body: stream}
			m := model.Through(open(t, wire(t, w, "http://model.test"), model.Options{Tries: 1}), by)
			var heard strings.Builder
			r := ask("?")
			reply, err := m.Generate(t.Context(), r, func(s string) { heard.WriteString(s) })
			require.GreaterOrEqual(t, min(reply.Usage.Input, reply.Usage.Output, reply.Usage.CacheRead, reply.Usage.CacheWrite), int64(0))
			if err != nil {
				presentable(t, err)
				continue
			}
			require.Equal(t, heard.String(), reply.Text)
			require.NotEmpty(t, reply.Stop)
			require.True(t, reply.Opaque == "" || json.Valid([]byte(reply.Opaque)))
			for _, c := range reply.Calls {
				require.NotEmpty(t, c.Arguments)
			}
			r.Messages = append(r.Messages, model.Message{Role: model.Assistant, Text: reply.Text, Calls: reply.Calls, Opaque: reply.Opaque}, model.Message{Role: model.User, Text: "and?"})
			_, _ = m.Generate(t.Context(), r, nil) // the same answer again; what was asked counts
			require.True(t, json.Valid(by.asked), "%s", by.asked)
			require.Contains(t, string(by.asked), "and?")
		}
	})
}

// FuzzRefusals: whatever a provider, or what stands before it, says in place of
// an answer.
func FuzzRefusals(f *testing.F) {
	for _, seed := range []string{`{"error":{"message":"no","type":"t","code":null,"details":[{"retryDelay":"3s"}]}}`, `[{"error":{"code":429,"message":"a\u001b[2J","status":"INTERNAL"}}]`, `{"error":"x","detail":[1]}`, `{"detail":null}`, "<html>\x00</html>", "", "[]", "null"} {
		f.Add(429, "application/json", []byte(seed))
		f.Add(200, "application/json", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte) {
		if status < 200 || status > 599 || status/100 == 3 || status < 400 && kind != "application/json" {
			return
		}
		for w := range wires {
			m := model.Through(open(t, wire(t, w, "http://model.test"), model.Options{Tries: 1}), &canned{status: status, kind: kind, body: body})
			_, err := m.Generate(t.Context(), ask("?"), nil)
			presentable(t, err)
		}
	})
}
