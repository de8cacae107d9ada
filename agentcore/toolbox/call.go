package toolbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/mcpkit"
	"go.opentelemetry.io/otel/propagation"
)

// call calls a tool of the server. What only reads is tried a second time, with
// a fresh session, when the first was lost.
func (s *server) call(ctx context.Context, t Tool, c Call) (Outcome, error) {
	for again := false; ; again = true {
		current, _, err := s.connect(ctx)
		if err != nil {
			return s.unreached(ctx, t, err)
		}
		var trip trip
		result, err := s.attempt(context.WithValue(ctx, tripKey{}, &trip), current, t, c)
		switch {
		case err == nil:
			return s.outcome(current, t, result), nil
		case ctx.Err() != nil:
			return s.failed(current, t, err, &trip), ctx.Err()
		}
		if answer, ok := answerOf(err); ok {
			return s.answered(current, t, answer), nil
		}
		s.wake() // is it still there?
		if lost(err) {
			s.drop(current)
			if t.Class == Read && !again && s.box.life.Err() == nil {
				continue
			}
		}
		return s.failed(current, t, err, &trip), nil
	}
}

// pending is a call that waits for its answer.
type pending struct {
	hear func(message string)
}

// attempt makes the call once. It is given up when nothing is heard of it for
// longer than the server has, but for the time that a person takes to answer.
func (s *server) attempt(ctx context.Context, current *session, t Tool, c Call) (*mcp.CallToolResult, error) {
	defer s.carry(current)()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var silence *time.Timer
	var mu sync.Mutex // guards silence until it is set
	mu.Lock()
	silence = time.AfterFunc(s.quiet, func() {
		mu.Lock()
		defer mu.Unlock()
		if s.asking.Load() > 0 {
			silence.Reset(s.quiet)
			return
		}
		cancel(errSilent)
	})
	mu.Unlock()
	defer silence.Stop()
	defer context.AfterFunc(current.life, func() { cancel(errLost) })()
	defer context.AfterFunc(s.box.life, func() { cancel(errLost) })()
	token := rand.Text()
	s.expect(token, &pending{func(message string) {
		silence.Reset(s.quiet)
		if s.box.options.Progress != nil {
			s.box.options.Progress(t, c, message)
		}
	}})
	defer s.expect(token, nil)
	params := &mcp.CallToolParams{Name: t.Remote, Arguments: c.Arguments, Meta: s.meta(ctx, t, c)}
	params.SetProgressToken(token)
	result, err := current.CallTool(ctx, params)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return result, err
}

// expect remembers who waits for progress under a token; nobody if p is nil.
func (s *server) expect(token string, p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p == nil {
		delete(s.waiting, token)
		return
	}
	s.waiting[token] = p
}

const progressBytes = 200

func (s *server) progress(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
	token, _ := r.Params.ProgressToken.(string)
	s.mu.Lock()
	p := s.waiting[token]
	s.mu.Unlock()
	if p == nil {
		return
	}
	message := line(r.Params.Message, progressBytes)
	if message == "" && r.Params.Total > 0 {
		message = fmt.Sprintf("%.0f of %.0f", r.Params.Progress, r.Params.Total)
	}
	p.hear(message)
}

// meta is what a call tells the server of where it comes from.
func (s *server) meta(ctx context.Context, t Tool, c Call) mcp.Meta {
	meta := mcp.Meta{mcpkit.MetaAgent: s.box.own}
	if c.Run != "" {
		meta[mcpkit.MetaRun] = c.Run
	}
	if c.ID != "" {
		meta[mcpkit.MetaCall] = c.ID
	}
	if c.Awaits != "" {
		meta[mcpkit.MetaApproval] = c.Awaits
	}
	if t.GatesItself && t.Class != Read {
		meta[mcpkit.MetaGate] = mcpkit.GateRequired
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	for key, value := range carrier {
		meta[key] = value
	}
	return meta
}

// outcome is what a result means.
func (s *server) outcome(current *session, t Tool, r *mcp.CallToolResult) Outcome {
	o := Outcome{Text: s.told(current, textOf(r)), Error: r.IsError}
	if r.IsError && t.GatesItself {
		if o.Approval = approvalOf(r.Meta); o.Approval == nil {
			s.wake() // it may have refused for want of a gate
		}
	}
	if o.Text == "" {
		o.Text = "(the tool answered nothing)"
	}
	return o
}

func (s *server) told(current *session, text string) string {
	return bounded(current.wire.shown(text), s.box.options.MaxResultBytes)
}

var approvalName = regexp.MustCompile(`^[a-z0-9.-]{1,253}/[a-z0-9.-]{1,253}$`)

const commandBytes = 2000

// approvalOf is the decision that an answer says it waits for, or was refused
// for; nil if it says nothing of the kind.
func approvalOf(meta mcp.Meta) *Approval {
	raw, err := json.Marshal(meta[mcpkit.MetaApproval])
	if err != nil {
		return nil
	}
	var a Approval
	if err := json.Unmarshal(raw, &a); err != nil || !approvalName.MatchString(a.Name) {
		return nil
	}
	switch mcpkit.ApprovalState(a.State) {
	case mcpkit.ApprovalPending, mcpkit.ApprovalDenied, mcpkit.ApprovalTaken, mcpkit.ApprovalConsumed:
		a.Command = line(a.Command, commandBytes)
		return &a
	}
	return nil
}

// answered is the outcome of a call that the server refused in the words of its
// protocol.
func (s *server) answered(current *session, t Tool, answer *jsonrpc.Error) Outcome {
	s.wake() // its tools may not be what they were
	text := strings.TrimSpace(mcpkit.Clean(answer.Message))
	return Outcome{Error: true, Text: s.told(current, fmt.Sprintf("%s failed: %s", t.Name, cmp.Or(text, fmt.Sprintf("the server answers with error %d", answer.Code))))}
}

// failed is the outcome of a call that was sent and not answered.
func (s *server) failed(current *session, t Tool, err error, trip *trip) Outcome {
	what := s.why(err, current)
	if errors.Is(err, errSilent) {
		what = fmt.Sprintf("nothing was heard of the call for %s", s.quiet)
	} else if errors.Is(err, context.Canceled) {
		what = "the call was cancelled"
	}
	o := Outcome{Error: true, Unsure: t.Class != Read && !trip.harmless()}
	switch {
	case o.Unsure:
		o.Text = fmt.Sprintf("the answer of %s was lost (tool server %s: %s). It is not known whether the call took effect: look before you do anything else about it", t.Name, s.id, what)
	case t.Class != Read:
		o.Text = fmt.Sprintf("%s was not called and nothing was changed. Tool server %s: %s", t.Name, s.id, what)
	default:
		o.Text = fmt.Sprintf("%s gave no answer. Tool server %s: %s", t.Name, s.id, what)
	}
	return o
}

// unreached is the outcome of a call for which there is no session.
func (s *server) unreached(ctx context.Context, t Tool, err error) (Outcome, error) {
	if ctx.Err() != nil {
		return Outcome{Error: true, Text: t.Name + " was not called: cancelled"}, ctx.Err()
	}
	s.wake()
	return Outcome{Error: true, Text: fmt.Sprintf("%s was not called and nothing was changed. Tool server %s: %s", t.Name, s.id, s.why(err, nil))}, nil
}
