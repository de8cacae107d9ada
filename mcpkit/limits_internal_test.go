package mcpkit

import (
	"fmt"
	"testing"
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
