package kubernetes

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// seenAs names as whom the API server takes the requests of ctx; it is empty
// where all are the server's own.
func (b *Backend) seenAs(ctx context.Context) string {
	if b.cfg.Identity != mcpkit.IdentityCaller {
		return ""
	}
	caller := mcpkit.CallFrom(ctx).Caller
	return strings.Join(append([]string{caller.Name}, slices.Sorted(slices.Values(caller.Groups))...), "\x00")
}

// Bounds of what is remembered of callers.
const (
	callersKnown = 32               // with up to a megabyte each, in a cluster of very many types
	callerKnown  = 10 * time.Minute // then what the caller may see is asked anew
)

// typeIndexes are one index for each identity that requests have: what the API
// server shows one caller, another is not shown.
type typeIndexes struct {
	mu   sync.Mutex
	held []heldIndex // longest unused first
}

type heldIndex struct {
	*typeIndex
	seenAs string
	since  time.Time
}

func (x *typeIndexes) of(seenAs string, now time.Time) *typeIndex {
	x.mu.Lock()
	defer x.mu.Unlock()
	found := heldIndex{&typeIndex{}, seenAs, now}
	if i := slices.IndexFunc(x.held, func(h heldIndex) bool { return h.seenAs == seenAs }); i >= 0 {
		if h := x.held[i]; seenAs == "" || now.Sub(h.since) < callerKnown {
			found = h
		}
		x.held = slices.Delete(x.held, i, i+1)
	}
	if len(x.held) == callersKnown {
		x.held = slices.Delete(x.held, 0, 1)
	}
	x.held = append(x.held, found)
	return found.typeIndex
}
