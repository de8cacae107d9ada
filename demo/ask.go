package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// teller prints the conversation for a person.
type teller struct {
	out    io.Writer
	colour bool
}

const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	cyan  = "\x1b[36m"
	plain = "\x1b[0m"
)

func (t *teller) paint(style, s string) string {
	if !t.colour {
		return s
	}
	return style + s + plain
}

func (t *teller) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// step announces work that may take a moment.
func (t *teller) step(format string, args ...any) {
	t.say("%s", t.paint(faint, "· "+fmt.Sprintf(format, args...)))
}

// ask puts each question to its server, by the endpoints, and prints what comes
// back.
func (t *teller) ask(ctx context.Context, endpoints map[string]string, questions []question) error {
	client := mcp.NewClient(&mcp.Implementation{Name: "toolcrib-demo", Version: "1"}, nil)
	var session *mcp.ClientSession
	asked := ""
	for _, q := range questions {
		if q.server != asked {
			var err error
			if session, err = client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: endpoints[q.server]}, nil); err != nil {
				return fmt.Errorf("connect to %s: %w", q.server, err)
			}
			defer session.Close()
			list, err := session.ListTools(ctx, nil)
			if err != nil {
				return fmt.Errorf("list the tools of %s: %w", q.server, err)
			}
			asked = q.server
			t.say("\nConnected to %s over MCP: %d tools, all of them read-only.", q.server, len(list.Tools))
		}
		if err := t.askOne(ctx, session, q); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) askOne(ctx context.Context, session *mcp.ClientSession, q question) error {
	args, err := json.Marshal(q.args)
	if err != nil {
		return fmt.Errorf("arguments of %s: %w", q.tool, err)
	}
	t.say("\n%s\n%s", t.paint(bold, "? "+q.text), t.paint(cyan, "→ "+q.tool+" "+string(args)))
	began := time.Now()
	res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: q.tool, Arguments: q.args})
	if err != nil {
		return fmt.Errorf("call %s: %w", q.tool, err)
	}
	var text strings.Builder
	for _, c := range res.Content {
		if c, ok := c.(*mcp.TextContent); ok {
			text.WriteString(c.Text)
		}
	}
	for line := range strings.Lines(text.String()) {
		t.say("  %s", strings.TrimRight(line, "\n"))
	}
	t.say("%s", t.paint(faint, fmt.Sprintf("  (%d bytes in %d ms)", text.Len(), time.Since(began).Milliseconds())))
	return nil
}

// attach says how to use the running servers from other MCP clients.
func (t *teller) attach(s state, binary string) {
	t.say("\n%s\n\nThe servers keep running:\n", t.paint(bold, "Attach your own client"))
	for _, name := range slices.Sorted(maps.Keys(s.Endpoints)) {
		t.say("  %-15s %s", name, s.Endpoints[name])
	}
	t.say(`
  Claude Code     claude mcp add --transport http toolcrib %[1]s
  Cursor          ~/.cursor/mcp.json:   {"mcpServers": {"toolcrib": {"url": "%[1]s"}}}
  VS Code         code --add-mcp '{"name":"toolcrib","type":"http","url":"%[1]s"}'
  MCP Inspector   npx @modelcontextprotocol/inspector --cli %[1]s --transport http --method tools/list

Or over stdio, with nothing running beforehand:

  claude mcp add toolcrib -- %[2]s --kubeconfig %[3]s

make demo-stop stops what this demo started.`, s.Endpoints[kubernetes], binary, s.Kubeconfig)
}
