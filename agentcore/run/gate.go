package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/linger"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Gate has a person decide about a call before it is made.
type Gate interface {
	// Decide says how the decision about a request stands, and asks for it if
	// nobody has. It may wait for the person. The error is the context's, or
	// says why nobody can be asked; then the call is not made.
	Decide(ctx context.Context, r GateRequest) (GateAnswer, error)
}

// GateRequest is a call as a person decides about it. It is the same for the
// same call, also after a restart.
type GateRequest struct {
	Run     string
	Call    string
	Seed    string // of the run
	Tool    toolbox.Tool
	Plan    string    // what the person reads: what is known of the call
	Shown   string    // its arguments as a JSON object, without secrets
	Exact   string    // its arguments as they are sent, with their keys in order; not to be shown or kept
	Expires time.Time // when a decision comes too late
}

// GateAnswer is how a decision stands.
type GateAnswer struct {
	State    v1alpha1.Decision // Pending, Approved or Denied
	Approval string            // NAMESPACE/NAME of what is decided; empty if the person is asked directly
	Command  string            // by which a person approves
	By       string            // who decided
	Reason   string            // that person's words
}

// How often an undecided approval is looked at.
const (
	pollFirst = 2 * time.Second
	pollMost  = 15 * time.Second
)

// The states of an approval as tool servers tell them.
const (
	approvalPending = "pending"
	approvalDenied  = "denied"
	approvalTaken   = "taken"
)

// gates says whether we have a person decide about calls of a tool. A server
// that asks a person before its writes is not asked twice about.
func (w *work) gates(t toolbox.Tool) bool {
	writes := t.Class != toolbox.Read
	switch {
	case t.Agent: // its own policy holds it
		return t.RequireApproval
	case writes && t.GatesItself:
		return false
	case t.RequireApproval:
		return true
	}
	return writes && w.access() != v1alpha1.AccessWrite
}

// gate has a person decide about a call. It returns the result of a call that
// is not made, nil if it may be made.
func (w *work) gate(ctx context.Context, p planned) (*record.Event, error) {
	refuse := func(outcome, format string, args ...any) (*record.Event, error) {
		e := w.result(p, fmt.Sprintf(format, args...), true, outcome)
		return &e, nil
	}
	if w.Gate == nil {
		return refuse(outcomeDenied, "%s was not called: a person must decide about it, and nobody can be asked here. Say in your answer what should be done, and leave it to a person.", p.Call.Tool)
	}
	r := w.gateRequest(p)
	if len(p.Waits) == 0 {
		if err := w.append(ctx, w.waits(p, "", r.Plan, "a person must decide about "+p.Call.Tool)); err != nil {
			return nil, err
		}
	}
	r.Expires = p.Waits[0].Since.Add(w.approvalTimeout())
	poll := pollFirst
	for tries := 1; ; tries++ {
		if !time.Now().Before(r.Expires) {
			return refuse(outcomeTimeout, "%s was not called: nobody decided about it within %s, which counts as no.", p.Call.Tool, w.approvalTimeout())
		}
		a, err := w.decide(ctx, r)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case passing(err) && (tries < mostTries || lastApproval(p.Call) != ""):
		case err != nil:
			return refuse(outcomeDenied, "%s was not called: a person must decide about it, and cannot be asked: %s", p.Call.Tool, w.fence.clean(err.Error()))
		case a.State == v1alpha1.DecisionApproved:
			return nil, nil
		case a.State == v1alpha1.DecisionDenied:
			return refuse(outcomeDenied, "%s was not called: %s said no%s. Do not try to reach the same in another way.", p.Call.Tool, orElse(w.fence.clean(a.By), "the person"), because(w.fence.clean(a.Reason)))
		}
		if a.Approval != "" && p.Waits[len(p.Waits)-1].Approval != a.Approval {
			if err := w.append(ctx, w.waits(p, a.Approval, r.Plan, command(a.Approval, r.Expires, a.Command))); err != nil {
				return nil, err
			}
		}
		if err := linger.For(ctx, min(poll, time.Until(r.Expires))); err != nil {
			return nil, err
		}
		poll = min(poll*2, pollMost)
	}
}

// mostTries is how often somebody who keeps approvals may fail to answer before
// there is one to wait for.
const mostTries = 5

// passing reports whether asking again may help.
func passing(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	known, ok := errors.AsType[*mcpkit.Error](err)
	return ok && (known.Kind == mcpkit.Unavailable || known.Kind == mcpkit.Conflict)
}

