package locks

import (
	"context"
	"errors"
	"fmt"
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
