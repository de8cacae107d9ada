package mcpkit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzVerify(f *testing.F) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	g := newGate(Options{Key: []byte("key"), Now: func() time.Time { return now }})
	genuine := g.sign(asked{Hash: "h", Nonce: "n", Expires: now.Add(time.Hour)})
	f.Add(genuine)
	f.Add("." + genuine)
	f.Add("e30.e30")
	f.Fuzz(func(t *testing.T, state string) {
		p, err := g.verify(state)
		if state == genuine {
			require.NoError(t, err)
			require.Equal(t, "n", p.Nonce)
			return
		}
		if err == nil { // the same bytes in another spelling of base64
			require.Equal(t, "n", p.Nonce)
			return
		}
		require.Equal(t, asked{}, p)
	})
}

func TestUsedApprovalsAreForgottenOnceExpired(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	g := newGate(Options{Now: func() time.Time { return now }})
	require.True(t, g.useOnce(asked{Nonce: "a", Expires: now.Add(time.Minute)}))
	require.False(t, g.useOnce(asked{Nonce: "a", Expires: now.Add(time.Minute)}))
	now = now.Add(time.Hour)
	require.True(t, g.useOnce(asked{Nonce: "b", Expires: now.Add(time.Minute)}))
	require.Len(t, g.used, 1)
}

func TestThePlanHashCoversEverythingButHowThingsStand(t *testing.T) {
	p := Plan{Target: "t", Diff: "d", Notes: []string{"n"}, Seen: []string{"1"}}
	seen := map[string]bool{p.hash("tool", []byte(`{}`)): true}
	for _, other := range []Plan{
		{Target: "T", Diff: "d", Notes: []string{"n"}, Seen: []string{"1"}},
		{Target: "t", Diff: "D", Notes: []string{"n"}, Seen: []string{"1"}},
		{Target: "t", Diff: "d", Notes: []string{"N"}, Seen: []string{"1"}},
		{Target: "t", Diff: "d", Notes: []string{"n"}, Seen: []string{"2"}},
		{Target: "t", Diff: "d", Notes: []string{"n", "1"}},
	} {
		require.False(t, seen[other.hash("tool", []byte(`{}`))])
		seen[other.hash("tool", []byte(`{}`))] = true
	}
	require.False(t, seen[p.hash("other", []byte(`{}`))])
	require.False(t, seen[p.hash("tool", []byte(`{"a":1}`))])
	p.State, p.Now = "not shown", []string{"shown, and moves by itself"}
	require.True(t, seen[p.hash("tool", []byte(`{}`))])
	require.Equal(t, "t\n\nd\n\nNote: n\nNow: shown, and moves by itself", p.String())
}
