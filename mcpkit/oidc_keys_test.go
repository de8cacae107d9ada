package mcpkit_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/issuer"
)

func TestKeysRotateWithoutAnybodyNoticing(t *testing.T) {
	s, c := serveIssuer(t), newClock()
	o := newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url, Now: c.now})
	ada := map[string]any{"sub": "ada"}
	before := s.Token(audience, ada)
	require.NoError(t, prove(t, o, before))
	s.Rotate()
	after := s.Token(audience, ada)
	require.NoError(t, prove(t, o, after), "a key is fetched once it is used")
	require.NoError(t, prove(t, o, before), "the old one is published still")
	require.EqualValues(t, 2, s.fetches.Load())

	s.Withdraw()
	require.NoError(t, prove(t, o, before), "nobody has asked the issuer since")
	c.pass(10 * time.Minute)
	requireKind(t, mcpkit.Denied, "its key is none that the issuer publishes", prove(t, o, before))
	require.NoError(t, prove(t, o, after))
}

func TestAnIssuerWithOneKeyNeedNotNameIt(t *testing.T) {
	s := serveIssuer(t)
	o := newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url})
	for range 2 {
		claims := map[string]any{"iss": s.url, "aud": audience, "sub": "ada", "exp": time.Now().Add(time.Hour).Unix()}
		require.NoError(t, prove(t, o, s.Sign(map[string]any{"kid": ""}, claims)))
		s.Rotate()
		s.Withdraw()
	}
}

func TestAFloodOfUnknownKeysIsNoFloodOfFetches(t *testing.T) {
	s, c := serveIssuer(t), newClock()
	o := newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url, Now: c.now})
	stranger := issuer.New(s.url)
	var flood sync.WaitGroup
	for range 20 {
		flood.Go(func() {
			for range 20 {
				stranger.Rotate()
				_, err := o.Authenticate(t.Context(), stranger.Token(audience, map[string]any{"sub": "eve"}))
				if err == nil {
					t.Error("a stranger's token proved something")
				}
			}
		})
	}
	flood.Wait()
	require.LessOrEqual(t, s.fetches.Load(), int32(3))

	require.NoError(t, prove(t, o, s.Token(audience, map[string]any{"sub": "ada"})), "known keys need no fetch")
	s.Rotate()
	c.pass(5 * time.Second)
	require.NoError(t, prove(t, o, s.Token(audience, map[string]any{"sub": "ada"})), "a new key is found moments later")
}

func TestAnIssuerThatIsDownIsAskedAgain(t *testing.T) {
	s, c := serveIssuer(t), newClock()
	s.answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "starting", http.StatusServiceUnavailable) })
	o := newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url, Now: c.now})
	token := s.Token(audience, map[string]any{"sub": "ada"})
	for range 10 {
		requireKind(t, mcpkit.Unavailable, "does not hand out the keys it signs with; try again in a few seconds", prove(t, o, token))
	}
	s.answer(nil)
	c.pass(5 * time.Second)
	require.NoError(t, prove(t, o, token))

	s.answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusServiceUnavailable) })
	for range 5 {
		c.pass(11 * time.Minute)
		require.NoError(t, prove(t, o, s.Token(audience, map[string]any{"sub": "ada", "exp": c.now().Add(time.Hour).Unix()})), "the keys that are known serve")
	}
	s.Rotate()
	requireKind(t, mcpkit.Unavailable, "does not hand out the keys", prove(t, o, s.Token(audience, map[string]any{"sub": "ada"})))
}

func TestASlowIssuerHoldsNobodyUp(t *testing.T) {
	s, c := serveIssuer(t), newClock()
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	o := newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url, Now: c.now})
	known := s.Token(audience, map[string]any{"sub": "ada", "exp": time.Now().Add(time.Hour).Unix()})
	require.NoError(t, prove(t, o, known))
	asked := make(chan struct{}, 10)
	s.answer(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})
	s.Rotate()
	token := s.Token(audience, map[string]any{"sub": "ada"})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := o.Authenticate(ctx, token)
		left <- err
	}()
	take(t, asked)
	leave()
	requireKind(t, mcpkit.Unavailable, "does not hand out the keys", take(t, left))
	require.NoError(t, prove(t, o, known), "while the issuer is asked")

	go func() { left <- prove(t, o, token) }()
	requireKind(t, mcpkit.Unavailable, "does not hand out the keys", take(t, left)) // the fetch that began ends by itself
	for tries := 1; ; tries++ {                                                     // whoever waits for the issuer waits for 5 s each time, on any machine
		c.pass(11 * time.Minute)
		began := time.Now()
		require.NoError(t, prove(t, o, known), "old keys serve while the issuer is known to be down")
		if time.Since(began) < 5*time.Second {
			break
		}
		require.Less(t, tries, 5, "and nobody waits for it")
	}
}

// The issuer's documents are as foreign as its tokens.
func TestWhatAnIssuerPublishesIsNotBelieved(t *testing.T) {
	s, stranger := serveIssuer(t), serveIssuer(t)
	about := func(iss, keys string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				s.Issuer.ServeHTTP(w, r)
				return
			}
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, iss, keys)
		}
	}
	keys := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/keys" {
				s.Issuer.ServeHTTP(w, r)
				return
			}
			answer(w, r)
		}
	}
	id, _ := stranger.PublicKey()
	forged := stranger.Token(audience, map[string]any{"iss": s.url, "sub": "ada"})
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		cause  string
	}{
		"another issuer":   {about(stranger.url, s.url+"/keys"), "the issuer calls itself"},
		"keys without TLS": {about(s.url, "http://keys.example.com/keys"), "must begin with https://"},
		"keys in a file":   {about(s.url, "file:///etc/keys"), "is not a URL"},
		"no address":       {about(s.url, ""), "is not a URL"},
		"redirected keys": {keys(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, stranger.url+"/keys", http.StatusFound)
		}), "redirects are not followed"},
		"redirected issuer": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, stranger.url+r.URL.Path, http.StatusTemporaryRedirect)
		}, "redirects are not followed"},
		"no JSON": {keys(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }), "invalid character"},
		"endless": {keys(func(w http.ResponseWriter, r *http.Request) {
			for line := make([]byte, 64<<10); ; {
				for i := range line {
					line[i] = ' '
				}
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}), "EOF"},
	} {
		s.answer(c.answer)
		_, err := newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url}).Authenticate(t.Context(), forged)
		requireKind(t, mcpkit.Unavailable, "does not hand out the keys", err)
		var known *mcpkit.Error
		require.ErrorAs(t, err, &known)
		require.ErrorContains(t, known.Err, c.cause, name)
	}
	require.Zero(t, stranger.fetches.Load())

	// Keys nobody can use are passed over; those that are secrets are none.
	s.answer(keys(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"oct","kid":%q,"k":"c2VjcmV0"},{"kty":"OKP","crv":"X448","kid":"a"},{"kty":7},null]}`, id)
	}))
	requireKind(t, mcpkit.Denied, "its key is none that the issuer publishes", prove(t, newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url}), forged))
}

func prove(t *testing.T, o *mcpkit.OIDC, token string) error {
	t.Helper()
	_, err := o.Authenticate(t.Context(), token)
	return err
}
