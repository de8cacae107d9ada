package mcpkit_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// register is a cluster that lets the callers in it call. Package locks holds
// the same flags to a real one.
type register struct {
	mcpkit.Locks
	callers []string
}

func (r register) Authorize(_ context.Context, c mcpkit.Caller, _ mcpkit.Right) (bool, error) {
	for _, name := range r.callers {
		if name == c.Name {
			return true, nil
		}
	}
	return false, nil
}

func TestTheFlagsOpenAServerToTheTokensOfAnIssuer(t *testing.T) {
	s := serveIssuer(t)
	p := program(newShelf())
	p.Locks = func(mcpkit.LocksConfig) (mcpkit.Locks, error) {
		return register{callers: []string{"sso:ada"}}, nil
	}
	begin := func(args ...string) (url string) {
		ctx, stop := context.WithCancel(t.Context())
		errs, code := &lines{}, make(chan int, 1)
		args = append([]string{"--http=127.0.0.1:0", "--auth=oidc", "--oidc-issuer-url=" + s.url, "--oidc-username-prefix=sso:"}, args...)
		go func() { code <- p.Run(ctx, args, nil, nil, errs) }()
		t.Cleanup(func() {
			stop()
			require.Zero(t, take(t, code), errs)
			require.NotContains(t, errs.String(), "eyJ", "a token in the log or the record")
		})
		return errs.wait(t, `msg=listening url=(http://\S+)/mcp`)
	}
	call := func(url, audience, sub string) (int, string) {
		resp := post(t, url, getSaw, map[string]string{"Authorization": "Bearer " + s.Token(audience, map[string]any{"sub": sub})})
		return resp.StatusCode, text(t, resp)
	}
	const resource = "https://tools.example.com/mcp"
	url := begin("--resource-url=" + resource)
	status, answer := call(url, resource, "ada")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, answer, `name: saw\nlabel: blue`)
	_, answer = call(url, resource, "bea")
	require.Contains(t, answer, "denied: sso:bea may not call shelf_get_item")
	status, _ = call(url, "shelf-mcp", "ada")
	require.Equal(t, http.StatusUnauthorized, status)
	resp, err := http.Get(url + "/.well-known/oauth-protected-resource/mcp")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.JSONEq(t, `{"resource":"`+resource+`","authorization_servers":["`+s.url+`"],"scopes_supported":["openid"],"bearer_methods_supported":["header"],"resource_name":"shelf-mcp"}`, text(t, resp))

	// An audience of its own counts instead, with or without the address.
	for _, args := range [][]string{{"--audience=tools"}, {"--audience=tools", "--resource-url=" + resource}} {
		url := begin(args...)
		status, _ = call(url, "tools", "ada")
		require.Equal(t, http.StatusOK, status)
		status, _ = call(url, resource, "ada")
		require.Equal(t, http.StatusUnauthorized, status)
	}

	errs := &lines{}
	require.Equal(t, 2, p.Run(t.Context(), []string{"--http=127.0.0.1:0", "--auth=oidc", "--oidc-issuer-url=" + s.url}, nil, nil, errs))
	require.Equal(t, "shelf-mcp: --auth=oidc needs --resource-url, the address clients use for this server, or --audience, whatever its tokens are issued for\n", errs.String())
}
