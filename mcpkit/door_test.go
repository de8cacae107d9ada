package mcpkit_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// porter knows one token.
type porter struct{}

func (porter) Authenticate(_ context.Context, token string) (mcpkit.Caller, error) {
	if token != "good" {
		return mcpkit.Caller{}, mcpkit.Errorf(mcpkit.Denied, "this token is nobody's")
	}
	return mcpkit.Caller{Name: "ada", Expires: time.Now().Add(time.Hour)}, nil
}

func TestTheDoor(t *testing.T) {
	t.Parallel()
	inside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, known := mcpkit.CallerFrom(r.Context())
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, strings.Join([]string{caller.Name, map[bool]string{true: "known", false: "unknown"}[known], string(body)}, " "))
	})
	now := time.Now() // and it stays that, however long the test takes
	locked, err := mcpkit.Door(mcpkit.Options{Name: "agent", Authenticator: porter{}, CallerRate: 1, Now: func() time.Time { return now }}, mcpkit.HTTPOptions{MaxRequestBytes: 10, AllowedHosts: []string{"agent.shop"}}, inside)
	require.NoError(t, err)
	open, err := mcpkit.Door(mcpkit.Options{Name: "agent"}, mcpkit.HTTPOptions{}, inside)
	require.NoError(t, err)
	try := func(door http.Handler, host, token, body string, headers ...string) (int, string) {
		r := httptest.NewRequest(http.MethodPost, "http://"+host+"/", strings.NewReader(body))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	for _, c := range []struct {
		door              http.Handler
		host, token, body string
		headers           []string
		code              int
		says              string
	}{
		{locked, "elsewhere.example", "good", "hello", nil, http.StatusForbidden, "is not one this server goes by"},
		{locked, "agent.shop:8080", "", "hello", nil, http.StatusUnauthorized, "needs a bearer token"},
		{locked, "agent.shop", "bad", "hello", nil, http.StatusUnauthorized, "this token is nobody's"},
		{locked, "agent.shop", "good", "hello", []string{"Origin", "https://evil.example"}, http.StatusForbidden, "--allowed-origins"},
		{locked, "agent.shop", "good", "hello", nil, http.StatusOK, "ada known hello"},
		{locked, "agent.shop", "good", "hello and more", nil, http.StatusRequestEntityTooLarge, "more than 10 bytes"},
		{locked, "agent.shop", "good", "hello", nil, http.StatusTooManyRequests, "more than 1 calls a second"},
		{open, "localhost", "", "hello", nil, http.StatusOK, "unknown hello"},
		{open, "agent.shop", "", "hello", nil, http.StatusForbidden, "is not one this server goes by"},
	} {
		code, says := try(c.door, c.host, c.token, c.body, c.headers...)
		require.Equal(t, c.code, code, says)
		require.Contains(t, says, c.says)
	}
}
