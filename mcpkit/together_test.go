package mcpkit_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestTogetherReturnsTheFirstErrorAndEndsTheOthers(t *testing.T) {
	broken := errors.New("broken")
	started, ended := make(chan struct{}), false
	err := mcpkit.Together(t.Context(), 2,
		func(ctx context.Context) error { close(started); <-ctx.Done(); ended = true; return nil },
		func(context.Context) error { <-started; return broken },
		func(context.Context) error { t.Error("started after the end"); return nil },
	)
	require.ErrorIs(t, err, broken)
	require.True(t, ended)
}

func TestTogetherKeepsToItsLimit(t *testing.T) {
	var running, most atomic.Int32
	step := func(context.Context) error {
		n := running.Add(1)
		defer running.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		return nil
	}
	require.NoError(t, mcpkit.Together(t.Context(), 2, step, step, step, step, step, step))
	require.LessOrEqual(t, most.Load(), int32(2))
}

func TestTogetherPanicsInItsCaller(t *testing.T) {
	started, ended := make(chan struct{}), false
	defer func() {
		bug := fmt.Sprint(recover())
		require.Contains(t, bug, "index out of range [1] with length 0")
		require.Contains(t, bug, "mcpkit_test.outOfRange", "the stack is that of the step")
		require.True(t, ended, "the other step was told to end")
	}()
	_ = mcpkit.Together(t.Context(), 2,
		func(ctx context.Context) error { close(started); <-ctx.Done(); ended = true; return nil },
		func(context.Context) error { <-started; return outOfRange(nil) },
	)
	t.Error("no panic")
}

//go:noinline
func outOfRange(errs []error) error { return errs[1] }

// TestTogetherPanicsThoughAStepFailedFirst holds to it that no bug hides behind
// an error.
func TestTogetherPanicsThoughAStepFailedFirst(t *testing.T) {
	started := make(chan struct{})
	require.Panics(t, func() {
		_ = mcpkit.Together(t.Context(), 2,
			func(context.Context) error { <-started; return errors.New("broken") },
			func(ctx context.Context) error { close(started); <-ctx.Done(); panic("bug") },
		)
	})
}
