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
