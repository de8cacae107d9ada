package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/linger"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// planned is a call and what is to be done about it.
type planned struct {
	*Call
	tool toolbox.Tool
	args json.RawMessage

	left toolbox.Left // what it may take, if it is an agent

	refusal string // why it is not called
	outcome string // the kind of the refusal
	gated   bool   // we ask a person first
	asked   bool   // its server has been called and asks a person
}

// solo says whether nothing else is called at the same time: what writes, and
// what waits for a person.
func (p planned) solo() bool {
	return p.refusal == "" && (p.gated || p.asked || p.tool.Class != toolbox.Read)
}

// call makes the calls that come next of those that are open.
func (w *work) call(ctx context.Context, open []*Call) error {
	if err := w.returned(ctx, open); err != nil {
		return err
	}
	if w.spent == nil { // a process that goes on with a run has not heard yet
		if err := w.hearSpent(ctx); err != nil {
			return err
		}
	}
	next := w.next(open)
	if p := next[0]; p.solo() {
		return w.alone(ctx, p)
	}
	if err := w.append(ctx, w.starts(next)...); err != nil {
		return err
	}
	return w.together(ctx, next)
}

// mostAway is how long a run that goes on waits for tools that it had called.
const mostAway = 2 * time.Minute

// returned waits until the tools are on offer again that an earlier process had
// called, where servers cannot be reached: what came of the calls, they tell.
func (w *work) returned(ctx context.Context, open []*Call) error {
	away := func() bool {
		for _, c := range open {
			if _, wrong := w.offer.find(c.Tool); wrong != "" && !c.Began.IsZero() && !w.begun[c.ID] {
				return len(w.offer.problems) > 0
			}
		}
		return false
	}
	until := time.Now().Add(mostAway)
	for away() && time.Now().Before(until) {
		if err := linger.For(ctx, pollFirst); err != nil {
			return err
		}
		w.list(ctx)
	}
	return nil
}

// next are the calls that are made together: those that only read, up to the
// first that does not, or that one alone.
func (w *work) next(open []*Call) []planned {
	var group []planned
	made := w.state.ToolCalls
	for _, c := range open {
		p := w.plan(c, made)
		if p.solo() {
			if len(group) == 0 {
				return w.shared([]planned{p})
			}
			break
		}
		if p.refusal == "" && c.Began.IsZero() {
			made++
		}
		group = append(group, p)
	}
	return w.shared(group)
}

// shared says for each agent among calls how much it may take.
func (w *work) shared(calls []planned) []planned {
	agents := 0
	for _, p := range calls {
		if p.tool.Agent {
			agents++
		}
	}
	if agents == 0 {
		return calls
	}
	left := w.share(agents)
	for i := range calls {
		calls[i].left = left
	}
	return calls
}

// plan decides what is to be done about a call when so many have been made.
func (w *work) plan(c *Call, made int) planned {
	p := planned{Call: c}
	var wrong string
	p.tool, wrong = w.offer.find(c.Tool)
	if wrong == "" {
		p.args, wrong = w.offer.arguments(p.tool, c.Arguments)
	}
	switch {
	case !c.Began.IsZero() && !w.begun[c.ID]:
		return w.again(p, wrong)
	case wrong != "":
		p.refusal, p.outcome = wrong, outcomeRefused
	case w.callsLeft(made) <= 0 && c.Began.IsZero():
		p.refusal, p.outcome = fmt.Sprintf("%s was not called: %s.", c.Tool, w.callsReason()), outcomeLimit
	case w.timeLeft(false) <= 0 && c.Began.IsZero() && len(c.Waits) == 0:
		p.refusal, p.outcome = fmt.Sprintf("%s was not called: %s.", c.Tool, w.timeReason()), outcomeLimit
	default:
		p.gated = w.gates(p.tool)
	}
	return p
}

