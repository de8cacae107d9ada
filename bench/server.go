package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/testbed/served"
)

// server is a kubernetes-mcp under measurement, served over HTTP on loopback.
type server struct {
	*served.Server
	session *mcp.ClientSession
	logs    string // folder
}

func newClient() *mcp.Client {
	return mcp.NewClient(&mcp.Implementation{Name: "toolcrib-bench", Version: "1"}, nil)
}

// startServer starts the server and connects to it.
func startServer(ctx context.Context, s Setup) (*server, error) {
	logs, err := os.MkdirTemp("", "toolcrib-bench-")
	if err != nil {
		return nil, fmt.Errorf("folder for logs: %w", err)
	}
	process, err := served.Start(ctx, logs, s.Server, "--kubeconfig", s.Kubeconfig, "--record=/dev/null")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(logs))
	}
	session, err := newClient().Connect(ctx, &mcp.StreamableClientTransport{Endpoint: process.URL}, nil)
	if err != nil {
		process.Stop()
		return nil, fmt.Errorf("connect to %s: %w", process.URL, errors.Join(err, os.RemoveAll(logs)))
	}
	return &server{process, session, logs}, nil
}

func (s *server) stop() {
	_ = s.session.Close()
	s.Stop()
	_ = os.RemoveAll(s.logs)
}

// call returns the bytes of the answer's text.
func (s *server) call(ctx context.Context, tool string, args map[string]any) (int, error) {
	res, err := s.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return 0, err
	}
	text := res.Content[0].(*mcp.TextContent).Text
	if res.IsError {
		return 0, fmt.Errorf("%s: %s", tool, text)
	}
	return len(text), nil
}

// listAll pages through every pod and returns how many there were and the
// bytes of the largest answer, text and structured together.
func (s *server) listAll(ctx context.Context) (rows, largest int, err error) {
	token := ""
	for {
		res, err := s.session.CallTool(ctx, &mcp.CallToolParams{Name: "k8s_get_resources",
			Arguments: map[string]any{"resource_type": "pods", "all_namespaces": true, "limit": 1000, "continue": token}})
		if err != nil {
			return 0, 0, err
		}
		text := res.Content[0].(*mcp.TextContent).Text
		if res.IsError {
			return 0, 0, fmt.Errorf("list pods: %s", text)
		}
		structured, err := json.Marshal(res.StructuredContent)
		if err != nil {
			return 0, 0, fmt.Errorf("structured result: %w", err)
		}
		var page struct {
			Rows     [][]string `json:"rows"`
			Continue string     `json:"continue"`
		}
		if err := json.Unmarshal(structured, &page); err != nil {
			return 0, 0, fmt.Errorf("structured result: %w", err)
		}
		rows, largest = rows+len(page.Rows), max(largest, len(text)+len(structured))
		if token = page.Continue; token == "" {
			return rows, largest, nil
		}
	}
}
