package mcpkit_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/issuer"
)

const audience = "https://tools.example.com/mcp"

// served is an issuer on loopback that tests can get in the way of.
type served struct {
	*issuer.Issuer
	url     string
	fetches atomic.Int32 // of the keys
	mu      sync.Mutex
	instead http.Handler // answers in its place
}

func serveIssuer(t *testing.T) *served {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s := &served{url: "http://" + server.Listener.Addr().String()}
	s.Issuer = issuer.New(s.url)
	server.Config.Handler = s
	server.Start()
	t.Cleanup(server.Close)
	return s
}

func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	next := s.instead
	s.mu.Unlock()
	if r.URL.Path == "/keys" {
		s.fetches.Add(1)
	}
	if next == nil {
		next = s.Issuer
	}
	next.ServeHTTP(w, r)
}

// answer has h answer in the issuer's place, or the issuer again if nil.
func (s *served) answer(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = nil
	if h != nil {
		s.instead = h
	}
}

// clock is a time that stands still until tests move it.
type clock struct {
	start time.Time
	ahead atomic.Int64
}

func newClock() *clock { return &clock{start: time.Now()} }

func (c *clock) now() time.Time       { return c.start.Add(time.Duration(c.ahead.Load())) }
func (c *clock) pass(d time.Duration) { c.ahead.Add(int64(d)) }

func newOIDC(t *testing.T, c mcpkit.OIDCConfig) *mcpkit.OIDC {
	t.Helper()
	if c.Audience == "" {
		c.Audience = audience
	}
	o, err := mcpkit.NewOIDC(c)
	require.NoError(t, err)
	return o
}

func requireKind(t *testing.T, kind mcpkit.Kind, text string, err error) {
	t.Helper()
	known, ok := errors.AsType[*mcpkit.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, kind, known.Kind, "%v", err)
	require.Contains(t, known.Text, text)
}

func TestATokenOfTheIssuerProvesWhoCalls(t *testing.T) {
	s := serveIssuer(t)
	o := newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url, GroupsClaim: "groups", GroupsPrefix: "sso:"})
	expires := time.Now().Add(20 * time.Minute).Truncate(time.Second)
	caller, err := o.Authenticate(t.Context(), s.Token(audience, map[string]any{
		"sub": "ada", "groups": []string{"platform", "on-call"}, "exp": expires.Unix(),
	}))
	require.NoError(t, err)
	require.Equal(t, mcpkit.Caller{
		Name: s.url + "#ada", Groups: []string{"sso:platform", "sso:on-call", "system:authenticated"}, Expires: expires,
	}, caller)

	_, err = o.Authenticate(t.Context(), s.Token("", map[string]any{"sub": "ada", "aud": []string{"another", audience}}))
	require.NoError(t, err, "one of several audiences is ours")
}

func TestAnIssuerIsTrustedByItsAuthority(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	url := "https://" + server.Listener.Addr().String()
	i := issuer.New(url)
	server.Config.Handler = i
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))

	token := i.Token(audience, map[string]any{"sub": "ada"})
	caller, err := newOIDC(t, mcpkit.OIDCConfig{IssuerURL: url, CAFile: ca}).Authenticate(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, url+"#ada", caller.Name)
	_, err = newOIDC(t, mcpkit.OIDCConfig{IssuerURL: url}).Authenticate(t.Context(), token)
	requireKind(t, mcpkit.Unavailable, "does not hand out the keys", err)
}

