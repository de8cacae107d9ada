package toolbox

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func text(s string) mcp.Content { return &mcp.TextContent{Text: s} }

func TestWhatAModelReadsOfAResult(t *testing.T) {
	for name, c := range map[string]struct {
		result *mcp.CallToolResult
		want   string
	}{
		"nothing":    {&mcp.CallToolResult{}, ""},
		"texts":      {&mcp.CallToolResult{Content: []mcp.Content{text("one\n"), text("two\x1b[2J\u200b")}}, "one\ntwo"},
		"image":      {&mcp.CallToolResult{Content: []mcp.Content{text("see"), &mcp.ImageContent{MIMEType: "image/png", Data: make([]byte, 1234)}}}, "see\n[image image/png, 1234 bytes, not shown]"},
		"audio":      {&mcp.CallToolResult{Content: []mcp.Content{&mcp.AudioContent{MIMEType: "audio/wav", Data: make([]byte, 7)}}}, "[audio audio/wav, 7 bytes, not shown]"},
		"link":       {&mcp.CallToolResult{Content: []mcp.Content{&mcp.ResourceLink{Name: "the\nlog", URI: "file:///log"}}}, "[resource the log: file:///log]"},
		"resource":   {&mcp.CallToolResult{Content: []mcp.Content{&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "file:///log", MIMEType: "text/plain", Text: "abc"}}}}, "[resource file:///log text/plain, 3 bytes, not shown]"},
		"empty one":  {&mcp.CallToolResult{Content: []mcp.Content{&mcp.EmbeddedResource{}}}, "[resource without content]"},
		"structured": {&mcp.CallToolResult{StructuredContent: map[string]any{"a": 1.0}}, `{"a":1}`},
		"the same":   {&mcp.CallToolResult{Content: []mcp.Content{text(`{"a": 1, "b": "x"}`)}, StructuredContent: map[string]any{"a": 1.0, "b": "x"}}, `{"a": 1, "b": "x"}`},
		"ours":       {&mcp.CallToolResult{Content: []mcp.Content{text("name: saw\nlog:\n  one\n  two\nready: false")}, StructuredContent: map[string]any{"name": "saw", "log": "one\ntwo", "ready": false}}, "name: saw\nlog:\n  one\n  two\nready: false"},
		"more":       {&mcp.CallToolResult{Content: []mcp.Content{text("done")}, StructuredContent: map[string]any{"pods": []any{"web-0"}}}, "done\n{\"pods\":[\"web-0\"]}"},
		"a flag":     {&mcp.CallToolResult{Content: []mcp.Content{text("done")}, StructuredContent: map[string]any{"ok": false}}, "done\n{\"ok\":false}"},
		"huge":       {&mcp.CallToolResult{Content: []mcp.Content{text("done")}, StructuredContent: strings.Repeat("x", 300_000)}, "done\n[structured result of 300002 bytes, not shown]"},
	} {
		require.Equal(t, c.want, textOf(c.result), name)
	}
}

func TestAResultIsToldOnce(t *testing.T) {
	result := func(text string, structured map[string]any) string {
		return textOf(&mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}, StructuredContent: structured})
	}
	rows := []any{[]any{"web", 3.0}}
	require.Equal(t, "name\tpods\nweb\t3", result("name\tpods\nweb\t3", map[string]any{"columns": []any{"name", "pods"}, "rows": rows, "truncated": false}))
	require.Equal(t, "web\n{\"rows\":[[\"web\",3]]}", result("web", map[string]any{"rows": rows}))
	require.Equal(t, "web\n{\"healthy\":false}", result("web", map[string]any{"healthy": false}))
	require.Equal(t, "web\n{\"truncated\":true}", result("web", map[string]any{"truncated": true}))
}

// FuzzText holds what a model reads to be clean, valid and no longer than it may
// be, whatever a server answers.
func FuzzText(f *testing.F) {
	f.Add("a text\n", `{"a":"b"}`, 100)
	f.Add("\x1b[2J\xff\u202e", `[1,{"x":[true,null]}]`, 1024)
	f.Add(strings.Repeat("é\n", 100), `"é"`, 120)
	f.Fuzz(func(t *testing.T, answer, structured string, limit int) {
		var v any
		_ = json.Unmarshal([]byte(structured), &v)
		out := textOf(&mcp.CallToolResult{Content: []mcp.Content{text(answer), &mcp.ResourceLink{Name: answer, URI: answer}}, StructuredContent: v})
		require.True(t, utf8.ValidString(out))
		require.Equal(t, mcpkit.Clean(out), out)
		limit = 100 + max(0, limit)%4096
		short := bounded(out, limit)
		require.LessOrEqual(t, len(short), limit)
		require.True(t, utf8.ValidString(short))
		require.LessOrEqual(t, len(line(answer, limit)), limit)
		require.NotContains(t, line(answer, limit), "\n")
		if s, wrong := schemaOf(v); wrong == "" {
			require.True(t, isObject(json.RawMessage(s)))
		}
		_ = approvalOf(mcp.Meta{mcpkit.MetaApproval: v})
		_, _ = consent(&mcp.ElicitParams{RequestedSchema: v})
	})
}
