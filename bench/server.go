package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/testbed/served"
)

// server is one of ours under measurement, served over HTTP on loopback and, by
// a second process, over stdio.
type server struct {
	*served.Server
	program string
	args    []string
	http    *mcp.ClientSession
	stdio   *mcp.ClientSession
	idle    int    // bytes resident before the first call
	logs    string // folder
}

// answer is what a server says to one call.
type answer struct {
	text       string // what a model reads
	structured []byte // the same for a program
}

func newClient() *mcp.Client {
	return mcp.NewClient(&mcp.Implementation{Name: "toolcrib-bench", Version: "1"}, nil)
}

// startServer starts a program with args and connects to it both ways.
func startServer(ctx context.Context, program string, args ...string) (*server, error) {
	logs, err := os.MkdirTemp("", "toolcrib-bench-")
	if err != nil {
		return nil, fmt.Errorf("folder for logs: %w", err)
	}
	s := &server{program: program, args: append(args, "--record=/dev/null"), logs: logs}
	if err := s.connect(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return s, nil
}

func (s *server) connect(ctx context.Context) (err error) {
	if s.Server, err = served.Start(ctx, s.logs, s.program, s.args...); err != nil {
		return err
	}
	if s.http, err = newClient().Connect(ctx, &mcp.StreamableClientTransport{Endpoint: s.URL}, nil); err != nil {
		return err
	}
	if s.idle, _, err = s.Memory(); err != nil {
		return err
	}
	s.stdio, err = s.spawn(ctx)
	return err
}

// spawn starts the program anew and shakes hands with it over stdio.
func (s *server) spawn(ctx context.Context) (*mcp.ClientSession, error) {
	cmd := exec.Command(s.program, append([]string{"--log-level=error"}, s.args...)...)
	return newClient().Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
}

func (s *server) stop() {
	for _, session := range []*mcp.ClientSession{s.http, s.stdio} {
		if session != nil {
			_ = session.Close()
		}
	}
	if s.Server != nil {
		s.Stop()
	}
	_ = os.RemoveAll(s.logs)
}

// ask calls a tool once. An answer that is an error is one here too.
func (s *server) ask(ctx context.Context, tool string, args args) (answer, error) {
	res, err := s.http.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", tool, err)
	}
	text, err := textOf(res)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", tool, err)
	}
	structured, err := json.Marshal(res.StructuredContent)
	if err != nil {
		return answer{}, fmt.Errorf("structured result of %s: %w", tool, err)
	}
	return answer{text, structured}, nil
}

// whole is the bytes of both forms together.
func (a answer) whole() int { return len(a.text) + len(a.structured) }

// over is a contender that calls a tool through one of the server's sessions.
func over(name string, session *mcp.ClientSession, tool string, args args) contender {
	return contender{name, func(ctx context.Context) (int, error) {
		res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
		if err != nil {
			return 0, err
		}
		text, err := textOf(res)
		return len(text), err
	}}
}

func textOf(res *mcp.CallToolResult) (string, error) {
	text := res.Content[0].(*mcp.TextContent).Text
	if res.IsError {
		return "", errors.New(text)
	}
	return text, nil
}
