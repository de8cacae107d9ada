package run

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Bounds of what goes into a record, in bytes.
const (
	questionBytes = 64 << 10
	dataBytes     = 64 << 10
	historyBytes  = 8 << 10
	answerBytes   = 120 << 10
	opaqueBytes   = 256 << 10
	argumentBytes = 64 << 10
	resultBytes   = 32 << 10
	resultLeast   = 2 << 10
	reasonBytes   = 1000
	waitBytes     = 16 << 10
)

// Bounds of time.
const (
	keepTimeout = 30 * time.Second // for what must still be kept of a run that is cancelled
	writeGrace  = 20 * time.Second // for a write that is under way when the run must end
)

// mostAtOnce is how many calls that only read are made at once.
const mostAtOnce = 4

// work is one process's work on one run.
type work struct {
	*Runner
	question Question
	log      record.Log
	observer Observer
	fence    fence
	offer    offer
	spent    *Spent // as last heard

	mu    sync.Mutex // of what follows, and of the observer
	state State
	begun map[string]bool     // calls that this process has put on record and not finished
	said  strings.Builder     // the words of the answer that is arriving
	lost  v1alpha1.TokenUsage // of answers that came to nothing
}

// append keeps events, then takes them in and tells of them. What has happened
// is kept also when the run's context has ended.
func (w *work) append(ctx context.Context, events ...record.Event) error {
	if len(events) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
	for i := range events {
		events[i].Time = now
	}
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	if err := w.log.Append(keep, events...); err != nil {
		if errors.Is(err, record.ErrFull) || errors.Is(err, record.ErrLost) {
			return err
		}
		return fmt.Errorf("keep the run: %w", err)
	}
	for _, e := range events {
		w.state.apply(e)
		if w.observer.Event != nil {
			w.observer.Event(e, &w.state)
		}
	}
	return nil
}

// appendResults keeps results. Where the record has no more room for them, what
// they say is cut: that they are there counts more.
func (w *work) appendResults(ctx context.Context, events ...record.Event) error {
	err := w.append(ctx, events...)
	if !errors.Is(err, record.ErrFull) {
		return err
	}
	for i := range events {
		events[i].Text = bound(events[i].Text, 200)
	}
	if again := w.append(ctx, events...); again != nil {
		return again
	}
	return err // there is room for nothing else
}

// end puts the end of the run on record.
func (w *work) end(ctx context.Context, end *ending) error {
	e := record.Event{Type: v1alpha1.EventEnded, Phase: end.phase, Reason: clip(w.fence.clean(end.reason), reasonBytes), Usage: w.used(v1alpha1.TokenUsage{})}
	w.mu.Lock()
	partial := strings.TrimSpace(w.said.String())
	w.said.Reset()
	w.mu.Unlock()
	if partial != "" {
		e.Text = bound(w.fence.clean(partial), resultBytes)
	}
	if end.phase != v1alpha1.RunCompleted && e.Text == "" && w.state.Answer() == "" {
		e.Text = "There is no answer: " + e.Reason + "."
	}
	err := w.append(ctx, e)
	if errors.Is(err, record.ErrFull) {
		e.Text = bound(e.Text, 200) // that it is over counts more
		err = w.append(ctx, e)
	}
	return err
}

// finished is the end of a run whose model has said its last word, nil if it
// has not.
func (w *work) finished() error {
	if len(w.state.Turns) == 0 {
		return nil
	}
	last := w.state.Turns[len(w.state.Turns)-1]
	if reason, closing := strings.CutPrefix(last.Reason, closingPrefix); closing {
		return &ending{v1alpha1.RunStopped, reason}
	}
	if last.Reason == reasonRefused {
		return &ending{v1alpha1.RunFailed, "the model, or its provider, declined to answer; ask in another way"}
	}
	if len(last.Calls) > 0 {
		return nil
	}
	if strings.TrimSpace(last.Text) != "" {
		return &ending{v1alpha1.RunCompleted, w.reasonOf(last)}
	}
	if last.Reason == reasonLength {
		return &ending{v1alpha1.RunFailed, "the model reached the most tokens of an answer before it said anything; raise maxTokens in its ModelConfig"}
	}
	if n := len(w.state.Turns); n > 1 && empty(w.state.Turns[n-2]) {
		return &ending{v1alpha1.RunFailed, "the model answered nothing, twice; ask anew, or have the agent use another model"}
	}
	return nil
}

func empty(t Turn) bool { return strings.TrimSpace(t.Text) == "" && len(t.Calls) == 0 }

// reasonOf is what is to be said of an answer beside it.
func (w *work) reasonOf(t Turn) string {
	switch {
	case t.Reason == reasonLength:
		return "the answer is cut: the model reached the most tokens of an answer"
	case HasTakenOut(w.state.Question):
		return TakenOut
	}
	return ""
}

// Reasons of answers. An answer that closes a run which reached a limit says
// which after closingPrefix.
const (
	closingPrefix = "last answer: "
	reasonLength  = "length"
	reasonRefused = "refused"
)

// Reasons of results: why a tool was not called, or what is unsure. Without one
// the text is the tool's own.
const (
	outcomeRefused = "not called"
	outcomeDenied  = "denied"
	outcomeTimeout = "nobody decided"
	outcomeLimit   = "limit"
	outcomeUnsure  = "unsure"
	outcomeCut     = "not finished"
)
