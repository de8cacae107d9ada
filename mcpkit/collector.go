package mcpkit

import "runtime/debug"

// When the garbage collector runs. The protocol's library leaves some 300 KB
// behind for each call, so that with Go's own settings a small server collects
// every dozen calls, which takes longer than all else a short call does.
const (
	garbagePercent = 200      // of what is in use, at which it runs
	memoryLimit    = 48 << 20 // bytes in all, beyond which it runs as often as need be
)

// tuneCollector sets the collector up, where the operator has not by Go's own
// environment variables.
func tuneCollector(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
