package toolbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Bounds of what a tool says of itself, in bytes: every request to the model
// carries it.
const (
	maxDescription = 4 << 10
	maxSchema      = 64 << 10
)

// pick takes what the Agent names out of what a server lists, in the Agent's
// order, or all of it by name. It says what is not there.
func pick(d declared.Server, id string, listed []*mcp.Tool) (tools []Tool, problems []string) {
	by := map[string]*mcp.Tool{}
	for _, t := range listed {
		if by[t.Name] == nil { // of two, the first
			by[t.Name] = t
		}
	}
	var names []string
	for name := range by {
		names = append(names, name)
	}
	slices.Sort(names)
	wanted := names
	if len(d.Tools) > 0 {
		wanted = d.Tools
	}
	for _, name := range slices.Concat(d.Tools, d.RequireApproval) {
		if by[name] == nil {
			problems = append(problems, absent(id, name, names))
		}
	}
	slices.Sort(problems)
	problems = slices.Compact(problems)
	if len(names) == 0 && len(problems) == 0 {
		problems = append(problems, id+" lists no tools to us"+wantsGrant)
	}
	for i, name := range wanted {
		t := by[name]
		if t == nil || slices.Contains(wanted[:i], name) {
			continue
		}
		schema, wrong := schemaOf(t.InputSchema)
		if wrong != "" {
			problems = append(problems, fmt.Sprintf("tool %s of %s is left out: %s", line(name, nameBytes), id, wrong))
			continue
		}
		tools = append(tools, Tool{
			Server: id, Remote: name, Description: describe(t), Schema: schema, Class: classOf(t),
			RequireApproval: slices.Contains(d.RequireApproval, name), GatesItself: d.GatesItself,
		})
	}
	return tools, problems
}

const wantsGrant = ", and may want a grant (verb call on tools.toolcrib.dev)"

// absent says that a server has no tool of a name, and which ones are nearest.
func absent(id, name string, names []string) string {
	text := fmt.Sprintf("%s has no tool %s, which the Agent names", id, name)
	if near := mcpkit.Nearest(name, names); len(near) > 0 {
		return line(text+"; the nearest names are "+strings.Join(near, ", "), whyBytes)
	}
	if len(names) == 0 {
		return text + "; it lists none to us" + wantsGrant
	}
	return text
}

// classOf is what a tool does, by its own account: one that says nothing writes.
func classOf(t *mcp.Tool) Class {
	switch a := t.Annotations; {
	case a == nil:
		return Write
	case a.ReadOnlyHint:
		return Read
	case a.DestructiveHint != nil && *a.DestructiveHint:
		return Destroy
	}
	return Write
}

func describe(t *mcp.Tool) string {
	text := strings.TrimSpace(mcpkit.Clean(t.Description))
	if text == "" {
		text = line(t.Title, maxDescription)
	}
	return cut(text, maxDescription)
}

// schemaOf is the schema of a tool's arguments as models take it: an object, its
// texts cleaned.
func schemaOf(declared any) (schema json.RawMessage, wrong string) {
	raw, err := json.Marshal(declared)
	if err != nil {
		return nil, "its schema is no JSON"
	}
	if len(raw) > maxSchema {
		return nil, fmt.Sprintf("its schema takes %d bytes, more than the %d it may", len(raw), maxSchema)
	}
	var s map[string]any
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, "its schema is no JSON object"
	}
	if s == nil {
		s = map[string]any{}
	}
	if s["type"] == nil {
		s["type"] = "object"
	}
	if s["type"] != "object" {
		return nil, "its arguments are no JSON object"
	}
	if s["properties"] == nil {
		s["properties"] = map[string]any{}
	}
	cleanTexts(s)
	if raw, err = json.Marshal(s); err != nil {
		return nil, "its schema is no JSON"
	}
	return raw, ""
}

// cleanTexts cleans what a schema says to its reader.
func cleanTexts(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if text, ok := value.(string); ok && (key == "description" || key == "title" || key == "$comment") {
				v[key] = mcpkit.Clean(text)
				continue
			}
			cleanTexts(value)
		}
	case []any:
		for _, value := range v {
			cleanTexts(value)
		}
	}
}

// isObject reports whether raw is one JSON object.
func isObject(raw json.RawMessage) bool {
	var v map[string]json.RawMessage
	return json.Unmarshal(raw, &v) == nil && v != nil
}