// again decides about a call that an earlier process began, and of which
// nothing is known: reading may be done twice, and a server that asks a person
// tells whether the write was made. Nothing else is called again.
func (w *work) again(p planned, wrong string) planned {
	asking := len(p.Waits) > 0 && !p.Waits[len(p.Waits)-1].Since.Before(p.Began) && p.Waits[len(p.Waits)-1].Approval != ""
	switch {
	case wrong == "" && p.tool.Class == toolbox.Read && p.Class == toolbox.Read:
	case wrong == "" && asking && p.tool.GatesItself:
		p.asked = true
	default:
		p.refusal, p.outcome = unsure(p.Call.Tool, "the agent was restarted while it was under way"), outcomeUnsure
	}
	return p
}

func unsure(tool, why string) string {
	return fmt.Sprintf("It is not known what came of this call of %s: %s. It may have taken effect or not. Look at what it would have changed before you do anything else about it, and do not repeat it before you have.", tool, why)
}

// beginCalls are the events by which the first calls of an answer begin, for
// those that need nobody's leave: so they are kept together with the answer.
func (w *work) beginCalls(answered record.Event) []record.Event {
	var open []*Call
	for _, c := range answered.Calls {
		open = append(open, &Call{ToolCall: c})
	}
	next := w.next(open)
	if p := next[0]; p.solo() && p.gated {
		return nil
	}
	events := w.starts(next)
	for i := range events {
		events[i].Turn = answered.Turn
	}
	return events
}

// starts are the events by which calls begin.
func (w *work) starts(calls []planned) []record.Event {
	var out []record.Event
	for _, p := range calls {
		if p.refusal != "" || !p.Began.IsZero() {
			continue
		}
		w.begun[p.ID] = true
		out = append(out, record.Event{Type: v1alpha1.EventCall, Turn: int32(len(w.state.Turns)), Call: p.ID, Tool: p.Call.Tool, Reason: string(p.tool.Class)})
	}
	return out
}

// together makes calls that only read, some at once, and keeps their results as
// they come.
func (w *work) together(ctx context.Context, calls []planned) error {
	timed, cancel := w.timed(ctx, false)
	defer cancel()
	results := make(chan record.Event, len(calls))
	slots := make(chan struct{}, mostAtOnce)
	var group sync.WaitGroup
	defer group.Wait()
	for _, p := range calls {
		if p.refusal != "" {
			results <- w.refused(p)
			continue
		}
		group.Go(func() {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-timed.Done():
			}
			outcome, err := w.reach(timed, p, true)
			results <- w.read(timed, p, outcome, err)
		})
	}
	for left := len(calls); left > 0; {
		batch := []record.Event{<-results}
		for len(batch) < left && len(results) > 0 {
			batch = append(batch, <-results)
		}
		left -= len(batch)
		if ctx.Err() != nil { // reading can be done again
			return ctx.Err()
		}
		if err := w.appendResults(ctx, batch...); err != nil {
			return err
		}
	}
	return nil
}

// read is the result of a call that only read.
func (w *work) read(ctx context.Context, p planned, outcome toolbox.Outcome, err error) record.Event {
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errDuration):
		return asking(outcome, w.result(p, fmt.Sprintf("%s did not answer in time: %s.", p.Call.Tool, w.timeReason()), true, outcomeCut))
	case err != nil:
		return asking(outcome, w.result(p, fmt.Sprintf("%s gave no answer: %s.", p.Call.Tool, w.fence.clean(err.Error())), true, outcomeCut))
	}
	return w.outcome(p, outcome)
}

// alone makes a call that writes, or that a person decides about.
func (w *work) alone(ctx context.Context, p planned) error {
	if p.gated && p.Began.IsZero() {
		refusal, err := w.gate(ctx, p)
		if err != nil {
			return err
		}
		if refusal != nil {
			return w.appendResults(ctx, *refusal)
		}
	}
	if err := w.append(ctx, w.starts([]planned{p})...); err != nil {
		return err
	}
	result, err := w.write(ctx, p)
	if err != nil {
		return err
	}
	return w.appendResults(ctx, result)
}

