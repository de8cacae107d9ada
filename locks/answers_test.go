package locks

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneWhoGivesUpEndsNobodyElsesReview(t *testing.T) {
	a := newAnswers[string](2, 1, clock{})
	asked, answer := make(chan struct{}), make(chan string)
	ask := func(ctx context.Context) (string, time.Duration, error) {
		close(asked)
		select {
		case s := <-answer:
			return s, time.Minute, nil
		case <-ctx.Done():
			return "", 0, ctx.Err()
		}
	}
	impatient, giveUp := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := a.get(impatient, "key", ask); gone <- err }()
	<-asked
	giveUp()
	require.ErrorIs(t, <-gone, context.Canceled)
	go func() { answer <- "found" }()
	got, err := a.get(t.Context(), "key", ask) // a second question would panic
	require.NoError(t, err)
	require.Equal(t, "found", got)
}

func TestWhatCouldNotBeFoundOutIsNotKept(t *testing.T) {
	a := newAnswers[string](2, 1, clock{})
	down := errors.New("down")
	_, err := a.get(t.Context(), "key", func(context.Context) (string, time.Duration, error) { return "", 0, down })
	require.ErrorIs(t, err, down)
	got, err := a.get(t.Context(), "key", func(context.Context) (string, time.Duration, error) { return "up", time.Minute, nil })
	require.NoError(t, err)
	require.Equal(t, "up", got)
}

func TestAFloodOfRefusalsDrivesNoAnswerOut(t *testing.T) {
	a := newAnswers[string](2, 1, clock{})
	say := func(v string, err error) question[string] {
		return func(context.Context) (string, time.Duration, error) { return v, time.Minute, err }
	}
	_, err := a.get(t.Context(), "good", say("kept", nil))
	require.NoError(t, err)
	bad := errors.New("bad")
	for i := range 100 {
		_, err := a.get(t.Context(), fmt.Sprint(i), say("", bad))
		require.ErrorIs(t, err, bad)
	}
	require.Len(t, a.refused.Keys(), 2, "and takes no memory")
	got, err := a.get(t.Context(), "good", say("asked again", nil))
	require.NoError(t, err)
	require.Equal(t, "kept", got)
}

func TestSoManyQuestionsAtOnce(t *testing.T) {
	a := newAnswers[string](10, 2, clock{})
	var asking, most atomic.Int32
	ask := func(context.Context) (string, time.Duration, error) {
		n := asking.Add(1)
		defer asking.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		runtime.Gosched()
		return "found", time.Minute, nil
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			_, err := a.get(t.Context(), fmt.Sprint(i), ask)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, most.Load(), int32(2))
}

// TestACrowdIsToldToComeBack is about the caller for whom the API server has no
// time: it neither waits for ever nor is let in.
func TestACrowdIsToldToComeBack(t *testing.T) {
	t.Parallel()
	a := newAnswers[string](10, 1, clock{})
	busy, asked := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = a.get(t.Context(), "slow", func(context.Context) (string, time.Duration, error) {
			close(asked)
			<-busy
			return "", 0, nil
		})
	}()
	<-asked
	_, err := a.get(t.Context(), "other", func(context.Context) (string, time.Duration, error) { panic("asked all the same") })
	close(busy)
	require.EqualError(t, err, "unavailable: the API server is asked about too many callers at once; try again in a few seconds")
}
