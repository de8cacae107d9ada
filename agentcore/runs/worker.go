package runs

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/linger"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Bounds of a worker.
const (
	// DefaultMost is how many runs are worked on at once, but for those that wait
	// for a person.
	DefaultMost = 4
	mostHeld    = 100 // runs at once, with those that wait
	lookEvery   = 5 * time.Second
	tryAgain    = 10 * time.Second // after a run that could not be worked on
)

// errDone is the cause with which a run's context ends that is over.
var errDone = errors.New("the run is over")

// Worker works on the runs of a store, those that were asked first first.
type Worker struct {
	Store   Store
	Runner  run.Runner // what it is told per run apart
	Most    int        // [DefaultMost] if 0
	Metrics *Metrics
	Log     *slog.Logger

	mu      sync.Mutex
	seen    map[string]sight
	working map[string]*job
	order   int
	ending  bool
	wake    chan struct{}
	jobs    sync.WaitGroup
	ears    ears
}

// sight is what is known of a run that this process does not work on.
type sight struct {
	Sighting
	since time.Time // it has not changed
	first int       // in which order runs came
	look  bool      // whether it may be ours, whoever holds it
	after time.Time // when to try again
}

// job is a run that this process works on.
type job struct {
	cancel  context.CancelCauseFunc
	spec    int64
	waiting bool
}

// Work works until ctx ends, and then hands over what it works on.
func (w *Worker) Work(ctx context.Context) {
	w.mu.Lock()
	w.seen, w.working, w.wake = map[string]sight{}, map[string]*job{}, make(chan struct{}, 1)
	w.mu.Unlock()
	var watching sync.WaitGroup
	watching.Go(func() { w.Store.Watch(ctx, w.see) })
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		for _, s := range w.candidates() {
			w.try(ctx, s)
		}
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-tick.C:
		}
	}
	watching.Wait()
	w.handOver()
}

// see takes in what the store's watch tells.
func (w *Worker) see(s Sighting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j := w.working[s.Name]; j != nil && (s.Gone || j.spec != s.Spec) {
		j.spec = s.Spec
		go w.obey(s.Name)
	}
	before, known := w.seen[s.Name]
	switch {
	case s.Gone:
		delete(w.seen, s.Name)
	case !known:
		w.seen[s.Name] = sight{Sighting: s, since: time.Now(), first: w.order, look: true}
		w.order++
	case before.Version != s.Version:
		before.Sighting, before.since = s, time.Now()
		if s.Phase == v1alpha1.RunPending {
			before.after = time.Time{}
		}
		w.seen[s.Name] = before
	}
	w.nudge()
}

func (w *Worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// candidates are the runs that may be taken now, as many as there is room for.
func (w *Worker) candidates() []sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Metrics.waiting(len(w.seen) - len(w.working))
	busy := 0
	for _, j := range w.working {
		if !j.waiting {
			busy++
		}
	}
	room := min(cmp.Or(w.Most, DefaultMost)-busy, mostHeld-len(w.working))
	now := time.Now()
	var out []sight
	for _, s := range slices.SortedFunc(maps.Values(w.seen), func(a, b sight) int { return a.first - b.first }) {
		free := s.Phase == v1alpha1.RunPending || s.Phase == "" || s.look || now.Sub(s.since) >= StaleAfter
		if w.working[s.Name] == nil && free && now.After(s.after) && len(out) < room {
			out = append(out, s)
		}
	}
	return out
}

// try claims a run and begins to work on it.
func (w *Worker) try(ctx context.Context, s sight) {
	stale := "" // where the watch is late, its holder may be alive all the same
	if time.Since(s.since) >= StaleAfter {
		stale = s.Version
	}
	claim, err := w.Store.Claim(ctx, s.Name, stale)
	w.mu.Lock()
	defer w.mu.Unlock()
	if now, known := w.seen[s.Name]; known {
		now.look, now.after = false, time.Now()
		switch {
		case errors.Is(err, ErrOver), errors.Is(err, ErrNotFound):
			delete(w.seen, s.Name)
		case errors.Is(err, ErrTaken):
			now.since, now.after = time.Now(), time.Now().Add(lookEvery)
			w.seen[s.Name] = now
		case err != nil:
			now.look, now.after = s.look, time.Now().Add(tryAgain)
			w.seen[s.Name] = now
		default:
			w.seen[s.Name] = now
		}
	}
	if err != nil {
		if !errors.Is(err, ErrTaken) && !errors.Is(err, ErrOver) && !errors.Is(err, ErrNotFound) && ctx.Err() == nil {
			w.Log.Warn("a run cannot be claimed", "run", s.Name, "error", err)
		}
		return
	}
	asked := claim.Run()
	working, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	w.working[s.Name] = &job{cancel: cancel, spec: asked.Generation}
	if asked.Spec.Cancel {
		cancel(context.Canceled)
	}
	if w.ending || ctx.Err() != nil {
		cancel(run.ErrHandover)
	}
	w.jobs.Go(func() { w.work(working, claim) })
}