// tokens that prove nothing, and what their bearer is told.
func forgeries(t *testing.T, s *served) map[string]struct{ token, told string } {
	ada := map[string]any{"sub": "ada"}
	claims := map[string]any{"iss": s.url, "aud": audience, "sub": "ada", "exp": time.Now().Add(time.Hour).Unix()}
	good := s.Token(audience, ada)
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	_, other, _ := strings.Cut(s.Token(audience, map[string]any{"sub": "eve"}), ".")
	otherPayload, _, _ := strings.Cut(other, ".")
	stranger := issuer.New(s.url)
	ourKid, public := s.PublicKey()
	strangerKid, _ := stranger.PublicKey()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	at := func(name string, d time.Duration) string {
		return s.Token(audience, map[string]any{"sub": "ada", name: time.Now().Add(d).Unix()})
	}
	return map[string]struct{ token, told string }{
		"no token":                    {"hunter2", "compact JWS format must have three parts"},
		"alg none":                    {s.Sign(map[string]any{"alg": "none"}, claims), `unexpected signature algorithm "none"`},
		"alg none, unsigned":          {unsigned(map[string]any{"alg": "none"}, payload), `unexpected signature algorithm "none"`},
		"HS256 with the public key":   {hmacToken(ourKid, payload, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), `unexpected signature algorithm "HS256"`},
		"another algorithm":           {s.Sign(map[string]any{"alg": "RS256"}, claims), "its key is none that the issuer publishes"},
		"another's claims":            {header + "." + otherPayload + "." + signature, "its signature is not the issuer's"},
		"another's key under our id":  {stranger.Sign(map[string]any{"kid": ourKid}, claims), "its signature is not the issuer's"},
		"another's key":               {stranger.Token(audience, ada), "its key is none that the issuer publishes"},
		"another's key, none named":   {stranger.Sign(map[string]any{"kid": ""}, claims), "its key is none that the issuer publishes"},
		"a key the token brings":      {stranger.Sign(map[string]any{"jku": "http://evil.example.com/keys", "kid": strangerKid}, claims), "its key is none that the issuer publishes"},
		"an extension nobody knows":   {s.Sign(map[string]any{"crit": []string{"x"}, "x": 1}, claims), "its signature is not the issuer's"},
		"JSON instead of compact":     {`{"payload":"` + payload + `","protected":"` + header + `","signature":"` + signature + `"}`, "compact JWS format must have three parts"},
		"another audience":            {s.Token("https://other.example.com/mcp", ada), "expected audience"},
		"no audience":                 {s.Token(audience, map[string]any{"sub": "ada", "aud": nil}), "expected audience"},
		"an audience of a wrong type": {s.Token(audience, map[string]any{"sub": "ada", "aud": 7}), "unmarshal"},
		"another issuer":              {s.Token(audience, map[string]any{"sub": "ada", "iss": s.url + "/"}), "issued by a different provider"},
		"expired":                     {at("exp", -time.Second), "the token has expired, at 20"},
		"no expiry":                   {s.Token(audience, map[string]any{"sub": "ada", "exp": nil}), "the token does not say when it expires"},
		"an expiry of a wrong type":   {s.Token(audience, map[string]any{"sub": "ada", "exp": "tomorrow"}), "unmarshal"},
		"not yet valid":               {at("nbf", 6*time.Minute), "before the nbf"},
		"nobody":                      {s.Token(audience, nil), `its claim "sub", which names the caller, is not a string`},
	}
}

func unsigned(header map[string]any, payload string) string {
	none := issuer.New("").Sign(header, map[string]any{})
	head, _, _ := strings.Cut(none, ".")
	return head + "." + payload + "."
}

func hmacToken(kid, payload string, secret []byte) string {
	head, _, _ := strings.Cut(issuer.New("").Sign(map[string]any{"alg": "HS256", "kid": kid}, map[string]any{}), ".")
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(head + "." + payload))
	return head + "." + payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestForgedTokensProveNothing(t *testing.T) {
	s := serveIssuer(t)
	for name, c := range forgeries(t, s) {
		o := newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url})
		_, err := o.Authenticate(t.Context(), c.token)
		requireKind(t, mcpkit.Denied, c.told, err)
		require.NotContains(t, err.Error(), c.token, name)
		_, err = o.Authenticate(t.Context(), s.Token(audience, map[string]any{"sub": "ada"}))
		require.NoError(t, err, "a good token, after %s", name)
	}
}

func TestAnOIDCConfigurationThatCannotWorkIsRefused(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(notPEM, []byte("no certificate"), 0o600))
	good := mcpkit.OIDCConfig{IssuerURL: "https://login.example.com/realms/shop", Audience: audience}
	_, err := mcpkit.NewOIDC(good)
	require.NoError(t, err)
	for told, change := range map[string]func(*mcpkit.OIDCConfig){
		"--auth=oidc needs --oidc-issuer-url":                                         func(c *mcpkit.OIDCConfig) { c.IssuerURL = "" },
		"--auth=oidc needs --resource-url":                                            func(c *mcpkit.OIDCConfig) { c.Audience = "" },
		"--oidc-issuer-url=login.example.com is not a URL":                            func(c *mcpkit.OIDCConfig) { c.IssuerURL = "login.example.com" },
		"--oidc-issuer-url=http://login.example.com must begin with https://":         func(c *mcpkit.OIDCConfig) { c.IssuerURL = "http://login.example.com" },
		"--oidc-issuer-url=http://localhost.example.com must begin with https://":     func(c *mcpkit.OIDCConfig) { c.IssuerURL = "http://localhost.example.com" },
		"--oidc-issuer-url=https://login.example.com?a=b must have neither user":      func(c *mcpkit.OIDCConfig) { c.IssuerURL = "https://login.example.com?a=b" },
		"--oidc-username-prefix=system:sso: names that begin with system: are the":    func(c *mcpkit.OIDCConfig) { c.UsernamePrefix = "system:sso" },
		"--oidc-groups-prefix=system:: names that begin with system: are the cluster": func(c *mcpkit.OIDCConfig) { c.GroupsPrefix = "system:" },
		"--oidc-ca-file: open none: no such file or directory":                        func(c *mcpkit.OIDCConfig) { c.CAFile = "none" },
		"ca.pem holds no certificate in PEM":                                          func(c *mcpkit.OIDCConfig) { c.CAFile = notPEM },
	} {
		c := good
		change(&c)
		_, err := mcpkit.NewOIDC(c)
		require.ErrorContains(t, err, told)
	}
}
