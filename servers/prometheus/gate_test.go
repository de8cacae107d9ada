package prometheus

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// person decides about writes in tests.
type person = mcptest.Person

// writing is a session of the write server whose writes p decides about.
func writing(t testing.TB, b *Backend, p *person) *mcptest.Session {
	t.Helper()
	return serve(t, b, mcpkit.AccessWrite, p.Decide)
}

// requireSteady requires that a write's plan is the same a moment later.
func requireSteady(t *testing.T, b *Backend, tool mcpkit.Tool, args map[string]any) {
	t.Helper()
	ts := mcpkit.NewToolset()
	Register(ts, b)
	mcptest.RequireSteady(t, ts, tool.Name, args)
}

// gatedWrite is one write and what surrounds it.
type gatedWrite struct {
	tool    mcpkit.Tool
	args    map[string]any
	shown   []string // parts of the plan the person sees
	state   func() string
	before  string
	after   string
	disturb func() // makes the plan stale; undone by restore
	restore func()
}

// requireGated requires that a write is done when the person has accepted the
// plan that still holds, and then alone. It returns what the tool answered.
func requireGated(t *testing.T, w gatedWrite) mcptest.Answer {
	t.Helper()
	b := whole()
	require.Equal(t, w.before, w.state(), "before anything")
	requireSteady(t, b, w.tool, w.args)

	mute := serve(t, b, mcpkit.AccessWrite, nil).Call(w.tool.Name, w.args)
	require.True(t, mute.IsError, mute.Text)
	require.Contains(t, mute.Text, "denied: a person must approve")

	no := &person{Says: "decline"}
	refused := writing(t, b, no).Call(w.tool.Name, w.args)
	require.True(t, refused.IsError, refused.Text)
	require.Contains(t, refused.Text, "denied: the person declined")
	require.Len(t, no.Asked, 1)
	for _, part := range w.shown {
		require.Contains(t, no.Asked[0], part)
		require.Contains(t, mute.Text, part)
	}
	require.Equal(t, w.before, w.state(), "declined")

	late := &person{Says: "accept", First: w.disturb}
	stale := writing(t, b, late).Call(w.tool.Name, w.args)
	require.True(t, stale.IsError, stale.Text)
	require.Contains(t, stale.Text, "conflict: ")
	w.restore()
	require.Equal(t, w.before, w.state(), "stale")

	yes := &person{Says: "accept"}
	done := writing(t, b, yes).Call(w.tool.Name, w.args)
	require.False(t, done.IsError, done.Text)
	require.Equal(t, w.after, w.state(), "accepted")

	idle := &person{Says: "accept"}
	again := writing(t, b, idle).Call(w.tool.Name, w.args)
	require.Empty(t, idle.Asked)
	require.False(t, again.IsError, again.Text)
	require.Contains(t, again.Text, "nothing was written")
	require.Equal(t, w.after, w.state(), "again")
	return done
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}
