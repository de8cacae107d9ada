// Package live brings a declared agent to life: it opens its models and its
// tools, those agents among them that are declared beside it, and hands out what
// works on its runs. It refuses nothing itself: what an agent may do is said
// where it is declared, and held to by the loop.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"go.opentelemetry.io/otel/trace"
)

// Options are what no YAML says.
type Options struct {
	Version string // of this program, which tool servers are told
	Sources declared.Sources
	Gate    run.Gate    // who asks people; nobody if nil
	Ask     toolbox.Ask // puts what tool servers ask to a person; nobody if nil
	Tracer  trace.Tracer
	Logger  *slog.Logger
	// Patience is how long after its start runs wait for tool servers that offer
	// nothing; [toolbox.DefaultPatience] if 0.
	Patience time.Duration

	// Inner watches the runs of agents that are asked by this one in the same
	// process; nobody if nil.
	Inner func(agent string) run.Observer
	// Retrying hears when a model is asked again, and after how long.
	Retrying func(why error, wait time.Duration)
}

// Agent is an agent that can be asked.
type Agent struct {
	declared.Agent
	run.Runner
	Tools *toolbox.Box

	directory *declared.Directory
	options   Options

	mu    sync.Mutex
	inner map[string]*Agent // that it asks here, by NAMESPACE/NAME
}

// Open opens an agent of a directory. Nothing is asked of its model yet; its
// tool servers are connected to in the background. Close ends that.
func Open(d *declared.Directory, a declared.Agent, o Options) (*Agent, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	out := &Agent{Agent: a, directory: d, options: o, inner: map[string]*Agent{}}
	options := model.Options{Key: o.Sources.ProviderKey(a.Model.Spec.Provider)}
	if o.Retrying != nil {
		options.Retrying = func(why *model.Error, wait time.Duration) { o.Retrying(why, wait) }
	}
	thinks, err := model.Open(a.Model, a.Secrets, options)
	if err != nil {
		return nil, fmt.Errorf("agent %s/%s: %w", a.Namespace, a.Name, err)
	}
	var folds model.Model
	if a.Folder != nil {
		options.Key = o.Sources.ProviderKey(a.Folder.Spec.Provider)
		if folds, err = model.Open(*a.Folder, a.Secrets, options); err != nil {
			return nil, fmt.Errorf("agent %s/%s: %w", a.Namespace, a.Name, err)
		}
	}
	out.Tools = toolbox.Open(a, toolbox.Options{Version: o.Version, Ask: o.Ask, AskHere: out.askHere, Patience: o.Patience, Logger: o.Logger})
	out.Runner = run.Runner{Agent: a, Model: thinks, Summarizer: folds, Tools: out.Tools, Gate: o.Gate, Tracer: o.Tracer}
	return out, nil
}

// Close ends the sessions with all tool servers.
func (a *Agent) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, inner := range a.inner {
		inner.Close()
	}
	a.Tools.Close()
}

// askHere asks an agent that is declared in full beside this one.
func (a *Agent) askHere(ctx context.Context, sub declared.SubAgent, question string, c toolbox.Call) (toolbox.Outcome, error) {
	name := sub.Namespace + "/" + sub.Name
	inner, err := a.open(name)
	if err != nil {
		return toolbox.Outcome{Error: true, Text: fmt.Sprintf("agent %s cannot be asked: %v", name, err)}, nil
	}
	var watch run.Observer
	if a.options.Inner != nil {
		watch = a.options.Inner(name)
	}
	q := run.Question{Run: c.Run + "." + c.ID, Text: question, Path: c.Path, Access: c.Access, Left: c.Left}
	state, err := inner.Run(ctx, q, &record.Memory{}, watch)
	took := state.Took(inner.Agent.Prices)
	if err != nil {
		if ctx.Err() != nil {
			return toolbox.Outcome{Unsure: true, Asked: &took}, errors.Join(err, ctx.Err())
		}
		return toolbox.Outcome{Error: true, Asked: &took, Text: fmt.Sprintf("agent %s gave up: %v", name, err)}, nil
	}
	if state.Phase == v1alpha1.RunCompleted {
		return toolbox.Outcome{Text: state.Answer(), Asked: &took}, nil
	}
	return toolbox.Outcome{Error: true, Asked: &took, Text: fmt.Sprintf("agent %s was %s: %s. What it knew by then: %s", name, state.Phase, state.Reason, state.Answer())}, nil
}

func (a *Agent) open(name string) (*Agent, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if inner, ok := a.inner[name]; ok {
		return inner, nil
	}
	found, err := a.directory.Agent(name, a.options.Sources)
	if err != nil {
		return nil, err
	}
	inner, err := Open(a.directory, found, a.options)
	if err != nil {
		return nil, err
	}
	inner.Spent = func(context.Context) (run.Spent, error) {
		return run.Spent{}, errors.New("runs of agents that are asked in the same process are not counted; serve it as an agent of its own, or take the limit away")
	}
	a.inner[name] = inner
	return inner, nil
}
