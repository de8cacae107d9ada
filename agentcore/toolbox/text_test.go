package toolbox

import (
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
)

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
