package issuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/issuer"
)

const (
	callback = "http://127.0.0.1:7/callback"
	resource = "https://tools.example.com/mcp"
	verifier = "a secret that only the client knows, of 43 bytes"
)

// client is one that has registered, and does not follow redirects.
type client struct {
	t   *testing.T
	url string
	id  string
}

func register(t *testing.T) (*issuer.Issuer, *client) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	c := &client{t: t, url: "http://" + server.Listener.Addr().String()}
	i := issuer.New(c.url)
	server.Config.Handler = i
	server.Start()
	t.Cleanup(server.Close)
	resp, err := http.Post(c.url+"/register", "application/json", strings.NewReader(`{"redirect_uris":["`+callback+`"]}`))
	require.NoError(t, err)
	c.id = c.read(resp)["client_id"].(string)
	return i, c
}

func (c *client) read(resp *http.Response) (out map[string]any) {
	c.t.Helper()
	defer resp.Body.Close()
	require.NoError(c.t, json.NewDecoder(resp.Body).Decode(&out))
	return out
}

// authorize returns what the browser is sent back with, or the error it sees.
func (c *client) authorize(change url.Values) (back url.Values, refused string) {
	c.t.Helper()
	proof := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {callback}, "state": {"s"}, "resource": {resource},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(proof[:])}, "code_challenge_method": {"S256"},
	}
	maps.Copy(q, change)
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := stay.Get(c.url + "/authorize?" + q.Encode())
	require.NoError(c.t, err)
	if resp.StatusCode != http.StatusFound {
		return nil, c.read(resp)["error"].(string)
	}
	resp.Body.Close()
	to, err := resp.Location()
	require.NoError(c.t, err)
	require.Equal(c.t, callback, "http://"+to.Host+to.Path)
	return to.Query(), ""
}

func (c *client) exchange(code string, change url.Values) map[string]any {
	c.t.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "client_id": {c.id},
		"redirect_uri": {callback}, "code_verifier": {verifier}, "resource": {resource},
	}
	maps.Copy(form, change)
	resp, err := http.PostForm(c.url+"/token", form)
	require.NoError(c.t, err)
	return c.read(resp)
}

func TestACodeIsExchangedOnceByWhoAskedForIt(t *testing.T) {
	i, c := register(t)
	_, refused := c.authorize(nil)
	require.Equal(t, "access_denied", refused, "nobody is logged in")
	i.LogIn(map[string]any{"sub": "ada"})

	for want, change := range map[string]url.Values{
		"invalid_grant":          {"code_verifier": {"another secret"}},
		"invalid_target":         {"resource": {"https://other.example.com"}},
		"unsupported_grant_type": {"grant_type": {"password"}},
	} {
		back, _ := c.authorize(nil)
		require.Equal(t, want, c.exchange(back.Get("code"), change)["error"])
	}
	back, _ := c.authorize(nil)
	require.Equal(t, "s", back.Get("state"))
	require.Equal(t, c.url, back.Get("iss"))
	got := c.exchange(back.Get("code"), nil)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(got["access_token"].(string), ".")[1])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(payload, &claims))
	require.Equal(t, []any{c.url, resource, "ada"}, []any{claims["iss"], claims["aud"], claims["sub"]})
	require.Equal(t, "invalid_grant", c.exchange(back.Get("code"), nil)["error"], "a code is good once")
}

func TestOnlyRegisteredClientsWithPKCEGetACode(t *testing.T) {
	i, c := register(t)
	i.LogIn(map[string]any{"sub": "ada"})
	for want, change := range map[string]url.Values{
		"invalid_client":  {"redirect_uri": {"http://evil.example.com/callback"}},
		"invalid_request": {"code_challenge_method": {"plain"}},
	} {
		_, refused := c.authorize(change)
		require.Equal(t, want, refused)
	}
}

func TestKeysStayPublishedUntilWithdrawn(t *testing.T) {
	i, c := register(t)
	old, _ := i.PublicKey()
	i.Rotate()
	current, _ := i.PublicKey()
	published := func() (ids []any) {
		resp, err := http.Get(c.url + "/keys")
		require.NoError(t, err)
		for _, k := range c.read(resp)["keys"].([]any) {
			ids = append(ids, k.(map[string]any)["kid"])
		}
		return ids
	}
	require.Equal(t, []any{old, current}, published())
	i.Withdraw()
	require.Equal(t, []any{current}, published())
}
