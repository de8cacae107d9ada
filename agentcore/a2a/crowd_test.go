package a2a_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	wire "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/a2a"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// byName takes a token for the name of its bearer.
type byName struct{}

func (byName) Authenticate(_ context.Context, token string) (mcpkit.Caller, error) {
	return mcpkit.Caller{Name: token, Expires: time.Now().Add(time.Hour)}, nil
}

// TestStreamsAreBounded holds that no caller, and not all together, can have as
// many requests open as they like, and that room comes back.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	m, asked := stuck()
	url := serve(t, sre("home"), m, shelf{}, func(o *a2a.Options) {
		o.Authenticator, o.MostOpen, o.MostOpenCaller = byName{}, 3, 2
	})
	open := func(caller, method string, n int) (end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		r := ask(ctx, t, url, caller, method, n)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		<-asked
		return func() { cancel(); resp.Body.Close() }
	}
	refused := func(caller, method string, n, status int, text string) {
		code, retry, body := answered(t, ask(t.Context(), t, url, caller, method, n))
		require.Equal(t, status, code, body)
		require.Equal(t, "5", retry)
		require.Contains(t, body, text)
	}
	end := open("ada", "message/stream", 1)
	open("ada", "SendStreamingMessage", 2)
	refused("ada", "message/stream", 3, http.StatusTooManyRequests, "ada has 2 requests open at this agent, the most one caller may have at once; end a stream, wait for an answer, or try again in 5 s")
	refused("ada", "message/send", 3, http.StatusTooManyRequests, "ada has 2 requests open")
	open("bob", "message/stream", 1)
	refused("eve", "SendMessage", 1, http.StatusServiceUnavailable, "3 requests are open at this agent, the most that may be at once; try again in 5 s")
	code, body := post(t, url, "ada", `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"sre-none"}}`)
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "no such task", "who has no room can still look, and cancel")
	end()
	require.Eventually(t, func() bool {
		code, _, _ := answered(t, ask(t.Context(), t, url, "ada", "message/stream", -1)) // says nothing
		return code == http.StatusOK
	}, 5*time.Minute, 20*time.Millisecond)
}

// ask is a question; one without words for a number below zero.
func ask(ctx context.Context, t *testing.T, url, caller, method string, n int) *http.Request {
	t.Helper()
	text := "Is all well?"
	if n < 0 {
		text = ""
	}
	role, part := "user", `"kind":"text",`
	if method[0] == 'S' {
		role, part = string(wire.MessageRoleUser), ""
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{"message":{"kind":"message","messageId":"%s-%d","role":%q,"parts":[{%s"text":%q}]}}}`, method, caller, n, role, part, text)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+caller)
	return r
}

func answered(t *testing.T, r *http.Request) (status int, retryAfter, body string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header.Get("Retry-After"), string(text)
}
