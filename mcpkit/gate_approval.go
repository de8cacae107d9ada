package mcpkit

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// approvalTTL is how long a person may take to approve, and the approval waits
// to be used.
const approvalTTL = time.Hour

// Bounds of what a person is asked to approve, in bytes. What is longer is
// refused: nobody approves what is not shown.
const (
	maxApprovedPlan      = 64 << 10
	maxApprovedArguments = 256 << 10
)

// ApprovalRequest is one write as a person approves it. An approval is good for
// a request that equals it in everything but Agent, Run, Call, Awaits and Expires.
type ApprovalRequest struct {
	Server        string // name of the program
	Tool          string
	Caller        string // whom authentication found
	Agent         string // the caller as people name it
	Run           string // as the client says
	Call          string // id of the call that asks
	Target        string // what would change
	Arguments     string // a JSON object, redacted, as the person reads it
	ArgumentsHash string // of server, tool, caller and the arguments as they are
	Plan          string // what would change and how, whole
	PlanHash      string // of all that, of the plan as it is and of what it rests on
	Key           string // names the key of the hashes, without which none can be made
	Awaits        string // name of the only approval that the call may use up, as the client says; any if empty
	Expires       time.Time
}

// ApprovalState says how an Approval stands towards a request.
type ApprovalState string

// The states of an approval.
const (
	ApprovalPending  ApprovalState = "pending"  // nobody has decided
	ApprovalConsumed ApprovalState = "consumed" // approved, and taken for this very call
	ApprovalTaken    ApprovalState = "taken"    // approved, and taken at this moment for another call
	ApprovalDenied   ApprovalState = "denied"   // a person said no, and it has not expired
)

// ApprovalFate is why an approval that a caller may count on is good for
// nothing.
type ApprovalFate string

// The fates of approvals.
const (
	ApprovalStale    ApprovalFate = "stale"     // approved, but of a plan that is no longer true
	ApprovalUsed     ApprovalFate = "used"      // consumed for an earlier call
	ApprovalLate     ApprovalFate = "late"      // approved, and expired before it was used
	ApprovalOtherKey ApprovalFate = "other key" // made by a server with another key
)

// Approval is what Approvals know of a request. What people wrote into it is
// as they wrote it.
type Approval struct {
	Name      string // of the object, with its namespace: "tools/k8s-scale-4f2k"
	State     ApprovalState
	DecidedBy string    // the person, once there is a decision
	Reason    string    // that person's words, if any
	Expires   time.Time // of the request
	Command   string    // by which a person approves

	Earlier string // name of an approval that this one replaces, if any
	Fate    ApprovalFate
}

// ApprovalNote is what an answer says of an Approval to the program that called:
// it may wait for the decision and call again.
type ApprovalNote struct {
	Name    string        `json:"name"` // NAMESPACE/NAME of the object
	State   ApprovalState `json:"state"`
	Expires string        `json:"expires"` // RFC 3339
	Command string        `json:"command"` // by which a person approves
}

// note is a for the answer's _meta.
func (a Approval) note() ApprovalNote {
	return ApprovalNote{Name: a.Name, State: a.State, Expires: a.until(), Command: a.Command}
}

// Approvals is where the decisions of people about writes are kept, where every
// replica finds them.
type Approvals interface {
	// Consume takes the approval of exactly r for the one call that asks. Of
	// any number that ask at once, one is told ApprovalConsumed, and nobody
	// ever again. Where no decision is kept it asks for one. A client whose call
	// was not answered calls again with Awaits: it is told ApprovalTaken if that
	// call has used its approval up, so that nothing is written twice. The error
	// is an *Error, and then the write must not begin.
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
		c.verdict = "cannot ask"
		return err
	}
	a, err := g.approvals.Consume(ctx, request)
	if err != nil {
		c.verdict = "cannot ask"
		return err
	}
	a.DecidedBy, a.Reason = oneLine(Clean(a.DecidedBy), nameBytes), oneLine(Clean(a.Reason), reasonBytes)
	c.verdict, c.approval = a.verdict(), a
	switch a.State {
	case ApprovalConsumed:
		return nil
	case ApprovalTaken:
		return Errorf(Conflict, "another call used approval %s at this moment, so this one changed nothing. See what that call did before you call again", a.Name)
	case ApprovalDenied:
		return Errorf(Denied, "%s denied this write%s. Nothing was changed. Approval %s stays denied until %s; do not try to reach the same in another way",
			a.DecidedBy, a.because(), a.Name, a.until())
	}
	return waiting(a, c.plan)
}

