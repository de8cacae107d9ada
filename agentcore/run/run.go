// Package run is the loop of an agent: generate, gate, call, append. Everything
// it knows of a run is in the run's record, so that it can go on from there. It
// refuses to call what is not on offer, to write without the person who has to
// decide, and to write a second time what may have been written.
package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"go.opentelemetry.io/otel/trace"
)

// Tools is what the loop calls tools through.
type Tools interface {
	// Settle gives what is not on offer yet a moment to come, before a run
	// begins.
	Settle(ctx context.Context)
	// List are the tools on offer now, in an order that stays, and what is
	// wrong with the others, a line each.
	List(ctx context.Context) (tools []toolbox.Tool, problems []string)
	// Call calls one of them. The error is the context's; what else went wrong
	// is in the outcome.
	Call(ctx context.Context, t toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error)
}

// ErrHandover is the cause to cancel a run's context with, when another process
// is to go on with it: nothing is recorded then but what was under way.
var ErrHandover = errors.New("the run is handed over to another process")

// Runner works on runs of one agent, as many at a time as it is asked to.
type Runner struct {
	Agent      declared.Agent
	Model      model.Model
	Summarizer model.Model // who folds; Model if nil
	Tools      Tools
	Gate       Gate                                     // who asks people; nil where nobody can be asked, which is a no
	Spent      func(ctx context.Context) (Spent, error) // needed for limits per day
	Tracer     trace.Tracer                             // nil for no traces
}

// Question is what a run is asked.
type Question struct {
	Run     string     // its name
	Text    string     // may be empty when the record holds the question already
	Data    string     // foreign text to look at, such as an alert's labels
	History []Exchange // of the same conversation, oldest first
	Path    []string   // the agents above this one, outermost first, as NAMESPACE/NAME
	// Access holds the run to no more than whoever asks may do, where that is
	// another agent. Empty holds it to nothing.
	Access v1alpha1.Access
	// Left is the most that the run may take, where whoever asks is held to a
	// limit. Zero is no limit.
	Left toolbox.Left
}

// Spent is what the other runs of the agent took on this day of UTC.
type Spent struct {
	Runs      int // those that were asked before this one
	ToolCalls int
	Tokens    int64
	Cost      float64 // US dollars
}

// Observer hears of a run as it goes on. Its functions may be nil, must not
// block for long, and are called one at a time.
type Observer struct {
	// Event is called with each event once it is kept, and how the run stands
	// then. What the state holds must not be changed.
	Event func(e record.Event, now *State)
	// Text is called with the model's words as they arrive.
	Text func(text string)
	// Restarted is called when an answer broke off and begins again: the words
	// of it that were heard are void. If it is nil, Text hears of it.
	Restarted func()
	// Generated is called after each request to a model.
	Generated func(Generated)
	// Called is called after each call of a tool, before its result is kept.
	Called func(Called)
}

// Generated is one request to a model, for metrics.
type Generated struct {
	Took  time.Duration
	First time.Duration // until the first words; 0 if there were none
	Usage v1alpha1.TokenUsage
	Err   error
}

// Called is one call of a tool, for metrics and for people.
type Called struct {
	Call   v1alpha1.ToolCall
	Took   time.Duration
	Bytes  int
	Error  bool
	Unsure bool
}

// Run works on a run until it is over, or goes on with it where its record
// ends. The error is about the record or the context alone: the run is not over
// then, and may go on elsewhere.
//
// A context that is cancelled cancels the run, unless its cause is
// [ErrHandover].
func (r *Runner) Run(ctx context.Context, q Question, log record.Log, o Observer) (State, error) {
	w := &work{Runner: r, question: q, log: log, observer: o, state: Replay(log.Events()), begun: map[string]bool{}}
	if w.state.Over() {
		return w.state, nil
	}
	if err := w.begin(ctx); err != nil {
		return w.state, w.fail(ctx, err)
	}
	ctx, done := w.traceRun(ctx)
	defer done()
	for !w.state.Over() {
		if err := w.step(ctx); err != nil {
			if err := w.fail(ctx, err); err != nil {
				return w.state, err
			}
		}
	}
	return w.state, nil
}

