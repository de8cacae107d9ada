// Package runs keeps an agent's runs, as AgentRun objects of a cluster or as
// files of a directory, and works on those that wait: it claims a run, has the
// loop work on it, and hands it back when the process ends or its claim is in
// doubt. It refuses to let two processes work on one run.
package runs

import (
	"context"
	"errors"
	"iter"

	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Errors of a [Store].
var (
	// ErrNotFound is about a run that does not exist, or not for this agent.
	ErrNotFound = errors.New("there is no such run")
	// ErrTaken is about a run that another process works on.
	ErrTaken = errors.New("another process works on this run")
	// ErrExists is about a run whose name another has.
	ErrExists = errors.New("there is such a run already")
	// ErrOver is about a run of which nothing more becomes.
	ErrOver = errors.New("the run is over")
)

// What a run's metadata holds.
const (
	// ContextLabel names the conversation that a run belongs to.
	ContextLabel = "toolcrib.dev/context"
	// ContextAnnotation holds it as whoever asked wrote it.
	ContextAnnotation = "toolcrib.dev/context"
	// PathAnnotation names the agents above the run's, outermost first, with a
	// comma between them.
	PathAnnotation = "toolcrib.dev/path"
	// AccessAnnotation is the most that the run may do for the agent that asked.
	AccessAnnotation = "toolcrib.dev/access"
	// TokensAnnotation and DollarsAnnotation are the most that the run may take
	// for the agent that asked.
	TokensAnnotation  = "toolcrib.dev/tokens-left"
	DollarsAnnotation = "toolcrib.dev/dollars-left"
)

// Store keeps the runs of one agent.
type Store interface {
	// Create keeps a new run, and gives it a name if it has none; [ErrExists] if
	// another has its name.
	Create(ctx context.Context, r v1alpha1.AgentRun) (v1alpha1.AgentRun, error)
	// Get is one run; [ErrNotFound] if there is none.
	Get(ctx context.Context, name string) (v1alpha1.AgentRun, error)
	// Conversation are the newest runs of a conversation that are over, oldest
	// first, without their events.
	Conversation(ctx context.Context, id string) ([]v1alpha1.AgentRun, error)
	// Cancel asks for the end of a run, whoever works on it.
	Cancel(ctx context.Context, name string) error
	// Follow yields a run as it is now and at each change, until it is over.
	Follow(ctx context.Context, name string) iter.Seq2[v1alpha1.AgentRun, error]
	// Spent is what the runs of this day of UTC took, but for one. Of them only
	// those count as runs that were asked before that one, so that of too many
	// the first are worked on.
	Spent(ctx context.Context, but string) (run.Spent, error)

	// Watch tells of each run that is not over, at first and at each change,
	// until ctx ends. It goes on through failures.
	Watch(ctx context.Context, see func(Sighting))
	// Claim takes a run for this process: one that nobody has, that an earlier
	// process of the same name had, or anybody else, if the run still stands at
	// the version stale, at which it has been left alone for [StaleAfter]; empty
	// if it has not. [ErrTaken] is about one that somebody else has.
	Claim(ctx context.Context, name, stale string) (Claim, error)
}

// Sighting is a run as a store's watch sees it.
type Sighting struct {
	Name    string
	Phase   v1alpha1.RunPhase
	Version string // changes with anything about the run
	Spec    int64  // changes with what is asked, such as for its end
	Gone    bool   // it is over, or deleted
}

// Claim is a run in the hands of this process.
type Claim interface {
	record.Log
	// Run is the run as it was when it was claimed.
	Run() v1alpha1.AgentRun
	// Renew says that the process is alive; [record.ErrLost] if the run is
	// another's by now, or if that has to be feared.
	Renew(ctx context.Context) error
	// Release hands the run back, so that anybody can go on with it.
	Release(ctx context.Context) error
}
