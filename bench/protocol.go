package bench

import (
	"context"
	"net/http"
	"net/http/httptest"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// protocol is what MCP costs by itself: a call of an empty tool, served by
// nothing but the SDK, over HTTP within this process. No server in Go can
// answer sooner.
type protocol struct {
	listener *httptest.Server
	session  *mcp.ClientSession
}

func startProtocol(ctx context.Context) (*protocol, error) {
	server := mcp.NewServer(&mcp.Implementation{Name: "empty", Version: "1"}, nil)
	server.AddTool(&mcp.Tool{Name: "empty", InputSchema: map[string]any{"type": "object"}}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "nothing"}}}, nil
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	p := &protocol{listener: httptest.NewServer(handler)}
	var err error
	if p.session, err = newClient().Connect(ctx, &mcp.StreamableClientTransport{Endpoint: p.listener.URL}, nil); err != nil {
		p.listener.Close()
		return nil, err
	}
	return p, nil
}

func (p *protocol) contender() contender {
	return over("MCP alone, an empty tool", p.session, "empty", nil)
}

func (p *protocol) stop() {
	_ = p.session.Close()
	p.listener.Close()
}
