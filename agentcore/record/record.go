// Package record keeps the one append-only list of events that a run is: its
// transcript, its audit record and the state it resumes from. It refuses to
// change or forget what was appended.
package record

import (
	"context"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Event is one step of a run.
type Event = v1alpha1.AgentRunEvent

// Log is the record of one run. What Append returned from is kept, whatever
// becomes of the process.
type Log interface {
	// Events are those kept when the log was opened.
	Events() []Event
	// Append keeps events, all or none. It fails with [ErrLost] once another
	// process has taken the run over, and with [ErrFull] when the record is
	// full.
	Append(ctx context.Context, events ...Event) error
}
