package locks

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestACallerIsWhomTheClusterKnows(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "knows")
	c, err := l.Authenticate(t.Context(), account(t, "ada", audience))
	require.NoError(t, err)
	require.Equal(t, "system:serviceaccount:agents:ada", c.Name)
	require.Equal(t, kubectl(t, "get", "serviceaccount", "ada", "-n", "agents", "-o", "jsonpath={.metadata.uid}"), c.UID)
	require.Equal(t, []string{"system:serviceaccounts", "system:serviceaccounts:agents", "system:authenticated"}, c.Groups)
	require.Contains(t, c.Extra["authentication.kubernetes.io/credential-id"][0], "JTI=")
	require.WithinDuration(t, time.Now().Add(time.Hour), c.Expires, time.Minute)
}

func TestTokensThatAreNotGoodHere(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "attacked")
	good := account(t, "mallory", audience)
	parts := strings.Split(good, ".")
	none := part(t, map[string]any{"alg": "none"}) + "." + parts[1] + "."
	unknown := "the cluster does not know this token, or it is not valid any more; send one for audience " + audience
	for name, c := range map[string]struct{ token, text string }{
		"another audience":      {account(t, "mallory", "other.tools.svc"), "the token is for another audience; send one for audience " + audience},
		"the API server's own":  {kubectl(t, "create", "token", "mallory", "-n", "agents"), "the token is for another audience; send one for audience " + audience},
		"expired":               {forge(t, clusterKey(t), good, expiring(-30*time.Second)), "the token has expired"},
		"another key":           {forge(t, newKey(t), good, nil), unknown},
		"another's name":        {parts[0] + "." + part(t, map[string]any{"sub": "system:serviceaccount:kube-system:admin", "aud": []string{audience}}) + "." + parts[2], unknown},
		"no signature":          {none, unknown},
		"an issuer of its own":  {forge(t, clusterKey(t), good, map[string]any{"iss": "https://mallory.example.com"}), unknown},
		"not valid yet":         {forge(t, clusterKey(t), good, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), unknown},
		"garbage":               {"\u202e;drop\"}{", unknown},
		"three parts of nought": {"..", unknown},
		"long":                  {strings.Repeat("x", 1<<20), unknown},
	} {
		_, err := l.Authenticate(t.Context(), c.token)
		known := refusal(t, err)
		require.Equal(t, mcpkit.Denied, known.Kind, name)
		require.Contains(t, known.Text, c.text, name)
		if len(c.token) > 2 {
			require.NotContains(t, fmt.Sprint(known.Err), c.token, name)
		}
	}
	_, err := l.Authenticate(t.Context(), good)
	require.NoError(t, err, "a flood of bad tokens stands in nobody's way")
}

// TestAForgeryNeedsTheClustersKey holds the attacks above to account: the same
// forger with the cluster's own key is let in.
func TestAForgeryNeedsTheClustersKey(t *testing.T) {
	t.Parallel()
	l, _ := openAs(t, server(t), "forged")
	c, err := l.Authenticate(t.Context(), forge(t, clusterKey(t), account(t, "forged", audience), nil))
	require.NoError(t, err)
	require.Equal(t, "system:serviceaccount:agents:forged", c.Name)
}

func TestATokenIsNeverKeptPastItsExpiry(t *testing.T) {
	t.Parallel()
	l, now := openAs(t, server(t), "short")
	token := forge(t, clusterKey(t), account(t, "short", audience), expiring(5*time.Second))
	c, err := l.Authenticate(t.Context(), token)
	require.NoError(t, err)
	now.pass(c.Expires.Sub(now.Now()))
	_, err = l.Authenticate(t.Context(), token)
	require.Equal(t, mcpkit.Denied, refusal(t, err).Kind)
	require.Contains(t, refusal(t, err).Text, "the token has expired, at "+c.Expires.UTC().Format(time.RFC3339))
	require.Equal(t, 1, reviews(t, "short", "tokenreviews"), "the API server, whose clock allows a minute more, is not asked")
}

func TestATokenOfADeletedAccountEndsWithinSeconds(t *testing.T) {
	t.Parallel()
	l, now := openAs(t, server(t), "deleted")
	token := account(t, "deleted", audience)
	_, err := l.Authenticate(t.Context(), token)
	require.NoError(t, err)
	kubectl(t, "delete", "serviceaccount", "deleted", "-n", "agents")
	_, err = l.Authenticate(t.Context(), token)
	require.NoError(t, err, "what is remembered")
	require.Eventually(t, func() bool { // the API server remembers for seconds, too
		now.pass(knownFor + 1)
		_, err = l.Authenticate(t.Context(), token)
		return err != nil
	}, limit, tick)
	require.Equal(t, mcpkit.Denied, refusal(t, err).Kind)
	require.ErrorContains(t, refusal(t, err).Err, "not found", "what the API server says is for the log")
}

func TestManyAskOnce(t *testing.T) {
	t.Parallel()
	l, now := openAs(t, server(t), "once")
	for i, token := range []string{account(t, "once", audience), "nobody's"} {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { _, _ = l.Authenticate(t.Context(), token) })
		}
		all.Wait()
		require.Equal(t, i+1, reviews(t, "once", "tokenreviews"))
	}
	now.pass(unknownFor + 1)
	_, err := l.Authenticate(t.Context(), "nobody's")
	require.Error(t, err)
	require.Equal(t, 3, reviews(t, "once", "tokenreviews"), "a refusal is kept for a shorter time")
}

func FuzzClaims(f *testing.F) {
	f.Add("e30.eyJleHAiOjE3MDAwMDAwMDAsImF1ZCI6ImEifQ.")
	f.Add("e30.eyJleHAiOjFlMzA4LCJhdWQiOlsiYSIsImIiXX0.x")
	f.Add("a.b")
	f.Fuzz(func(t *testing.T, token string) {
		said := claimsOf(token)
		require.False(t, math.IsNaN(said.Expires))
		if said.Expires > 0 {
			require.GreaterOrEqual(t, said.expires().Unix(), int64(0), "no far off time comes around as a past one")
		}
	})
}