// checkApprovals says on the log why approvals cannot be relied on, if so. It may
// take a while: the cluster need not be there when the server starts.
func (s *Server) checkApprovals(ctx context.Context) {
	locks, ok := s.Approvals.(Locks)
	if !ok {
		return
	}
	if err := locks.CheckApprovals(ctx); err != nil && ctx.Err() == nil {
		s.logCause("approvals cannot be relied on", err)
	}
}

// reasonBytes bounds what a person's reason takes of an answer.
const reasonBytes = 500

// verdict is the gate's word in the ledger.
func (a Approval) verdict() string {
	text := fmt.Sprintf("%s %s", a.State, a.Name)
	if a.DecidedBy != "" {
		text += " by " + a.DecidedBy
	}
	if a.Earlier != "" {
		text += fmt.Sprintf(", %s %s", a.Fate, a.Earlier)
	}
	return text
}

func (a Approval) because() string {
	if a.Reason == "" {
		return ""
	}
	return fmt.Sprintf(" and says %q", a.Reason)
}

func (a Approval) until() string { return a.Expires.UTC().Format(time.RFC3339) }

// waiting is the answer to a write that nobody has decided about.
func waiting(a Approval, p *Plan) error {
	kind, lead := Denied, "a person must approve this write first. Nothing was changed"
	switch a.Fate {
	case ApprovalStale:
		kind, lead = Conflict, fmt.Sprintf("what the approved plan rests on has changed since (approval %s). Nothing was changed, and a person must approve the plan as it is now", a.Earlier)
	case ApprovalUsed:
		lead = fmt.Sprintf("approval %s was good for one call and is used up. Nothing was changed by this call; a person must approve it anew", a.Earlier)
	case ApprovalLate:
		lead = fmt.Sprintf("approval %s was given, and expired before it was used. Nothing was changed, and a person must approve anew", a.Earlier)
	case ApprovalOtherKey:
		lead = fmt.Sprintf("approval %s does not count here, since the server that asked for it has another key: replicas and restarts need the same --key-file. Tell whoever runs this server. Nothing was changed, and a person must approve anew", a.Earlier)
	}
	shown, _ := cutText(p.String(), planBytes)
	return Errorf(kind, "%s.\nUntil %s approval %s waits for somebody who may decide to run:\n%s\nThey should read its spec.plan first, not a retelling. Once it is approved, call again with the same arguments; calling before changes nothing. What would change: %s",
		lead, a.until(), a.Name, a.Command, shown)
}

// request is the call as a person approves it.
func (g *gate) request(c *Call) (ApprovalRequest, error) {
	plan := c.plan.approvable()
	if len(plan) > maxApprovedPlan {
		return ApprovalRequest{}, Errorf(TooLarge, "the plan takes %d bytes, more than the %d a person can be asked to approve at once. Nothing was changed; change less per call", len(plan), maxApprovedPlan)
	}
	shown, err := toNode(c.args)
	if err != nil {
		return ApprovalRequest{}, fmt.Errorf("read the arguments: %w", err)
	}
	c.redactor.InSight().node(shown)
	args := shown.String()
	if len(args) > maxApprovedArguments {
		return ApprovalRequest{}, Errorf(TooLarge, "the arguments take %d bytes, more than the %d a person can be asked to approve at once. Nothing was changed; change less per call", len(args), maxApprovedArguments)
	}
	awaits, _ := c.req.Params.Meta[MetaApproval].(string)
	return ApprovalRequest{
		Awaits: awaits,
		Server: g.server, Tool: c.tool.Name, Caller: c.Caller.Name, Agent: oneLine(Clean(cmp.Or(c.Agent, c.Caller.Name)), nameBytes), Run: c.Run, Call: c.ID,
		Target: c.plan.Target, Arguments: args, ArgumentsHash: c.argsHash,
		Plan: plan, PlanHash: c.planHash,
		Key: g.hash("key")[:8], Expires: g.now().Add(approvalTTL),
	}, nil
}
