package toolbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2aclient/agentcard"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/toolcrib/toolcrib/agentcore/linger"
	"github.com/toolcrib/toolcrib/mcpkit"
	"go.opentelemetry.io/otel/propagation"
)

// Bounds of asking another agent.
const (
	cardTimeout   = 30 * time.Second
	cancelTimeout = 5 * time.Second
	askAgain      = time.Second // grows to askAgainMost
	askAgainMost  = 15 * time.Second
	askTries      = 8 // in a row without an answer
)

// link is the way to another agent, by its card.
type link struct {
	*a2aclient.Client
	wire *wire
}

// linked returns the way to the agent, by a card that is fetched at the first
// use. Whatever address the card names, it is the agent's own host that is asked.
func (r *remote) linked(ctx context.Context) (*link, error) {
	r.mu.Lock()
	known := r.link
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}
	base, err := r.base()
	if err != nil {
		return nil, err
	}
	w, err := newWire(r.box.life, place{namespace: r.Namespace, name: r.Name, url: base, headers: r.Headers, secrets: r.box.agent.Secrets})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cardTimeout, errSilent)
	defer cancel()
	card, err := (&agentcard.Resolver{Client: w.client(), CardParser: a2av0.NewAgentCardParser()}).Resolve(ctx, base.String())
	if err != nil {
		return nil, &refusal{cause: err, status: w.answered(), wire: w}
	}
	for _, i := range card.SupportedInterfaces {
		if u, err := base.Parse(i.URL); err == nil {
			u.Scheme, u.Host, u.User = base.Scheme, base.Host, nil
			i.URL = u.String()
		}
	}
	client, err := a2aclient.NewFromCard(ctx, card, a2aclient.WithDefaultsDisabled(), a2aclient.WithJSONRPCTransport(w.client()),
		a2av0.WithJSONRPCTransport(a2av0.JSONRPCTransportConfig{Client: w.client()}))
	if err != nil {
		return nil, &refusal{cause: fmt.Errorf("its card names no way that we know: %w", err), wire: w}
	}
	found := &link{client, w}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link = found
	return found, nil
}

// forget lets the next question look at the agent's card again.
func (r *remote) forget(old *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == old {
		r.link = nil
	}
}

// ask sends the question and waits for the answer, however long the agent takes.
// When ctx is done the agent is told to stop.
func (r *remote) ask(ctx context.Context, t Tool, c Call, question string) (Outcome, error) {
	way, err := r.linked(ctx)
	if err != nil {
		return Outcome{Error: true, Text: fmt.Sprintf("%s was not asked: agent %s: %s", t.Name, r.id, r.why(err))}, ctx.Err()
	}
	var sent trip
	ctx = context.WithValue(traced(ctx), tripKey{}, &sent)
	m := r.message(c, question)
	heard := &heard{say: func(text string) {
		if r.box.options.Progress != nil {
			r.box.options.Progress(t, c, line(text, progressBytes))
		}
	}}
	err = heard.all(way.SendStreamingMessage(ctx, &a2a.SendMessageRequest{Message: m, Metadata: m.Metadata}))
	if err == nil || heard.task != "" {
		err = r.follow(ctx, way, heard)
	}
	if ctx.Err() != nil {
		r.cancel(ctx, way, heard)
		return r.failed(way, t, ctx.Err(), &sent, heard), ctx.Err()
	}
	if err != nil {
		r.forget(way)
		return r.failed(way, t, err, &sent, heard), nil
	}
	if heard.state == a2a.TaskStateAuthRequired { // nobody would ever look at it again
		r.cancel(ctx, way, heard)
	}
	r.remember(m.ContextID, heard.open())
	o := heard.outcome(t.Name)
	o.Asked = heard.asked()
	o.Text = bounded(way.wire.shown(o.Text), r.box.options.MaxResultBytes)
	return o, nil
}

// traced hands the trace that ctx belongs to over to the agent.
func traced(ctx context.Context) context.Context {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	params := a2aclient.ServiceParams{}
	for key, value := range carrier {
		params.Append(key, value)
	}
	if len(params) == 0 {
		return ctx
	}
	return a2aclient.AttachServiceParams(ctx, params)
}

// follow waits for a task that goes on without us: its stream has ended before
// it has.
func (r *remote) follow(ctx context.Context, way *link, h *heard) error {
	wait := askAgain
	for failures := 0; !h.over(); {
		task, err := way.GetTask(ctx, &a2a.GetTaskRequest{ID: h.task})
		if err != nil {
			if failures++; failures >= askTries || answeredBy(err) {
				return err
			}
		} else {
			h.hear(task)
			failures = 0
		}
		if h.over() {
			return nil
		}
		if err := linger.For(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, askAgainMost)
	}
	return nil
}

// cancel tells the agent to stop, and waits a moment for it to hear that.
func (r *remote) cancel(ctx context.Context, way *link, h *heard) {
	if h.task == "" {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	ended, err := way.CancelTask(ctx, &a2a.CancelTaskRequest{ID: h.task})
	if err != nil {
		r.box.options.Logger.Warn("an agent was not told to stop", "agent", r.id, "task", string(h.task), "error", way.wire.shown(err.Error()))
		return
	}
	h.takes(ended.Metadata)
}

// answeredBy reports whether the agent itself refused, in the words of its
// protocol.
func answeredBy(err error) bool {
	var answer *a2a.Error
	return errors.As(err, &answer)
}

func (r *remote) failed(way *link, t Tool, err error, sent *trip, h *heard) Outcome {
	o := Outcome{Error: true}
	if h.task != "" || !answeredBy(err) && !sent.harmless() {
		o.Asked = h.asked()
	}
	what := line(way.wire.shown(r.why(err)), whyBytes)
	switch {
	case answeredBy(err):
		o.Text = fmt.Sprintf("agent %s refuses: %s", r.id, what)
	case sent.harmless():
		o.Text = fmt.Sprintf("%s was not asked: agent %s: %s", t.Name, r.id, what)
	default:
		o.Unsure = t.Class != Read
		o.Text = fmt.Sprintf("the answer of agent %s was lost (%s). It is not known what it did", r.id, what)
	}
	return o
}

// why says to people what keeps us from the agent.
func (r *remote) why(err error) string {
	var answer *a2a.Error
	if errors.As(err, &answer) {
		return strings.TrimSpace(mcpkit.Clean(answer.Message))
	}
	if errors.Is(err, context.Canceled) {
		return "cancelled"
	}
	status := 0
	var refused *refusal
	if errors.As(err, &refused) {
		status = refused.status
	}
	if status == http.StatusForbidden {
		return fmt.Sprintf("this agent may not ask it; somebody who may grant that has to (verb ask on agents.kagent.dev, name %s, in namespace %s)", r.Name, r.Namespace)
	}
	return plainly(err, status, r.id, cardTimeout)
}
