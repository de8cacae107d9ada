package record

import (
	"encoding/json"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Bounds of the record of one run. The last of both is kept for what has
// happened already and must be told: results, and of that the last for the end.
const (
	MostBytes  = 1 << 20
	MostEvents = 4096

	keptBytes  = 64 << 10
	keptEvents = 256
	endBytes   = 8 << 10
)

// Size is what e takes of a record, in bytes.
func Size(e Event) int {
	line, _ := json.Marshal(e) // an event always encodes
	return len(line) + 1
}

// Fits reports whether a record of so many events and bytes has room for more.
func Fits(events, bytes int, more ...Event) bool {
	mostEvents, mostBytes := MostEvents, MostBytes
	for _, e := range more {
		bytes += Size(e)
		switch e.Type {
		case v1alpha1.EventEnded:
		case v1alpha1.EventResult:
			mostEvents, mostBytes = min(mostEvents, MostEvents-1), min(mostBytes, MostBytes-endBytes)
		default:
			mostEvents, mostBytes = MostEvents-keptEvents, MostBytes-keptBytes
		}
	}
	return events+len(more) <= mostEvents && bytes <= mostBytes
}
