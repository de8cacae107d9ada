package run

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// generate has the model give its next answer, and puts it on record together
// with the calls that are made right away.
func (w *work) generate(ctx context.Context, request model.Request) error {
	request.MaxTokens = w.mostTokens(request)
	reply, err := w.ask(ctx, w.Model, request, true)
	if tooLong(err) {
		return w.shorten(ctx, err)
	}
	if err != nil {
		return err
	}
	answered := w.answered(reply)
	var events []record.Event
	if len(answered.Calls) > 0 {
		events = w.beginCalls(answered)
	}
	if err := w.append(ctx, append([]record.Event{answered}, events...)...); err != nil {
		return err
	}
	w.heard()
	return nil
}

// request is the conversation as the model is asked to go on with it.
func (w *work) request() model.Request {
	return model.Request{System: w.system(), Messages: w.state.conversation(w.fence), Tools: w.offer.forModel()}
}

func (w *work) system() string {
	return strings.TrimLeft(w.Agent.System+"\n\n"+w.fence.rules(), "\n")
}

// close ends a run that reached a limit: with one last answer of the model,
// without tools, if there is room for it.
func (w *work) close(ctx context.Context, request model.Request, reason string) error {
	request.NoCalls = true
	last := &request.Messages[len(request.Messages)-1]
	last.Text = strings.TrimLeft(fmt.Sprintf("%s\n\nThis run ends now: %s. No tools can be called any more. Give your last answer: say plainly that the run was stopped and why, what you know by now, what is not known, and what to do next.", last.Text, reason), "\n")
	most, allowed := w.lastTokens(request)
	end := &ending{v1alpha1.RunStopped, reason}
	if !allowed {
		return end
	}
	request.MaxTokens = most
	reply, err := w.ask(ctx, w.Model, request, true)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || strings.TrimSpace(reply.Text) == "" { // then it ends with what was said before
		return end
	}
	reply.Calls, reply.Opaque = nil, "" // whatever it would call
	answered := w.answered(reply)
	answered.Reason = closingPrefix + reason
	if err := w.append(ctx, answered); err != nil {
		return err
	}
	w.heard()
	return nil
}

// answered is an answer as it is put on record.
func (w *work) answered(reply model.Reply) record.Event {
	usage := w.used(reply.Usage)
	e := record.Event{
		Type: v1alpha1.EventAnswered, Turn: int32(len(w.state.Turns) + 1),
		Text: bound(mcpkit.Clean(reply.Text), answerBytes), Opaque: reply.Opaque, Usage: usage,
	}
	switch reply.Stop {
	case model.StopLength:
		e.Reason = reasonLength
	case model.StopRefused:
		e.Reason = reasonRefused
	}
	changed := false
	e.Calls = w.named(reply.Calls, &changed)
	// What its provider wants back unchanged must hold the same calls.
	if changed || len(e.Opaque) > opaqueBytes {
		e.Opaque = ""
	}
	return e
}

// mostCalls is how many calls of one answer are looked at.
const mostCalls = 64

// named are the calls of an answer with ids by which they can be told apart in
// this run. Not all providers give such.
func (w *work) named(calls []model.Call, changed *bool) []v1alpha1.ToolCall {
	if len(calls) > mostCalls {
		calls, *changed = calls[:mostCalls], true
	}
	var out []v1alpha1.ToolCall
	taken := map[string]bool{}
	for i, c := range calls {
		id := c.ID
		if id == "" || len(id) > 128 || strings.ContainsFunc(id, odd) || taken[id] || w.state.call(id) != nil {
			id, *changed = fmt.Sprintf("call-%d-%d", len(w.state.Turns)+1, i+1), true
		}
		taken[id] = true
		call := v1alpha1.ToolCall{ID: id, Tool: clip(strings.ToValidUTF8(c.Name, "\uFFFD"), 256), Arguments: bound(strings.ToValidUTF8(c.Arguments, "\uFFFD"), argumentBytes+1)}
		*changed = *changed || admissible(call.Tool) != c.Name || call.Arguments != c.Arguments
		if t, wrong := w.offer.find(call.Tool); wrong == "" {
			call.Server = t.Server
		}
		out = append(out, call)
	}
	return out
}

func odd(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
}

// ask puts a request to a model, within the run's time. aloud says whether the
// answer is the agent's, which others hear.
func (w *work) ask(ctx context.Context, m model.Model, r model.Request, aloud bool) (model.Reply, error) {
	ctx, cancel := w.timed(ctx, r.NoCalls)
	defer cancel()
	ctx, end := w.trace(ctx, "generate "+w.Agent.Model.Spec.Model)
	began := time.Now()
	g := Generated{}
	if aloud {
		r.Restarted = w.restarted
	}
	reply, err := m.Generate(ctx, r, func(text string) {
		if g.First == 0 {
			g.First = time.Since(began)
		}
		if aloud {
			w.say(text)
		}
	})
	g.Took, g.Usage, g.Err = time.Since(began), reply.Usage, err
	end(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.observer.Generated != nil {
		w.observer.Generated(g)
	}
	if err != nil {
		add(&w.lost, reply.Usage)
	}
	if err != nil && errors.Is(context.Cause(ctx), errDuration) {
		err = errDuration
	}
	return reply, err
}

func (w *work) say(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said.Len() < answerBytes {
		w.said.WriteString(text)
	}
	if w.observer.Text != nil {
		w.observer.Text(text)
	}
}

// restarted forgets the words of an answer that broke off.
func (w *work) restarted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said.Reset()
	if w.observer.Restarted != nil {
		w.observer.Restarted()
	} else if w.observer.Text != nil {
		w.observer.Text("\n[the answer broke off, and begins again]\n")
	}
}

// used is what an answer took, with what tries took before it that came to
// nothing; nil if that is nothing.
func (w *work) used(u v1alpha1.TokenUsage) *v1alpha1.TokenUsage {
	w.mu.Lock()
	defer w.mu.Unlock()
	add(&u, w.lost)
	w.lost = v1alpha1.TokenUsage{}
	if u == (v1alpha1.TokenUsage{}) {
		return nil
	}
	return &u
}

func add(to *v1alpha1.TokenUsage, u v1alpha1.TokenUsage) {
	to.Input += max(0, u.Input)
	to.Output += max(0, u.Output)
	to.CacheRead += max(0, u.CacheRead)
	to.CacheWrite += max(0, u.CacheWrite)
}

// heard forgets the words of an answer that is on record.
func (w *work) heard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said.Reset()
}

func tooLong(err error) bool {
	var e *model.Error
	return errors.As(err, &e) && e.Kind == model.TooLong
}
