package toolbox

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// maxCompared bounds the structured results that are held against the text, in
// bytes: beyond it the text alone is shown.
const maxCompared = 256 << 10

// truncated is the flag by which our servers say that something was left out. Their
// text has it when it is true, so that false adds nothing.
const truncated = "truncated"

// textOf is a result as a model reads it: its texts, the structured result where
// that says more, and the name of whatever is no text.
func textOf(r *mcp.CallToolResult) string {
	var parts []string
	for _, c := range r.Content {
		if text := strings.TrimSpace(mcpkit.Clean(partOf(c))); text != "" {
			parts = append(parts, text)
		}
	}
	text := strings.Join(parts, "\n")
	if r.StructuredContent == nil {
		return text
	}
	raw, err := json.Marshal(r.StructuredContent)
	switch {
	case err != nil:
		return text
	case text == "":
		return mcpkit.Clean(string(raw))
	case len(raw) > maxCompared || len(text) > maxCompared:
		return fmt.Sprintf("%s\n[structured result of %d bytes, not shown]", text, len(raw))
	case saysMore(r.StructuredContent, text):
		return text + "\n" + mcpkit.Clean(string(raw))
	}
	return text
}

// partOf is one part of a result: what is no text is named, not shown.
func partOf(c mcp.Content) string {
	switch c := c.(type) {
	case *mcp.TextContent:
		return c.Text
	case *mcp.ImageContent:
		return fmt.Sprintf("[image %s, %d bytes, not shown]", c.MIMEType, len(c.Data))
	case *mcp.AudioContent:
		return fmt.Sprintf("[audio %s, %d bytes, not shown]", c.MIMEType, len(c.Data))
	case *mcp.ResourceLink:
		return fmt.Sprintf("[resource %s: %s]", strings.Join(strings.Fields(c.Name), " "), c.URI)
	case *mcp.EmbeddedResource:
		if c.Resource == nil {
			return "[resource without content]"
		}
		return fmt.Sprintf("[resource %s %s, %d bytes, not shown]", c.Resource.URI, c.Resource.MIMEType, len(c.Resource.Text)+len(c.Resource.Blob))
	}
	return fmt.Sprintf("[%T, not shown]", c)
}

// saysMore reports whether v, a structured result, holds a value that text does
// not.
func saysMore(v any, text string) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			yes, flag := value.(bool)
			if key == truncated && flag && !yes {
				continue
			}
			if flag && !strings.Contains(text, key) || saysMore(value, text) {
				return true
			}
		}
	case []any:
		for _, value := range v {
			if saysMore(value, text) {
				return true
			}
		}
	case string:
		for line := range strings.Lines(mcpkit.Clean(v)) {
			if !strings.Contains(text, strings.TrimSpace(line)) {
				return true
			}
		}
	case float64:
		return !strings.Contains(text, strconv.FormatFloat(v, 'f', -1, 64))
	}
	return false
}

// bounded is text within limit bytes, cut at the end of a line where one is
// near, saying how much was cut.
func bounded(text string, limit int) string {
	const note = "\n[%d of %d bytes shown; ask for less at a time]"
	if len(text) <= limit {
		return text
	}
	head := text[:max(0, limit-len(fmt.Sprintf(note, len(text), len(text))))]
	if i := strings.LastIndexByte(head, '\n'); i > len(head)/2 {
		head = head[:i]
	}
	head = strings.ToValidUTF8(head, "")
	return head + fmt.Sprintf(note, len(head), len(text))
}

// line is foreign text on one line of at most limit bytes.
func line(text string, limit int) string {
	return cut(strings.Join(strings.Fields(mcpkit.Clean(text)), " "), limit)
}

// cut is the beginning of text, of at most limit bytes.
func cut(text string, limit int) string {
	const rest = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(rest)], "") + rest
}
