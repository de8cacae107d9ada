package mcpkit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Call is one tool call on its way through the pipeline. Handlers may read its
// exported fields through [CallFrom].
type Call struct {
	ID     string // of this call, in the record and in internal errors
	Caller Caller // who makes it
	Agent  string // on whose behalf: the caller, where callers are authenticated, or else what the client says
	Run    string // the agent's run, as the client says

	tool     *tool
	redactor *Redactor
	req      *mcp.CallToolRequest
	args     json.RawMessage
	began    time.Time
	held     []func() // give back what the call holds
	plan     *Plan    // as it may be shown
	argsHash string   // of the call, for an approval
	planHash string   // of the plan as it was made
	verdict  string   // of the gate
	approval Approval // that the gate found or asked for, if any

	out    any
	err    error
	kind   Kind // of err
	cut    bool
	bytes  int // of the result
	result *mcp.CallToolResult

	mu     sync.Mutex // guards what handlers reach from goroutines of their own
	target string
	done   bool
}

// What a call belongs to: agents say the first two as keys of its _meta, and a
// backend that is asked as the caller hears all three.
const (
	MetaAgent = "toolcrib.dev/agent"
	MetaRun   = "toolcrib.dev/run"
	MetaCall  = "toolcrib.dev/call"
)

// MetaApproval is the key of an answer's _meta that holds the Approval which a
// write was refused for or has used up in vain, as an [ApprovalNote]. A client
// that calls again puts the name of the one it waits for under the same key: the
// call then uses up no other.
const MetaApproval = "toolcrib.dev/approval"

// nameBytes bounds what an agent says of itself.
const nameBytes = 253

type callKey struct{}

func newCall(t *tool, req *mcp.CallToolRequest, now time.Time) *Call {
	agent, _ := req.Params.Meta[MetaAgent].(string)
	run, _ := req.Params.Meta[MetaRun].(string)
	return &Call{
		ID:    rand.Text()[:12],
		Agent: oneLine(Clean(agent), nameBytes),
		Run:   oneLine(Clean(run), nameBytes),
		tool:  t,
		req:   req,
		args:  req.Params.Arguments,
		began: now,
	}
}

// CallFrom returns the call that ctx belongs to, or an empty one outside a call.
func CallFrom(ctx context.Context) *Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return c
	}
	return &Call{}
}

// SetTarget names what the call is about in the record, such as
// "deployments/web in namespace shop".
func SetTarget(ctx context.Context, target string) { CallFrom(ctx).setTarget(target) }

func (c *Call) setTarget(target string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = target
}

// about is the target named last.
func (c *Call) about() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.target
}

// holds says how to give back what the call has taken.
func (c *Call) holds(giveBack func()) { c.held = append(c.held, giveBack) }

// release gives it all back.
func (c *Call) release() {
	for _, giveBack := range slices.Backward(c.held) {
		giveBack()
	}
}

// end marks the call as answered.
func (c *Call) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
}

// Progress tells the client how far a long call has come. It does nothing when
// the client did not ask to be told.
func Progress(ctx context.Context, done, total float64, message string) {
	c := CallFrom(ctx)
	if c.req == nil || c.req.Session == nil {
		return
	}
	token := c.req.Params.GetProgressToken()
	c.mu.Lock()
	defer c.mu.Unlock()
	if token == nil || c.done {
		return // progress must not follow the answer
	}
	_ = c.req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
		ProgressToken: token, Progress: done, Total: total, Message: c.redactor.Text(message),
	}) // a client that has gone away is not told
}
