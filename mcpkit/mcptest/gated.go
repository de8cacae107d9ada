package mcptest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// GatedWrite is one call of a write tool and how to see what came of it.
type GatedWrite struct {
	Tool    mcpkit.Tool
	Args    map[string]any
	Shown   []string      // parts of the plan the person sees
	State   func() string // of what is written, which is Before or After
	Before  string
	After   string
	Disturb func()          // makes the plan stale; undone by Restore
	Restore func()          // brings back what State was
	Again   string          // what a repeated call answers; that there is nothing to write if empty
	Rules   []mcpkit.Rule   // that the server needs besides the tool's own
	Log     func() []string // the writes in the backend's own log since it was last asked; nil if it keeps none
	Writes  []string        // what Log returns once the person has accepted; one write of any kind if nil
}

// RequireGated holds a write tool to what every one promises: nothing happens
// without a person, or when things changed while the person thought, and with
// their consent exactly the planned thing happens. It leaves the write done and
// returns what the tool answered to that.
func RequireGated(t *testing.T, ts *mcpkit.Toolset, w GatedWrite) Answer {
	t.Helper()
	call := func(decide Decide) Answer {
		return Connect(t, ts, mcpkit.Options{Name: "gated", Access: mcpkit.AccessWrite, CallTimeout: 10 * time.Minute}, decide).Call(w.Tool.Name, w.Args)
	}
	refused := func(decide Decide, why string) Answer {
		t.Helper()
		a := call(decide)
		require.True(t, a.IsError, a.Text)
		require.Contains(t, a.Text, why)
		return a
	}
	require.Equal(t, w.Before, w.State(), "before anything")
	RequireSteady(t, ts, w.Tool.Name, w.Args)

	mute := refused(nil, "denied: a person must approve")
	require.Equal(t, w.Before, w.State(), "a client that cannot ask")

	no := &Person{Says: "decline"}
	refused(no.Decide, "denied: the person declined")
	require.Len(t, no.Asked, 1)
	for _, part := range w.Shown {
		require.Contains(t, no.Asked[0], part)
		require.Contains(t, mute.Text, part)
	}
	require.Equal(t, w.Before, w.State(), "declined")

	late := &Person{Says: "accept", First: w.Disturb}
	refused(late.Decide, "conflict: ")
	w.Restore()
	require.Equal(t, w.Before, w.State(), "stale")
	w.requireLogged(t, []string{})

	yes := &Person{Says: "accept"}
	done := call(yes.Decide)
	require.False(t, done.IsError, done.Text)
	require.Equal(t, w.After, w.State(), "accepted")
	w.requireLogged(t, w.Writes)

	idle := &Person{Says: "accept"}
	again := call(idle.Decide)
	if w.Again == "" {
		require.Empty(t, idle.Asked)
		require.False(t, again.IsError, again.Text)
		require.Contains(t, again.Text, "nothing was written")
		w.requireLogged(t, []string{})
	} else {
		require.Contains(t, again.Text, w.Again)
	}
	require.Equal(t, w.After, w.State(), "again")
	return done
}

// requireLogged requires exactly these writes since the log was last asked, or
// any single one if want is nil.
func (w GatedWrite) requireLogged(t *testing.T, want []string) {
	t.Helper()
	if w.Log == nil {
		return
	}
	got := w.Log()
	if want == nil {
		require.Len(t, got, 1)
		return
	}
	require.Equal(t, want, got)
}
