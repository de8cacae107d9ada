package kept

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestAnswersCountForAWhile(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC))
	k := New[string, int](clock)
	_, ok := k.Get("a")
	require.False(t, ok)
	k.Put("a", 7, time.Minute)
	clock.SetTime(clock.Now().Add(time.Minute - 1))
	a, ok := k.Get("a")
	require.True(t, ok)
	require.Equal(t, 7, a)
	clock.SetTime(clock.Now().Add(1))
	_, ok = k.Get("a")
	require.False(t, ok)
}

func TestAnswersThatCountNoMoreGo(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC))
	k := New[int, bool](clock)
	for i := range most {
		k.Put(i, true, time.Duration(1+i%2)*time.Minute)
	}
	clock.SetTime(clock.Now().Add(time.Minute))
	k.Put(most, true, time.Minute)
	require.Len(t, k.known, most/2+1)
	_, ok := k.Get(1)
	require.True(t, ok)
}
