package mcpkit

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/time/rate"
)

// Defaults of [Options].
const (
	DefaultMaxResultBytes = 24 << 10
	DefaultCallTimeout    = time.Minute
	DefaultMaxCalls       = 64
	DefaultCallerRate     = 50
)

// Defaults of the flags that are the transports' own.
const (
	DefaultMaxRequestBytes = 4 << 20
	DefaultSessionTimeout  = 30 * time.Minute
	DefaultShutdownTimeout = 25 * time.Second
)

const (
	minResultBytes = 1 << 10 // smaller answers cannot even say what they leave out
	minKeyBytes    = 16
	maxCallerRate  = 1e6 // calls a second, which is no limit
)

// Options configure a [Server]. The zero value of a field takes the default
// named beside it.
type Options struct {
	Name         string // of the program, such as kubernetes-mcp
	Version      string // of the program
	Instructions string // what a client tells its model about the server as a whole

	Authenticator Authenticator // of callers over HTTP; there is one caller, the local one, if nil
	Authorizer    Authorizer    // of authenticated callers; every caller may call every tool if nil
	Approvals     Approvals     // for GateApproval, which needs it

	Access         Access        // AccessRead
	Gate           GateMode      // GateAsk
	MaxResultBytes int           // of one answer, text and structured together; DefaultMaxResultBytes
	CallTimeout    time.Duration // of one call, waiting for a person apart; its tool's, or DefaultCallTimeout
	MaxCalls       int           // at once, more wait; DefaultMaxCalls
	CallerRate     float64       // of one authenticated caller's calls and lists a second, twice as many in a burst; DefaultCallerRate
	CallerCalls    int           // of one authenticated caller at once, more are refused; half of MaxCalls
	Key            []byte        // signs gate state and salts fingerprints; share it among replicas; random

	Record    io.Writer        // one JSON line per call; none
	Logger    *slog.Logger     // causes of internal errors; none
	Telemetry *Telemetry       // spans and metrics; none
	Now       func() time.Time // time.Now
}

func (o Options) withDefaults() Options {
	if o.Access == "" {
		o.Access = AccessRead
	}
	if o.Gate == "" {
		o.Gate = GateAsk
	}
	if o.MaxResultBytes <= 0 {
		o.MaxResultBytes = DefaultMaxResultBytes
	}
	if o.MaxCalls <= 0 {
		o.MaxCalls = DefaultMaxCalls
	}
	if o.CallerRate <= 0 {
		o.CallerRate = DefaultCallerRate
	}
	if o.CallerCalls <= 0 {
		o.CallerCalls = (o.MaxCalls + 1) / 2
	}
	if len(o.Key) == 0 {
		o.Key = []byte(rand.Text())
	}
	if o.Record == nil {
		o.Record = io.Discard
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Server serves the tools of one access mode and runs every call through the
// pipeline.
type Server struct {
	Options
	mcp      *mcp.Server
	redactor *Redactor
	gate     *gate
	slots    chan struct{}
	shares   *shares
	sessions sessions
	refusals rate.Sometimes // of them that are logged
	requests sync.Map       // of HTTP, id to context

	recording sync.Mutex // one line of the record at a time
}

// NewServer returns a server over the tools of ts that o.Access allows.
func NewServer(ts *Toolset, o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		Options:  o,
		redactor: NewRedactor(o.Key),
		gate:     newGate(o),
		slots:    make(chan struct{}, o.MaxCalls),
		shares:   newShares(o),
		sessions: sessions{caller: map[string]string{}},
		refusals: rate.Sometimes{First: 100, Interval: time.Second},
	}
	s.mcp = mcp.NewServer(
		&mcp.Implementation{Name: o.Name, Version: o.Version},
		&mcp.ServerOptions{
			Instructions: o.Instructions,
			Logger:       quiet(o.Logger),
			Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}},
			SetCacheable: s.cacheable,
		})
	for _, t := range ts.served(o.Access) {
		s.mcp.AddTool(t.definition(), s.handler(t))
	}
	s.mcp.AddReceivingMiddleware(s.boundSessions, s.listAllowed, s.stateGate)
	return s
}

// MCP returns the protocol server, for a transport to serve.
func (s *Server) MCP() *mcp.Server { return s.mcp }

// definition is the tool as tools/list shows it.
func (t *tool) definition() *mcp.Tool {
	return &mcp.Tool{
		Name:         t.Name,
		Title:        t.Title,
		Description:  t.Description,
		InputSchema:  t.input.json,
		OutputSchema: mustJSON(t.output),
		Annotations: &mcp.ToolAnnotations{
			ReadOnlyHint:    t.class == ClassRead,
			DestructiveHint: new(t.class == ClassDestroy),
			IdempotentHint:  t.class == ClassRead || t.Idempotent,
			OpenWorldHint:   new(false),
		},
	}
}

func (s *Server) handler(t *tool) mcp.ToolHandler {
	return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return s.serve(ctx, newCall(t, req, s.Now())), nil
	}
}

// step is one stage of the pipeline.
type step func(context.Context, *Call) error

