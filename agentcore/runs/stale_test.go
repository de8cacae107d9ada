package runs_test

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// elsewhere is a store with a run that another process works on, until it is
// heard of no more.
type elsewhere struct {
	alive time.Duration

	mu    sync.Mutex
	tried []string // the versions at which the claim was taken for stale
	at    time.Time
}

func (e *elsewhere) Watch(ctx context.Context, see func(runs.Sighting)) {
	begun := time.Now()
	for version := 'a'; time.Since(begun) <= e.alive; version++ {
		see(runs.Sighting{Name: "r", Phase: v1alpha1.RunRunning, Version: string(version)})
		select {
		case <-time.After(15 * time.Second):
		case <-ctx.Done():
			return
		}
	}
	<-ctx.Done()
}

func (e *elsewhere) Claim(_ context.Context, _, stale string) (runs.Claim, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tried = append(e.tried, stale)
	if stale != "" {
		e.at = time.Now()
		return nil, runs.ErrOver
	}
	return nil, runs.ErrTaken
}

func (*elsewhere) Create(context.Context, v1alpha1.AgentRun) (v1alpha1.AgentRun, error) {
	return v1alpha1.AgentRun{}, runs.ErrExists
}

func (*elsewhere) Get(context.Context, string) (v1alpha1.AgentRun, error) {
	return v1alpha1.AgentRun{}, runs.ErrNotFound
}

func (*elsewhere) Conversation(context.Context, string) ([]v1alpha1.AgentRun, error) { return nil, nil }

func (*elsewhere) Cancel(context.Context, string) error { return runs.ErrNotFound }

func (*elsewhere) Follow(context.Context, string) iter.Seq2[v1alpha1.AgentRun, error] {
	return func(func(v1alpha1.AgentRun, error) bool) {}
}

func (*elsewhere) Spent(context.Context, string) (run.Spent, error) { return run.Spent{}, nil }

// TestAStaleClaim holds that a run is left to another process for as long as
// that is heard of, and a minute more.
func TestAStaleClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const alive = 5 * time.Minute
		e := &elsewhere{alive: alive}
		w := &runs.Worker{Store: e, Log: slog.New(slog.DiscardHandler)}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		w.Work(ctx)
		require.Equal(t, []string{"", string('a' + rune(alive/(15*time.Second)))}, e.tried, "it was looked at once, in case it was ours, and then left alone")
		require.GreaterOrEqual(t, e.at.Sub(begun), alive+runs.StaleAfter-15*time.Second)
		require.Less(t, e.at.Sub(begun), alive+runs.StaleAfter+15*time.Second)
	})
}
