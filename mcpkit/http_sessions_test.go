package mcpkit_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestACallerHasSoManySessions(t *testing.T) {
	s := serveIssuer(t)
	o := mcpkit.Options{Access: mcpkit.AccessWrite, Authenticator: newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url, Audience: "shelf"})}
	url := start(t, handler(t, newShelf(), o, mcpkit.HTTPOptions{}))
	open := func(who string) (session, answer string) {
		t.Helper()
		resp := post(t, url, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`,
			map[string]string{"Authorization": "Bearer " + s.Token("shelf", map[string]any{"sub": who})})
		return resp.Header.Get("Mcp-Session-Id"), text(t, resp)
	}
	var last string
	for range 100 {
		session, answer := open("ada")
		require.Contains(t, answer, `"serverInfo"`)
		last = session
	}
	for range 2 {
		_, answer := open("ada")
		require.Contains(t, answer, "unavailable: "+s.url+"#ada has 100 sessions open here, the most one caller may have; end some (DELETE with their Mcp-Session-Id), or try again once idle ones have ended")
	}
	_, answer := open("bea")
	require.Contains(t, answer, `"serverInfo"`, "another caller is not held up")

	end := request(t, url, "", map[string]string{"Authorization": "Bearer " + s.Token("shelf", map[string]any{"sub": "ada"}), "Mcp-Session-Id": last})
	end.Method = http.MethodDelete
	resp, err := http.DefaultClient.Do(end)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	_, answer = open("ada")
	require.Contains(t, answer, `"serverInfo"`)
	_, answer = open("ada")
	require.Contains(t, answer, "has 100 sessions open here")
}
