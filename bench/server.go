package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// server is a kubernetes-mcp under measurement, served over HTTP on loopback.
type server struct {
	cmd     *exec.Cmd
	session *mcp.ClientSession
}

var listening = regexp.MustCompile(`msg=listening url="?(http://[^" ]+)`)

func newClient() *mcp.Client {
	return mcp.NewClient(&mcp.Implementation{Name: "toolcrib-bench", Version: "1"}, nil)
}

// startServer starts the server and connects to it.
func startServer(ctx context.Context, s Setup) (*server, error) {
	cmd := exec.CommandContext(ctx, s.Server, "--kubeconfig", s.Kubeconfig, "--http=127.0.0.1:0", "--record=/dev/null")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Server, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Server, err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		m := listening.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		go func() { // keeps the server's log from filling the pipe
			for lines.Scan() {
			}
		}()
		session, err := newClient().Connect(ctx, &mcp.StreamableClientTransport{Endpoint: m[1]}, nil)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", m[1], err)
		}
		return &server{cmd, session}, nil
	}
	return nil, fmt.Errorf("%s ended before it listened: %w", s.Server, cmd.Wait())
}

func (s *server) stop() {
	_ = s.session.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
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