// decide asks until the decision would come too late.
func (w *work) decide(ctx context.Context, r GateRequest) (GateAnswer, error) {
	ctx, cancel := context.WithDeadline(ctx, r.Expires)
	defer cancel()
	return w.Gate.Decide(ctx, r)
}

func (w *work) gateRequest(p planned) GateRequest {
	shown := w.fence.redactor.InSight().Text(string(p.args))
	plan := fmt.Sprintf("%s of %s\n\nArguments:\n%s\n\nThe tool says of itself: %s\n\nIts server says no more of what would change: what is above is what is known.",
		p.tool.Remote, p.tool.Server, shown, w.fence.clean(p.tool.Description))
	return GateRequest{
		Run: w.question.Run, Call: p.ID, Seed: w.state.Seed, Tool: p.tool,
		Plan: plan, Shown: shown, Exact: canonical(string(p.args)),
	}
}

// await waits until a person has decided about a write that its server asks
// for, and calls again with the same arguments until then. lost says that an
// earlier call was not answered: the write may have been made by it. The server
// tells, since an approval serves once and the call uses up no other than the one
// it waits for: as long as that is not taken, nothing has been written.
func (w *work) await(ctx context.Context, p planned, o toolbox.Outcome, lost bool) (record.Event, error) {
	poll := pollFirst
	for {
		if o.Approval != nil && o.Approval.State == approvalPending {
			if lost && o.Approval.Name != lastApproval(p.Call) {
				return w.result(p, unsure(p.Call.Tool, "its approval is used up or out of date, and the answer was lost"), true, outcomeUnsure), nil
			}
			lost = false
			if err := w.noteWait(ctx, p, o); err != nil {
				return record.Event{}, err
			}
			if err := linger.For(ctx, min(poll, time.Until(w.decideBy(p, o)))); err != nil {
				return record.Event{}, err
			}
			poll = min(poll*2, pollMost)
			if !time.Now().Before(w.decideBy(p, o)) {
				return w.result(p, fmt.Sprintf("%s changed nothing: nobody decided about it in time, which counts as no.", p.Call.Tool), true, outcomeTimeout), nil
			}
		}
		next, err := w.tryWrite(ctx, p, !lost)
		switch {
		case err != nil:
			return w.result(p, unsure(p.Call.Tool, "no answer came before the run had to end"), true, outcomeUnsure), nil
		case next.Unsure && time.Since(p.Waits[0].Since) < w.approvalTimeout():
			lost, next.Approval = true, nil
			if err := linger.For(ctx, poll); err != nil {
				return record.Event{}, err
			}
			poll = min(poll*2, pollMost)
		case lost && next.Approval != nil && next.Approval.State == approvalTaken:
			next.Unsure = true
			return w.outcome(p, next), nil
		case next.Approval == nil || next.Approval.State != approvalPending:
			return w.outcome(p, next), nil
		}
		o = next
	}
}

// noteWait puts on record what a server's approval waits for, once for each.
func (w *work) noteWait(ctx context.Context, p planned, o toolbox.Outcome) error {
	if o.Approval.Name == lastApproval(p.Call) {
		return nil
	}
	return w.append(ctx, w.waits(p, o.Approval.Name, w.fence.clean(o.Text), command(o.Approval.Name, o.Approval.Expires, o.Approval.Command)))
}

func lastApproval(c *Call) string {
	if len(c.Waits) == 0 {
		return ""
	}
	return c.Waits[len(c.Waits)-1].Approval
}

// decideBy is when a decision comes too late.
func (w *work) decideBy(p planned, o toolbox.Outcome) time.Time {
	by := p.Waits[0].Since.Add(w.approvalTimeout())
	if e := o.Approval.Expires; !e.IsZero() && e.Before(by) {
		return e
	}
	return by
}

func (w *work) waits(p planned, approval, text, reason string) record.Event {
	return record.Event{
		Type: v1alpha1.EventWaits, Turn: int32(len(w.state.Turns)), Call: p.ID, Tool: p.Call.Tool,
		Approval: approval, Text: bound(text, waitBytes), Reason: clip(reason, reasonBytes),
	}
}

func command(approval string, until time.Time, how string) string {
	return fmt.Sprintf("approval %s waits until %s for a person to run: %s", approval, until.UTC().Format(time.RFC3339), how)
}

func waitReason(w Wait) string {
	if w.Reason != "" {
		return w.Reason
	}
	return "a person must decide about " + w.Tool
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
