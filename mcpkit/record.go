package mcpkit

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// entry is one line of the ledger.
type entry struct {
	Time       time.Time       `json:"time"`
	ID         string          `json:"id"`
	Server     string          `json:"server"`
	Tool       string          `json:"tool"`
	Class      Class           `json:"class"`
	Caller     string          `json:"caller"`
	Agent      string          `json:"agent,omitempty"`
	Run        string          `json:"run,omitempty"`
	Arguments  json.RawMessage `json:"arguments,omitempty"` // redacted
	Target     string          `json:"target,omitempty"`
	Verdict    string          `json:"verdict"` // ok, the gate's word, or the kind of error
	Gate       string          `json:"gate,omitempty"`
	Bytes      int             `json:"bytes"` // of the answer's text
	Truncated  bool            `json:"truncated,omitempty"`
	DurationMS float64         `json:"duration_ms"`
	TraceID    string          `json:"trace_id,omitempty"`
}

var recordLock sync.Mutex

// record writes the call to the ledger, the metrics and the call's span.
func (s *Server) record(ctx context.Context, c *Call) {
	e := s.entry(ctx, c)
	s.Telemetry.observe(ctx, e)
	recordLock.Lock()
	defer recordLock.Unlock()
	if _, err := s.Record.Write(append(mustJSON(e), '\n')); err != nil {
		s.Logger.Error("the record cannot be written", "error", err)
	}
}

func (s *Server) entry(ctx context.Context, c *Call) entry {
	e := entry{
		Time: c.began.UTC(), ID: c.ID, Server: s.Name, Tool: c.tool.Name, Class: c.tool.class,
		Caller: c.caller, Agent: c.Agent, Run: c.Run, Target: s.redactor.Text(c.target),
		Verdict: "ok", Gate: c.verdict, Truncated: c.cut,
		DurationMS: float64(s.Now().Sub(c.began).Microseconds()) / 1000,
	}
	if c.err != nil {
		e.Verdict = string(c.kind)
	}
	return e
}
