package mcpkit

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheCollectorIsTheOperatorsToSet(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })

	tuneCollector(func(name string) string { return map[string]string{"GOGC": "100", "GOMEMLIMIT": "1GiB"}[name] })
	require.Equal(t, 100, debug.SetGCPercent(100))
	require.Equal(t, int64(math.MaxInt64), debug.SetMemoryLimit(-1))

	tuneCollector(func(string) string { return "" })
	require.Equal(t, garbagePercent, debug.SetGCPercent(garbagePercent))
	require.Equal(t, limitFor(0), debug.SetMemoryLimit(-1))

	held := make([]byte, 128<<20)
	require.Eventually(t, func() bool { runtime.GC(); return debug.SetMemoryLimit(-1) > 2*int64(len(held)) }, time.Minute, time.Millisecond)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 64 {
		held[0] = make([]byte, 1<<20)[0]
	}
	runtime.ReadMemStats(&after)
	require.LessOrEqual(t, after.NumGC-before.NumGC, uint32(2), "a server that holds much does not collect without end")

	runtime.KeepAlive(held)
	require.Eventually(t, func() bool { runtime.GC(); return debug.SetMemoryLimit(-1) == memoryLimit }, time.Minute, time.Millisecond)
}
