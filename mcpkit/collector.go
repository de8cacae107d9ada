package mcpkit

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// When the garbage collector runs. The protocol's library leaves some 300 KB
// behind for each call, so that with Go's own settings a small server collects
// every dozen calls, which takes longer than all else a short call does.
const (
	garbagePercent = 200      // of what is in use, at which it runs
	memoryLimit    = 48 << 20 // bytes in all, beyond which it runs sooner; more for a server that holds more
	limitStep      = 16 << 20 // bytes; setting the limit stops the process for a moment
)

// tuneCollector sets the collector up, where the operator has not by Go's own
// environment variables.
func tuneCollector(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
		followUse(memoryLimit)
	}
}

// followUse moves the limit with what is in use, after each collection: one
// that stays below what a server holds would have it collect without end.
func followUse(limit int64) {
	// The cleanup of an object that nothing holds runs after the next collection.
	runtime.AddCleanup(new(*byte), func(limit int64) {
		if next := limitFor(inUse()); next != limit {
			debug.SetMemoryLimit(next)
			limit = next
		}
		followUse(limit)
	}, limit)
}

// limitFor leaves as much again as is in use, and what the runtime itself takes.
func limitFor(used uint64) int64 {
	wanted := 2*int64(used) + memoryLimit/2
	return max(memoryLimit, (wanted+limitStep-1)/limitStep*limitStep)
}

// inUse is what the last collection found in use, in bytes.
func inUse() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}
