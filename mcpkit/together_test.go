package mcpkit_test

import (
	"context"
	"errors"
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
	require.PanicsWithValue(t, "bug", func() {
		_ = mcpkit.Together(t.Context(), 2,
			func(context.Context) error { return nil },
			func(context.Context) error { panic("bug") },
		)
	})
}