// write makes a call that writes. One that is under way when the run must end
// is waited for a while: that it is not known what came of it is the last
// resort.
func (w *work) write(ctx context.Context, p planned) (record.Event, error) {
	if p.asked {
		return w.await(ctx, p, toolbox.Outcome{}, true)
	}
	outcome, err := w.tryWrite(ctx, p, true)
	if err != nil && (outcome.Unsure || outcome.Text == "") {
		return asking(outcome, w.result(p, unsure(p.Call.Tool, "no answer came before the run had to end"), true, outcomeUnsure)), nil
	}
	if outcome.Approval != nil && outcome.Approval.State == approvalPending {
		return w.await(ctx, p, outcome, false)
	}
	return w.outcome(p, outcome), nil
}

// tryWrite calls once, and outlasts the end of the run by a while.
func (w *work) tryWrite(ctx context.Context, p planned, fresh bool) (toolbox.Outcome, error) {
	timed, cancel := w.timed(ctx, false)
	defer cancel()
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	grace := context.AfterFunc(timed, func() {
		timer := time.NewTimer(writeGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
			stop()
		case <-lasting.Done():
		}
	})
	defer grace()
	return w.reach(lasting, p, fresh)
}

// reach calls the tool.
func (w *work) reach(ctx context.Context, p planned, fresh bool) (toolbox.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return toolbox.Outcome{}, err
	}
	ctx, end := w.trace(ctx, "execute_tool "+p.tool.Name)
	began := time.Now()
	outcome, err := w.Tools.Call(ctx, p.tool, toolbox.Call{
		ID: p.ID, Run: w.question.Run, Arguments: p.args, Path: w.question.Path, Access: w.granted(), Left: p.left, Fresh: fresh, Awaits: w.awaited(p),
	})
	end(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.observer.Called != nil {
		w.observer.Called(Called{
			Call: p.ToolCall, Took: time.Since(began), Bytes: len(outcome.Text),
			Error: outcome.Error || err != nil, Unsure: outcome.Unsure,
		})
	}
	return outcome, err
}

// awaited is the approval that a call waits for which is made again: should the
// answer be lost, the server can then tell whether it has been made.
func (w *work) awaited(p planned) string {
	if !p.tool.GatesItself {
		return ""
	}
	return lastApproval(p.Call)
}

// asking adds what an agent took, if one was asked.
func asking(o toolbox.Outcome, e record.Event) record.Event {
	e.Asked = o.Asked
	return e
}

// outcome is the result of a call that was answered.
func (w *work) outcome(p planned, o toolbox.Outcome) record.Event {
	text := w.fence.clean(o.Text)
	switch {
	case o.Unsure:
		return asking(o, w.result(p, unsure(p.Call.Tool, "its answer was lost")+"\n"+w.fence.wrap(p.Call.Tool, text), true, outcomeUnsure))
	case o.Approval != nil && o.Approval.State == approvalDenied:
		return w.result(p, "A person decided that this is not done.\n"+w.fence.wrap(p.Call.Tool, text), true, outcomeDenied)
	}
	return asking(o, w.result(p, text, o.Error, ""))
}

func (w *work) refused(p planned) record.Event {
	return w.result(p, p.refusal, true, p.outcome)
}

// result is a result as it is put on record: the fuller the record, the shorter.
func (w *work) result(p planned, text string, failed bool, outcome string) record.Event {
	w.mu.Lock()
	left := record.MostBytes - w.state.Bytes
	w.mu.Unlock()
	return record.Event{
		Type: v1alpha1.EventResult, Turn: int32(len(w.state.Turns)), Call: p.ID, Tool: p.Call.Tool,
		Text: bound(text, max(resultLeast, min(resultBytes, left/24))), Error: failed, Reason: outcome,
	}
}
