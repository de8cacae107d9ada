package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/testbed/model"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// What agentcore may take.
const (
	turns            = 11 // of the conversation that is measured; all but the last call a tool
	maxAgentBinary   = 30 << 20
	maxAgentResident = 30 << 20
	maxTurn          = 5 * time.Millisecond // of our own, for each turn
	maxForward       = 5 * time.Millisecond // from a word's leaving the model to its reaching the client
)

// desk is an agent with a model that answers at once and a tool that does.
type desk struct {
	model   *model.Server
	tools   *httptest.Server
	dir     string
	program string
	url     string
	process *proc.Process
	group   *proc.Group

	asked    int
	forwards map[string][]time.Duration // by contender: how long the first word was on its way
}

// Agentcore measures what the agent adds to a conversation with its model and
// its tool: the same conversation by the agent, asked over A2A, and by hand over
// raw HTTP.
func Agentcore(ctx context.Context, w io.Writer, o Options) error {
	d := &desk{program: o.program("agentcore"), forwards: map[string][]time.Duration{}}
	defer d.stop()
	if err := d.start(ctx); err != nil {
		return err
	}
	idle, err := resident(d.process)
	if err != nil {
		return err
	}
	before, err := processorTime(d.process)
	if err != nil {
		return err
	}
	results, err := sideBySide(ctx, o.Rounds, contender{"agentcore, asked over A2A", d.ask}, contender{"by hand, over raw HTTP", d.byHand})
	if err != nil {
		return err
	}
	spent, err := processorTime(d.process)
	if err != nil {
		return err
	}
	after, err := resident(d.process)
	if err != nil {
		return err
	}
	info, err := os.Stat(d.program)
	if err != nil {
		return fmt.Errorf("size of %s: %w", d.program, err)
	}
	d.report(w, results, costs{rounds: o.Rounds, processor: (spent - before) / time.Duration(d.asked*turns), size: int(info.Size()), idle: idle, after: after})
	return nil
}

// costs are what the program took, in bytes, and of the processors for a turn.
type costs struct {
	rounds            int
	processor         time.Duration
	size, idle, after int
}

func (d *desk) report(w io.Writer, results []result, c costs) {
	fmt.Fprintf(w, "\n## agentcore\n\n`agentcore serve` with files as its records, beside the same conversation made by hand: %d requests to a model that answers at once, as streams, and a call of a tool that does after each but the last; %d rounds side by side. A word is on its way from when the model server writes it, by its own stamp, to when the client has read it.\n", turns, c.rounds)
	fmt.Fprint(w, "\n| | conversation, p50 | p95 | a turn, p50 | first word on its way, p50 | p95 |\n|---|---|---|---|---|---|\n")
	for _, r := range results {
		way := d.forwards[r.name]
		fmt.Fprintf(w, "| %s | %.1f ms | %.1f ms | %.2f ms | %.2f ms | %.2f ms |\n", r.name, ms(r.p50), ms(r.p95), ms(r.p50)/turns, ms(quantile(way, 50)), ms(quantile(way, 95)))
	}
	own, way := (results[0].p50-results[1].p50)/turns, quantile(d.forwards[results[0].name], 50)
	fmt.Fprint(w, "\n| | | bar |\n|---|---|---|\n")
	fmt.Fprintf(w, "| our own part of a turn, p50 | %.2f ms | %.0f ms %s |\n", ms(own), ms(maxTurn), verdict(own <= maxTurn))
	fmt.Fprintf(w, "| processor time of a turn, all of it | %.2f ms | |\n", ms(c.processor))
	fmt.Fprintf(w, "| first word on its way to the client, p50 | %.2f ms | %.0f ms %s |\n", ms(way), ms(maxForward), verdict(way <= maxForward))
	fmt.Fprintf(w, "| resident when idle | %.1f MiB | %.0f MiB %s |\n", mib(c.idle), mib(maxAgentResident), verdict(c.idle <= maxAgentResident))
	fmt.Fprintf(w, "| resident after all of the above | %.1f MiB | |\n", mib(c.after))
	fmt.Fprintf(w, "| stripped binary | %.1f MiB | %.0f MiB %s |\n", mib(c.size), mib(maxAgentBinary), verdict(c.size <= maxAgentBinary))
}

const deskYAML = `
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: desk, namespace: bench}
spec:
  type: Declarative
  description: For the benchmark
  declarative:
    modelConfig: instant
    systemMessage: You help.
    tools: [{type: McpServer, mcpServer: {apiGroup: kagent.dev, kind: RemoteMCPServer, name: tools, toolNames: [look]}}]
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: instant, namespace: bench}
spec: {provider: Anthropic, model: instant, apiKeySecret: key, apiKeySecretKey: key, anthropic: {baseUrl: "%s"}}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: bench}
stringData: {key: none is needed}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: tools, namespace: bench}
spec: {description: Looks, url: "%s"}
`

type lookIn struct {
	Turn int `json:"turn"`
}