// work has the loop work on a run, and hands it back if it is not over then.
func (w *Worker) work(ctx context.Context, claim Claim) {
	asked := claim.Run()
	alive, stop := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { w.renew(alive, stop, claim) })
	state, err := w.run(alive, claim)
	stop(errDone)
	renewing.Wait()
	if err != nil && !errors.Is(err, run.ErrHandover) && !errors.Is(context.Cause(alive), run.ErrHandover) {
		w.Log.Warn("a run goes back to be worked on later", "run", asked.Name, "error", err)
	}
	if state.Over() {
		w.Metrics.ended(state.Phase)
		w.Log.Info("a run is over", "run", asked.Name, "phase", state.Phase, "turns", len(state.Turns), "calls", state.ToolCalls)
	}
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	if err := claim.Release(leave); err != nil {
		w.Log.Warn("a run cannot be handed back; it is taken over when its claim is stale", "run", asked.Name, "error", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.working, asked.Name)
	if s, known := w.seen[asked.Name]; known && state.Over() {
		delete(w.seen, asked.Name)
	} else if known {
		s.look, s.after = true, time.Now().Add(tryAgain)
		w.seen[asked.Name] = s
	}
	w.nudge()
}

func (w *Worker) run(ctx context.Context, claim Claim) (run.State, error) {
	asked := claim.Run()
	runner := w.Runner
	runner.Spent = func(ctx context.Context) (run.Spent, error) { return w.Store.Spent(ctx, asked.Name) }
	q := run.Question{Run: asked.Name, Text: asked.Spec.Prompt, Data: asked.Spec.Data, Path: Path(asked), Access: v1alpha1.Access(asked.Annotations[AccessAnnotation]), Left: left(asked)}
	if id := asked.Annotations[ContextAnnotation]; id != "" && len(claim.Events()) == 0 {
		history, err := w.history(ctx, asked, id)
		if err != nil && ctx.Err() == nil {
			return run.State{}, err
		}
		q.History = history
	}
	return runner.Run(ctx, q, claim, w.observer(asked.Name))
}

// history is what was said in a conversation before, by and to the same person.
func (w *Worker) history(ctx context.Context, asked v1alpha1.AgentRun, id string) ([]run.Exchange, error) {
	earlier, err := w.Store.Conversation(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []run.Exchange
	for _, r := range earlier {
		if r.Name != asked.Name && r.Spec.RequestedBy == asked.Spec.RequestedBy && r.Annotations[ContextAnnotation] == id && !r.CreationTimestamp.After(asked.CreationTimestamp.Time) {
			out = append(out, run.Exchange{Question: r.Spec.Prompt, Answer: r.Status.Answer})
		}
	}
	return out, nil
}

// Path are the agents above a run's, outermost first.
func Path(r v1alpha1.AgentRun) []string {
	if r.Annotations[PathAnnotation] == "" {
		return nil
	}
	return strings.Split(r.Annotations[PathAnnotation], ",")
}

// left is what whoever asked has left for the run.
func left(r v1alpha1.AgentRun) toolbox.Left {
	tokens, _ := strconv.ParseInt(r.Annotations[TokensAnnotation], 10, 64)
	return toolbox.Left{Tokens: max(0, tokens), Dollars: declared.Amount(v1alpha1.Dollars(r.Annotations[DollarsAnnotation]))}
}

// observer follows a run for those who listen, and for the metrics.
func (w *Worker) observer(name string) run.Observer {
	return run.Observer{
		Text: func(text string) { w.ears.hear(name, text) },
		Event: func(e record.Event, now *run.State) {
			if e.Type == v1alpha1.EventAnswered {
				w.ears.turn(name)
			}
			_, waiting := now.Waiting()
			w.mu.Lock()
			defer w.mu.Unlock()
			if j := w.working[name]; j != nil && j.waiting != waiting {
				j.waiting = waiting
				w.nudge()
			}
		},
		Generated: func(g run.Generated) { w.Metrics.generated(g, w.Runner.Agent.Prices) },
		Called:    w.Metrics.called,
	}
}

// renew says that a run's process is alive, and ends the work on a run that is
// another's.
func (w *Worker) renew(ctx context.Context, stop context.CancelCauseFunc, claim Claim) {
	for linger.For(ctx, renewEvery) == nil {
		if err := claim.Renew(ctx); errors.Is(err, record.ErrLost) {
			w.Log.Warn("a run is no longer ours", "run", claim.Run().Name, "error", err)
			stop(run.ErrHandover)
			return
		}
	}
}

// obey looks whether a run that is worked on is to end.
func (w *Worker) obey(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	r, err := w.Store.Get(ctx, name)
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.working[name]
	switch {
	case j == nil:
	case errors.Is(err, ErrNotFound):
		w.Log.Info("a run was deleted", "run", name)
		j.cancel(run.ErrHandover)
	case err != nil:
		j.spec = 0 // the next change is looked at again
	case r.Spec.Cancel:
		j.cancel(context.Canceled)
	}
}

// handOver ends the work on all runs, so that another process goes on with them.
func (w *Worker) handOver() {
	w.mu.Lock()
	w.ending = true
	for _, j := range w.working {
		j.cancel(run.ErrHandover)
	}
	w.mu.Unlock()
	w.jobs.Wait()
}

// Pending is how many runs wait for somebody to work on them, as far as this
// process knows.
func (w *Worker) Pending() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for name, s := range w.seen {
		if w.working[name] == nil && (s.Phase == v1alpha1.RunPending || s.Phase == "") {
			n++
		}
	}
	return n
}

// Listen hears the words of a run as they arrive, if this process works on it.
// Close the ear in the end.
func (w *Worker) Listen(name string) *Ear { return w.ears.listen(name) }
