package mcpkit_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// guarded is a shelf that s's tokens open, as its clients reach it.
func guarded(t *testing.T, s *served, c mcpkit.OIDCConfig) (base string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	base = "http://" + server.Listener.Addr().String()
	c.IssuerURL, c.Audience = s.url, base+"/mcp"
	server.Config.Handler = handler(t, newShelf(), mcpkit.Options{Name: "shelf-mcp", Authenticator: newOIDC(t, c)}, mcpkit.HTTPOptions{
		ResourceMetadata: &oauthex.ProtectedResourceMetadata{
			Resource: base + "/mcp", AuthorizationServers: []string{s.url}, ScopesSupported: []string{"openid"}, ResourceName: "shelf-mcp",
		},
	})
	server.Start()
	t.Cleanup(server.Close)
	return base
}

// browser is a person who goes where the authorization server sends them.
func browser(t *testing.T) auth.AuthorizationCodeFetcher {
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, args.URL, nil)
		if err != nil {
			return nil, err
		}
		resp, err := stay.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		back, err := url.Parse(resp.Header.Get("Location"))
		require.Equal(t, "/callback", back.Path)
		q := back.Query()
		return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, err
	}
}

func TestAClientLogsIn(t *testing.T) {
	s := serveIssuer(t)
	s.LogIn(map[string]any{"sub": "ada"})
	base := guarded(t, s, mcpkit.OIDCConfig{})
	logins := 0
	login := browser(t)
	oauth, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{
			Metadata: &oauthex.ClientRegistrationMetadata{RedirectURIs: []string{"http://127.0.0.1:7/callback"}},
		},
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			logins++
			return login(ctx, args)
		},
	})
	require.NoError(t, err)
	session := mcptest.Attach(t, &mcp.StreamableClientTransport{Endpoint: base + "/mcp", MaxRetries: -1, OAuthHandler: oauth}, "", nil)
	require.Equal(t, "name: saw\nlabel: blue", session.Call("shelf_get_item", map[string]any{"name": "saw"}).Text)
	require.Equal(t, 1, logins)
}

func TestAClientWithoutAGoodTokenIsToldWhereToLogIn(t *testing.T) {
	s := serveIssuer(t)
	base := guarded(t, s, mcpkit.OIDCConfig{})
	metadata := `, resource_metadata="` + base + `/.well-known/oauth-protected-resource/mcp"`
	for _, c := range []struct{ authorization, challenge string }{
		{"", `Bearer realm="shelf-mcp"` + metadata}, // RFC 6750, section 3.1: no error code
		{"Basic YTpi", `Bearer realm="shelf-mcp"` + metadata},
		{"Bearer hunter2", `Bearer realm="shelf-mcp"` + metadata + `, error="invalid_token"`},
		{"Bearer " + s.Token("another", map[string]any{"sub": "ada"}), `Bearer realm="shelf-mcp"` + metadata + `, error="invalid_token"`},
		{"Bearer " + s.Token(base+"/mcp", map[string]any{"sub": "system:admin", "iss": s.url}), ""},
	} {
		resp := post(t, base, getSaw, map[string]string{"Authorization": c.authorization})
		require.Equal(t, c.challenge, resp.Header.Get("WWW-Authenticate"))
		if c.challenge != "" {
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
		}
	}
	url := start(t, handler(t, newShelf(), mcpkit.Options{Name: "shelf-mcp", Authenticator: newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url})}, mcpkit.HTTPOptions{}))
	require.Equal(t, `Bearer realm="shelf-mcp"`, post(t, url, getSaw, nil).Header.Get("WWW-Authenticate"))
}

func TestWhileTheIssuerIsDownTheServerSaysSo(t *testing.T) {
	s := serveIssuer(t)
	base := guarded(t, s, mcpkit.OIDCConfig{})
	s.answer(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "starting", http.StatusInternalServerError)
	})
	resp := post(t, base, getSaw, map[string]string{"Authorization": "Bearer " + s.Token(base+"/mcp", map[string]any{"sub": "ada"})})
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))
	require.Equal(t, "who calls cannot be found out: the issuer "+s.url+" does not hand out the keys it signs with; try again in a few seconds\n", text(t, resp))
}

func TestEverybodyMayReadWhereToLogIn(t *testing.T) {
	s := serveIssuer(t)
	base := guarded(t, s, mcpkit.OIDCConfig{})
	ask := func(method, path string, headers map[string]string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
		require.NoError(t, err)
		for name, value := range headers {
			req.Header.Set(name, value)
		}
		req.Host = headers["Host"]
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	inspector := map[string]string{"Origin": "http://localhost:6274", "Sec-Fetch-Site": "cross-site"}
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		resp := ask(http.MethodGet, path, inspector)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
		var m oauthex.ProtectedResourceMetadata
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&m))
		require.Equal(t, oauthex.ProtectedResourceMetadata{
			Resource: base + "/mcp", AuthorizationServers: []string{s.url}, ScopesSupported: []string{"openid"}, ResourceName: "shelf-mcp",
		}, m)

		resp = ask(http.MethodOptions, path, map[string]string{"Origin": inspector["Origin"], "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "mcp-protocol-version"})
		require.Equal(t, http.StatusNoContent, resp.StatusCode)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
		require.True(t, strings.HasPrefix(resp.Header.Get("Access-Control-Allow-Headers"), "*"))

		require.Equal(t, http.StatusMethodNotAllowed, ask(http.MethodPost, path, nil).StatusCode)
		require.Equal(t, http.StatusForbidden, ask(http.MethodGet, path, map[string]string{"Host": "evil.example.com"}).StatusCode)
	}
	url := start(t, handler(t, newShelf(), mcpkit.Options{}, mcpkit.HTTPOptions{}))
	resp, err := http.Get(url + "/.well-known/oauth-protected-resource")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "a server that nobody logs in to")
}

func TestTheMetadataLiesBeforeThePathOfTheResource(t *testing.T) {
	s := serveIssuer(t)
	o := mcpkit.Options{Name: "shelf-mcp", Authenticator: newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url})}
	for resource, metadata := range map[string]string{
		"https://tools.example.com/mcp":     "https://tools.example.com/.well-known/oauth-protected-resource/mcp",
		"https://tools.example.com/k8s/mcp": "https://tools.example.com/.well-known/oauth-protected-resource/k8s/mcp",
		"https://tools.example.com/":        "https://tools.example.com/.well-known/oauth-protected-resource",
		"https://tools.example.com":         "https://tools.example.com/.well-known/oauth-protected-resource",
	} {
		base := start(t, handler(t, newShelf(), o, mcpkit.HTTPOptions{ResourceMetadata: &oauthex.ProtectedResourceMetadata{Resource: resource}}))
		require.Equal(t, `Bearer realm="shelf-mcp", resource_metadata="`+metadata+`"`, post(t, base, getSaw, nil).Header.Get("WWW-Authenticate"))
		at, err := url.Parse(metadata)
		require.NoError(t, err)
		resp, err := http.Get(base + at.Path)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
}