func (d *desk) start(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "toolcrib-bench-"); err != nil {
		return fmt.Errorf("folder for the agent: %w", err)
	}
	var answers []model.Answer
	for i := range turns - 1 {
		answers = append(answers, model.Answer{Call: []model.Call{{Tool: "look", Arguments: map[string]any{"turn": i}}}})
	}
	answers = append(answers, model.Answer{Say: "All is well with it.", Chunk: model.Chunk{Stamp: true}})
	if d.model, err = model.Start(model.Options{Instant: answers}); err != nil {
		return err
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "bench", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "look", Description: "Looks.", Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}},
		func(_ context.Context, _ *mcp.CallToolRequest, in lookIn) (*mcp.CallToolResult, any, error) {
			text := strings.Repeat(fmt.Sprintf("web-%d 1/1 Running\n", in.Turn), 50)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
	d.tools = httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true}))
	file := filepath.Join(d.dir, "agent.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, deskYAML, d.model.URL, d.tools.URL), 0o600); err != nil {
		return fmt.Errorf("write the agent: %w", err)
	}
	ports, err := proc.FreePorts(1)
	if err != nil {
		return err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	d.url, d.group = "http://"+address, &proc.Group{Logs: d.dir}
	d.process, err = d.group.Start("agentcore", d.program, "serve", "-f", file, "--agent=bench/desk", "--listen="+address, "--auth=none", "--runs="+filepath.Join(d.dir, "runs"), "--log-level=error")
	if err != nil {
		return err
	}
	return proc.Until(ctx, "agentcore to be ready", 20*time.Millisecond, func(ctx context.Context) (bool, error) {
		res, err := http.Get(d.url + "/readyz")
		if err != nil {
			return false, nil
		}
		return res.StatusCode == http.StatusOK, res.Body.Close()
	}, d.process)
}

func (d *desk) stop() {
	if d.group != nil {
		d.group.Stop(10 * time.Second)
	}
	if d.tools != nil {
		d.tools.Close()
	}
	if d.model != nil {
		_ = d.model.Close()
	}
	_ = os.RemoveAll(d.dir)
}

// ask puts one question over A2A, streamed, and reads all that comes.
func (d *desk) ask(ctx context.Context) (int, error) {
	d.asked++
	question := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"message/stream","params":{"message":{"kind":"message","role":"user","messageId":"m-%d","parts":[{"kind":"text","text":"How is web?"}]}}}`, d.asked)
	text, err := d.stream(ctx, "agentcore, asked over A2A", d.url+"/", []byte(question))
	if err == nil && (!strings.Contains(text, `"state":"completed"`) || !strings.Contains(text, "with it.")) {
		err = fmt.Errorf("the agent did not answer: %s", beginning(text))
	}
	return len(text), err
}

// byHand has the same conversation with the model and the tool.
func (d *desk) byHand(ctx context.Context) (n int, err error) {
	messages := []any{map[string]any{"role": "user", "content": "How is web?"}}
	for turn := range turns {
		body, err := json.Marshal(map[string]any{"model": "instant", "max_tokens": 1024, "stream": true, "system": "You help.", "messages": messages,
			"tools": []any{map[string]any{"name": "look", "description": "Looks.", "input_schema": map[string]any{"type": "object"}}}})
		if err != nil {
			return 0, err
		}
		answer, err := d.stream(ctx, "by hand, over raw HTTP", d.model.URL+"/v1/messages", body)
		if err != nil || turn == turns-1 {
			return n + len(answer), err
		}
		result, err := d.look(ctx, turn)
		if err != nil {
			return 0, err
		}
		n += len(answer) + len(result)
		id := fmt.Sprint("call-", turn)
		messages = append(messages,
			map[string]any{"role": "assistant", "content": []any{map[string]any{"type": "tool_use", "id": id, "name": "look", "input": map[string]any{"turn": turn}}}},
			map[string]any{"role": "user", "content": []any{map[string]any{"type": "tool_result", "tool_use_id": id, "content": result}}})
	}
	return n, nil
}

func (d *desk) look(ctx context.Context, turn int) (string, error) {
	res, err := post(ctx, d.tools.URL, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","arguments":{"turn":%d}}}`, turn))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct {
		Result struct{ Content []struct{ Text string } }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || len(answer.Result.Content) == 0 {
		return "", fmt.Errorf("the tool did not answer: %w", err)
	}
	return answer.Result.Content[0].Text, nil
}

// stream posts a body and reads the stream that answers it. It notes how long
// the first stamped word was on its way.
func (d *desk) stream(ctx context.Context, who, url string, body []byte) (string, error) {
	res, err := post(ctx, url, body)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var all strings.Builder
	lines, first := bufio.NewReader(res.Body), true
	for {
		line, err := lines.ReadString('\n')
		if sent, ok := model.Sent(line); ok && first {
			d.forwards[who], first = append(d.forwards[who], time.Since(sent)), false
		}
		all.WriteString(line)
		if err == io.EOF {
			return all.String(), nil
		}
		if err != nil {
			return "", fmt.Errorf("read %s: %w", url, err)
		}
	}
}

func post(ctx context.Context, url string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("anthropic-version", "2023-06-01")
	res, err := http.DefaultClient.Do(r)
	if err == nil && res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body) // the status says that it failed
		return nil, fmt.Errorf("%s: %s: %s", url, res.Status, beginning(string(text)))
	}
	return res, err
}
