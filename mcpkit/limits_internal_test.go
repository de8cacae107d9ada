package mcpkit

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestACallerIsHeldToItsPace(t *testing.T) {
	s, now := newShares(Options{CallerRate: 0.5, CallerCalls: 2}), time.Unix(0, 0)
	require.NoError(t, s.pace("ada", now))
	require.EqualError(t, s.pace("ada", now), "unavailable: ada makes more than 0.5 calls a second, the most one caller may make here; try again in 2 s")
	require.NoError(t, s.pace("bob", now), "another caller's pace is its own")
	require.Error(t, s.pace("ada", now.Add(1900*time.Millisecond)), "asking in vain costs nothing and earns nothing")
	require.NoError(t, s.pace("ada", now.Add(2*time.Second)))
}

func TestABurstIsTwoSecondsWorth(t *testing.T) {
	s, now := newShares(Options{CallerRate: 3}), time.Unix(0, 0)
	for range 6 {
		require.NoError(t, s.pace("ada", now))
	}
	require.ErrorContains(t, s.pace("ada", now), "try again in 1 s")
}

func TestACallerHasSoManyCallsAtOnce(t *testing.T) {
	s, now := newShares(Options{CallerRate: 1, CallerCalls: 2}), time.Unix(0, 0)
	require.NoError(t, s.begin("ada", now))
	require.NoError(t, s.begin("ada", now))
	require.EqualError(t, s.begin("ada", now), "unavailable: ada has 2 calls running here already, the most one caller may have at once; wait for one to end, or try again in 1 s")
	require.NoError(t, s.begin("bob", now))
	s.end("ada")
	require.NoError(t, s.begin("ada", now))
}

func TestCallersThatWentAwayAreForgotten(t *testing.T) {
	s, now := newShares(Options{CallerRate: 1, CallerCalls: 1}), time.Unix(0, 0)
	require.NoError(t, s.begin("runs", now))
	for i := range 10_000 {
		require.NoError(t, s.pace(fmt.Sprint("caller-", i), now))
	}
	later := now.Add(forgetEvery)
	require.NoError(t, s.pace("new", later))
	require.Len(t, s.taken, 2)
	require.Error(t, s.begin("runs", later), "whoever has a call running is remembered")
}

// Where a slot is free, no call is told that all are taken, not even one whose
// time is up before it gets there.
func TestAFreeSlotIsTakenWhateverTheTime(t *testing.T) {
	s := NewServer(NewToolset(), Options{MaxCalls: 1})
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for range 100 {
		c := &Call{}
		require.NoError(t, s.limit(late, c))
		require.EqualError(t, s.limit(late, &Call{}), "unavailable: 1 calls are running already and none ended in time; try again in a few seconds")
		c.release()
	}
}

func TestCancelledCallsGetTheTimeToBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, began := NewServer(NewToolset(), Options{MaxCalls: 2}), time.Now()
		c := &Call{}
		require.NoError(t, s.limit(t.Context(), c))
		time.AfterFunc(settleTime/2, c.release)
		s.settle()
		require.Equal(t, settleTime/2, time.Since(began), "and no more than they need")

		s, began = NewServer(NewToolset(), Options{MaxCalls: 2}), time.Now()
		require.NoError(t, s.limit(t.Context(), &Call{}))
		s.settle()
		require.Equal(t, settleTime, time.Since(began), "one that never ends holds nobody up")

		ended := make(chan error, 1)
		time.AfterFunc(settleTime/2, func() { ended <- io.EOF })
		require.ErrorIs(t, orLate(ended), io.EOF)
		require.NoError(t, orLate(ended))
	})
}
