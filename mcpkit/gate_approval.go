package mcpkit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// approvalTTL is how long a person may take to approve, and the approval waits
// to be used.
const approvalTTL = time.Hour

// maxApprovedPlan bounds a plan that is kept to be approved, in bytes. A longer
// one is refused: nobody approves what is not shown.
const maxApprovedPlan = 64 << 10

// ApprovalRequest is one write as a person approves it. An approval is good for
// a request that equals it in everything but Agent, Run, Call and Expires.
type ApprovalRequest struct {
	Server        string // name of the program
	Tool          string
	Caller        string          // whom authentication found
	Agent         string          // the caller as people name it
	Run           string          // as the client says
	Call          string          // id of the call that asks
	Target        string          // what would change
	Arguments     json.RawMessage // an object, redacted, as the person reads them
	ArgumentsHash string          // of the arguments as they are
	Plan          string          // what would change and how, whole
	PlanHash      string          // of the plan and of what it rests on
	Expires       time.Time       // when a person has decided too late
}

// ApprovalState says how an Approval stands towards a request.
type ApprovalState string

// The states of an approval.
const (
	ApprovalPending  ApprovalState = "pending"  // nobody has decided
	ApprovalConsumed ApprovalState = "consumed" // approved, and taken for this very call
	ApprovalDenied   ApprovalState = "denied"   // a person said no, and it has not expired
)

// Approval is what Approvals know of a request.
type Approval struct {
	Name      string // of the object, with its namespace: "tools/k8s-scale-4f2k"
	State     ApprovalState
	DecidedBy string    // the person, once there is a decision
	Reason    string    // that person's words, if any
	Expires   time.Time // of the request
	Stale     bool      // an approval for the same call was there, but of a plan that is no longer true
	Command   string    // by which a person approves
}

// Approvals is where the decisions of people about writes are kept, where every
// replica finds them.
type Approvals interface {
	// Consume takes the approval of exactly r for the one call that asks. Of
	// any number that ask at once, one is told ApprovalConsumed, and nobody
	// ever again. Where no decision is kept it asks for one. The error is an
	// *Error.
	Consume(ctx context.Context, r ApprovalRequest) (Approval, error)
}

// consume lets a write through for which a person's approval is kept, and asks
// for one where there is none. The write begins only after the approval is used
// up: one that fails needs another.
func (g *gate) consume(ctx context.Context, c *Call) error {
	if g.approvals == nil {
		c.verdict = "cannot ask"
		return Errorf(Denied, "a person must approve each write, and this server has no cluster that keeps approvals. Nothing was changed. What would change: %s", c.plan)
	}
	request, err := g.request(c)
	if err != nil {
		return err
	}
	a, err := g.approvals.Consume(ctx, request)
	if err != nil {
		c.verdict = "cannot ask"
		return err
	}
	c.verdict = fmt.Sprintf("%s %s", a.State, a.Name)
	if a.DecidedBy != "" {
		c.verdict += " by " + a.DecidedBy
	}
	switch a.State {
	case ApprovalConsumed:
		return nil
	case ApprovalDenied:
		return Errorf(Denied, "%s denied this (approval %s)%s. Nothing was changed; do not try the same again without being asked to", a.DecidedBy, a.Name, because(a.Reason))
	}
	return g.waiting(c, a)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return fmt.Sprintf(", saying %q", reason)
}

// waiting is the answer to a write that nobody has decided about.
func (g *gate) waiting(c *Call, a Approval) error {
	kind, lead := Denied, "a person must approve this write first"
	if a.Stale {
		kind, lead = Conflict, "what the approved plan rests on has changed since, so nothing was done and the new plan must be approved"
	}
	shown, _ := cutText(c.plan.String(), planBytes)
	return Errorf(kind, "%s. Nothing was changed. Approval %s waits until %s; somebody who may approve runs:\n%s\nThen call again with the same arguments. What would change: %s",
		lead, a.Name, a.Expires.UTC().Format(time.RFC3339), a.Command, shown)
}

// request is the call as a person approves it.
func (g *gate) request(c *Call) (ApprovalRequest, error) {
	plan := c.plan.approvable()
	if len(plan) > maxApprovedPlan {
		return ApprovalRequest{}, Errorf(TooLarge, "the plan takes %d bytes, more than the %d a person can be asked to approve at once; change less per call", len(plan), maxApprovedPlan)
	}
	args, err := inOrder(c.args)
	if err != nil {
		return ApprovalRequest{}, err
	}
	shown, err := toNode(args)
	if err != nil {
		return ApprovalRequest{}, fmt.Errorf("read the arguments: %w", err)
	}
	c.redactor.node(shown)
	sum := sha256.Sum256(args)
	return ApprovalRequest{
		Server: g.server, Tool: c.tool.Name, Caller: c.Caller.Name, Agent: c.Agent, Run: c.Run, Call: c.ID,
		Target: c.plan.Target, Arguments: json.RawMessage(shown.String()),
		ArgumentsHash: base64.RawURLEncoding.EncodeToString(sum[:]),
		Plan:          plan, PlanHash: c.plan.hash(c.tool.Name, args),
		Expires: g.now().Add(approvalTTL),
	}, nil
}

// approvable is the plan without what moves by itself, so that it reads the
// same when it is made again.
func (p Plan) approvable() string {
	p.Now = nil
	return p.String()
}

// inOrder is args with its keys in order, so that the same arguments are the
// same bytes however a model writes them down.
func inOrder(args json.RawMessage) (json.RawMessage, error) {
	if len(args) == 0 {
		return json.RawMessage("{}"), nil
	}
	d := json.NewDecoder(bytes.NewReader(args))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("read the arguments: %w", err)
	}
	return mustJSON(v), nil
}
