package toolbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/mcpkit"
)

const questionBytes = 16 << 10

// ask puts a server's question to the person, who says yes or no. What needs
// more than that is not asked.
func (s *server) ask(ctx context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	content, simple := consent(r.Params)
	if !simple {
		s.box.options.Logger.Warn("a tool server asks a person for more than yes or no, which is declined", "server", s.id)
		return &mcp.ElicitResult{Action: "decline"}, nil
	}
	s.asking.Add(1)
	defer s.asking.Add(-1)
	text := bounded(strings.TrimSpace(mcpkit.Clean(r.Params.Message)), questionBytes)
	yes, err := s.box.options.Ask(ctx, fmt.Sprintf("%s asks:\n%s", s.id, text))
	switch {
	case err != nil:
		return &mcp.ElicitResult{Action: "cancel"}, nil // nobody has answered, and the server is told just that
	case yes:
		return &mcp.ElicitResult{Action: "accept", Content: content}, nil
	}
	return &mcp.ElicitResult{Action: "decline"}, nil
}

// consent is what a yes to a question is in the fields that it demands; false if
// it demands what a yes does not say.
func consent(p *mcp.ElicitParams) (content map[string]any, simple bool) {
	if p.Mode == "url" {
		return nil, false
	}
	var schema struct {
		Properties map[string]struct{ Type string }
		Required   []string
	}
	raw, err := json.Marshal(p.RequestedSchema)
	if err != nil || json.Unmarshal(raw, &schema) != nil {
		return nil, false
	}
	content = map[string]any{}
	for _, name := range schema.Required {
		if schema.Properties[name].Type != "boolean" || len(schema.Required) > 1 {
			return nil, false
		}
		content[name] = true
	}
	return content, true
}
