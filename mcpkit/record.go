package mcpkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// entry is one line of the ledger.
type entry struct {
	Time       time.Time `json:"time"`
	ID         string    `json:"id"`
	Server     string    `json:"server"`
	Tool       string    `json:"tool"`
	Class      Class     `json:"class"`
	Caller     string    `json:"caller"`
	Agent      string    `json:"agent,omitempty"`
	Run        string    `json:"run,omitempty"`
	Arguments  *node     `json:"arguments,omitempty"` // redacted, long values cut
	Target     string    `json:"target,omitempty"`
	Verdict    string    `json:"verdict"`        // ok, asked, or the kind of error
	Gate       string    `json:"gate,omitempty"` // the gate's word on a write
	Bytes      int       `json:"bytes"`          // of the answer, text and structured result together
	Truncated  bool      `json:"truncated,omitempty"`
	DurationMS float64   `json:"duration_ms"`
	TraceID    string    `json:"trace_id,omitempty"`
}

// Verdicts beside the kinds of errors.
const (
	verdictOK    = "ok"
	verdictAsked = "asked" // the first round of a write; the second has a line of its own
)

func (e entry) failed() bool { return e.Verdict != verdictOK && e.Verdict != verdictAsked }

// record writes the call to the ledger, the metrics and the call's span. A
// ledger that cannot be written does not fail the call, which is done already.
func (s *Server) record(ctx context.Context, c *Call) {
	e := s.entry(ctx, c)
	s.Telemetry.observe(ctx, e)
	line := append(mustJSON(e), '\n')
	s.recording.Lock()
	defer s.recording.Unlock()
	if _, err := s.Record.Write(line); err != nil {
		s.Logger.Error("the record cannot be written", "id", c.ID, "error", err)
	}
}

func (s *Server) entry(ctx context.Context, c *Call) entry {
	e := entry{
		Time: c.began.UTC(), ID: c.ID, Server: s.Name, Tool: c.tool.Name, Class: c.tool.class,
		Caller: c.Caller.Name, Agent: c.Agent, Run: c.Run, Arguments: s.recorded(c.args),
		Target: s.redactor.Text(c.about()), Verdict: verdictOK, Gate: c.verdict,
		Bytes: c.bytes, Truncated: c.cut, TraceID: traceID(ctx),
		DurationMS: float64(s.Now().Sub(c.began).Microseconds()) / 1000,
	}
	switch {
	case errors.Is(c.err, errAsk):
		e.Verdict = verdictAsked
	case c.err != nil:
		e.Verdict = string(c.kind)
	}
	return e
}

// Bounds of the arguments in one line of the ledger, in bytes.
const (
	recordedValue = 512
	recordedArgs  = 4 << 10
)

// recorded is args as the ledger keeps them: without secrets, and no longer
// than a person reads.
func (s *Server) recorded(args json.RawMessage) *node {
	if len(args) == 0 {
		return nil
	}
	n, err := toNode(args)
	if err != nil {
		return &node{kind: stringNode, text: "(not JSON)"}
	}
	s.redactor.node(n)
	n.shorten(recordedValue)
	if size := n.size(); size > recordedArgs {
		return &node{kind: stringNode, text: fmt.Sprintf("(%d bytes: %s)", size, strings.Join(n.keys[:min(16, len(n.keys))], ", "))}
	}
	return n
}

// shorten cuts every string below n to about max bytes.
func (n *node) shorten(max int) {
	if n.kind == stringNode && len(n.text) > max {
		n.text = fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(n.text[:max], ""), len(n.text))
	}
	for _, kid := range n.kids {
		kid.shorten(max)
	}
}