// serve runs one call through the pipeline:
//
//	authenticate -> authorize -> limit -> gate -> handler -> redact -> budget -> record
//
// The steps up to the handler stop at the first error; the others always run,
// so that a refusal is cut, redacted and recorded like an answer. A token is
// looked at before, with the HTTP request that carries it.
func (s *Server) serve(ctx context.Context, c *Call) *mcp.CallToolResult {
	ctx, end := s.begin(ctx, c)
	defer end()
	c.err = guarded(func() error { return s.attempt(ctx, c) })
	if errors.Is(c.err, errAsk) {
		c.result = s.gate.question(c)
	} else {
		s.answer(c)
	}
	c.bytes = answerBytes(c.result)
	c.end()
	s.record(ctx, c)
	return c.result
}

// attempt does the call's work, up to the first step that refuses.
func (s *Server) attempt(ctx context.Context, c *Call) error {
	for _, do := range []step{s.authenticate, s.authorize, s.limit, s.check, s.open, s.handle} {
		if err := do(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// answer gives the result or the error of c its final form.
func (s *Server) answer(c *Call) {
	if c.err == nil {
		c.err = guarded(func() error { return s.finish(c) })
	}
	if c.err != nil {
		s.refuse(c)
	}
}

// guarded turns a panic into an error: one tool's bug must not end the process.
func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// answerBytes is what a result costs its reader.
func answerBytes(r *mcp.CallToolResult) int {
	n := metaBytes(r)
	for _, c := range r.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			n += len(text.Text)
		}
	}
	if raw, ok := r.StructuredContent.(json.RawMessage); ok {
		n += len(raw)
	}
	return n
}

// metaBytes is what a result's _meta takes of that.
func metaBytes(r *mcp.CallToolResult) int {
	if r.Meta == nil {
		return 0
	}
	return len(mustJSON(r.Meta))
}

// begin bounds the call in time and ties it to the client's connection.
func (s *Server) begin(ctx context.Context, c *Call) (context.Context, func()) {
	c.redactor = s.redactor
	limit := cmp.Or(s.CallTimeout, c.tool.Timeout, DefaultCallTimeout)
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, callKey{}, c), limit)
	ctx, endSpan := s.Telemetry.start(ctx, c)
	stop := func() bool { return true }
	if client := s.clientContext(c); client != nil {
		stop = context.AfterFunc(client, cancel)
	}
	return ctx, func() {
		stop()
		cancel()
		c.release()
		endSpan()
	}
}

// check holds the arguments against the tool's schema.
func (s *Server) check(_ context.Context, c *Call) error {
	args, err := c.tool.input.check(c.args)
	if err != nil {
		return err
	}
	c.args = args
	return nil
}

// open lets reads pass, plans a write, and puts the plan before the gate.
func (s *Server) open(ctx context.Context, c *Call) error {
	if c.tool.class == ClassRead {
		return nil
	}
	plan, err := c.tool.plan(ctx, c.args)
	if err != nil {
		return err
	}
	plan.Notes = append(slices.Clone(plan.Notes), unseenArguments(c.args)...)
	c.argsHash, c.planHash = s.gate.hashes(c, plan)
	plan = plan.shown(s.redactor)
	c.plan = &plan
	c.setTarget(plan.Target)
	if err := s.gate.decide(ctx, c); err != nil {
		return err
	}
	if c.approval.State == ApprovalConsumed { // should the process end in the write, this tells which it was
		s.Logger.Info("write begins", "id", c.ID, "tool", c.tool.Name, "gate", c.verdict)
	}
	return nil
}

// handle does the tool's work.
func (s *Server) handle(ctx context.Context, c *Call) (err error) {
	if c.tool.class == ClassRead {
		c.out, err = c.tool.read(ctx, c.args)
	} else {
		c.out, err = c.tool.apply(ctx, c.args, *c.plan)
	}
	if _, known := errors.AsType[*Error](err); err != nil && !known && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// finish redacts a result, holds it to its budget and renders it.
func (s *Server) finish(c *Call) error {
	tree, err := toNode(c.out)
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	tree.conform(c.tool.output)
	s.redactor.node(tree)
	if c.cut, err = fit(tree, c.out, c.tool, s.MaxResultBytes); err != nil {
		return err
	}
	c.result = &mcp.CallToolResult{
		Content:           []mcp.Content{&mcp.TextContent{Text: render(tree)}},
		StructuredContent: json.RawMessage(tree.String()),
	}
	return nil
}

// refuse redacts an error and holds it to the budget of an answer. The cause of
// an internal error goes to the log, under the id the answer gives.
func (s *Server) refuse(c *Call) {
	kind, text := explain(c.err, c.tool.Name, c.ID)
	if c.approval.State == ApprovalConsumed {
		text += fmt.Sprintf("\nApproval %s is used up; to try again, a person must approve again", c.approval.Name)
	}
	c.result = &mcp.CallToolResult{IsError: true}
	if c.approval.Name != "" {
		c.result.Meta = mcp.Meta{MetaApproval: c.approval.note()}
	}
	text, c.cut = cutText(s.redactor.Text(text), max(0, s.MaxResultBytes-metaBytes(c.result)))
	c.result.Content = []mcp.Content{&mcp.TextContent{Text: text}}
	c.kind = kind
	if kind == internal {
		s.Logger.Error("call failed", "id", c.ID, "tool", c.tool.Name, "error", s.redactor.Text(c.err.Error()))
	}
}