// begin puts the question on record, or that a new process goes on with it.
func (w *work) begin(ctx context.Context) error {
	w.Tools.Settle(ctx)
	w.list(ctx)
	defer func() { w.fence = newFence(w.state.Seed) }()
	switch {
	case w.state.Question == "" && w.question.Text == "":
		return errors.New("a run needs a question")
	case w.state.Question == "":
		return w.append(ctx, w.asked()...)
	case w.state.resumes >= mostResumes:
		return &ending{v1alpha1.RunFailed, fmt.Sprintf("the process that works on the run has ended %d times at this point; look at its log for why, and ask anew", w.state.resumes)}
	}
	return w.append(ctx, record.Event{Type: v1alpha1.EventResumed})
}

// mostResumes is how often a run is gone on with that comes no further by it: it
// may be what ends the process.
const mostResumes = 10

// asked is the question with the conversation that it belongs to.
func (w *work) asked() []record.Event {
	seed := rand.Text()
	f := newFence(seed)
	var events []record.Event
	for _, h := range w.question.History {
		events = append(events,
			record.Event{Type: v1alpha1.EventAsked, Text: bound(WithoutSecrets(h.Question), historyBytes)},
			record.Event{Type: v1alpha1.EventAnswered, Text: bound(orElse(h.Answer, "(no answer)"), historyBytes)})
	}
	return append(events, record.Event{
		Type: v1alpha1.EventAsked, Seed: seed,
		Text:   bound(WithoutSecrets(w.question.Text), questionBytes),
		Data:   clip(f.clean(w.question.Data), dataBytes),
		Reason: f.clean(w.offer.missing()),
	})
}

// step takes the run one step further: the calls that are open, or the model's
// next answer, or the end.
func (w *work) step(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if open := w.state.open(); len(open) > 0 {
		return w.call(ctx, open)
	}
	if end := w.finished(); end != nil {
		return end
	}
	w.list(ctx)
	request := w.request()
	reason, err := w.reached(ctx, request)
	if err != nil {
		return err
	}
	if reason != "" {
		return w.close(ctx, request, reason)
	}
	if folded, err := w.fold(ctx, request); err != nil || folded {
		return err
	}
	return w.generate(ctx, request)
}

// fail ends a run that an error, a limit or a person ends. It returns the error
// if the run is not over by it.
func (w *work) fail(ctx context.Context, err error) error {
	var end *ending
	var unanswered *model.Error
	switch {
	case errors.As(err, &end):
	case errors.Is(err, errDuration): // the next step tells
		return nil
	case errors.Is(err, record.ErrLost), errors.Is(context.Cause(ctx), ErrHandover):
		return err
	case errors.Is(err, record.ErrFull):
		end = &ending{v1alpha1.RunStopped, fmt.Sprintf("the record of the run is full (%d KiB); ask for less in one run", record.MostBytes>>10)}
	case ctx.Err() != nil:
		end = &ending{v1alpha1.RunCancelled, "somebody cancelled the run"}
	case errors.As(err, &unanswered):
		end = &ending{v1alpha1.RunFailed, "the model gives no answer: " + err.Error() + remedy(unanswered)}
	default:
		return err
	}
	return w.end(ctx, end)
}

// remedy is what can be done about a model that refuses, where its provider's
// words may not say it.
func remedy(e *model.Error) string {
	switch {
	case e.Kind == model.Unauthorized && e.Status != 0:
		return "; look at the key that apiKeySecret of the ModelConfig names, and whether it may use the model"
	case e.Kind == model.RateLimited:
		return "; ask again later, or have the provider raise the limit"
	case e.Kind == model.Invalid && e.Status != 0:
		return "; look at the model and the parameters in the ModelConfig"
	}
	return ""
}

// ending is how a run is over.
type ending struct {
	phase  v1alpha1.RunPhase
	reason string
}

func (e *ending) Error() string { return e.reason }
