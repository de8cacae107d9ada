package locks

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

type nothing struct{}

// asked is what arrives of one request that a call of caller makes, nil if it is
// not sent, and what the call answers.
func asked(t *testing.T, caller mcpkit.Caller) (http.Header, mcptest.Answer) {
	t.Helper()
	var arrived http.Header
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived = r.Header }))
	t.Cleanup(api.Close)
	client := http.Client{Transport: ActAsCaller(http.DefaultTransport)}
	ts := mcpkit.NewToolset()
	mcpkit.Read(ts, mcpkit.Tool{Name: "api_ask", Title: "Ask", Description: "Asks."}, func(ctx context.Context, _ nothing) (nothing, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, api.URL, strings.NewReader("body"))
		require.NoError(t, err)
		r.Header["impersonate-user"] = []string{"system:admin"}
		r.Header.Set("Impersonate-Uid", "1")
		r.Header.Add("Impersonate-Group", "system:masters")
		res, err := client.Do(r)
		if err == nil {
			err = res.Body.Close()
		}
		return nothing{}, err
	})
	answer := mcptest.ConnectAs(t, ts, mcpkit.Options{Name: "api-mcp"}, caller, nil).Call("api_ask", nil)
	return arrived, answer
}

func TestActAsCaller(t *testing.T) {
	ada, _ := asked(t, mcpkit.Caller{
		Name: "ada lovelace", UID: "7", Groups: []string{"sre", "system:authenticated", "ops, east"},
		Extra: map[string][]string{"scopes.example.com/of%": {"read", "list"}, "authentication.kubernetes.io/pod-name": {"p"}, "toolcrib.dev/agent": {"forged"}},
	})
	require.Equal(t, []string{"ada lovelace"}, ada.Values("Impersonate-User"))
	require.Equal(t, []string{"sre", "ops, east"}, ada.Values("Impersonate-Group"))
	require.Equal(t, []string{"read", "list"}, ada.Values("Impersonate-Extra-Scopes.example.com%2fof%25"))
	require.Equal(t, []string{"ada%20lovelace"}, ada.Values("Impersonate-Extra-Toolcrib.dev%2fagent"))
	require.Len(t, ada.Values("Impersonate-Extra-Toolcrib.dev%2fcall"), 1)
	require.Empty(t, ada.Values("Impersonate-Extra-Toolcrib.dev%2frun"))
	require.Empty(t, ada.Values("Impersonate-Uid"))
	for name := range ada {
		require.NotContains(t, name, "pod-Name")
	}

	account, _ := asked(t, mcpkit.Caller{Name: "system:serviceaccount:kagent:helper", Groups: []string{"system:serviceaccounts", "system:masters"}})
	require.Equal(t, []string{"system:serviceaccount:kagent:helper"}, account.Values("Impersonate-User"))
	require.Empty(t, account.Values("Impersonate-Group"))
	require.Equal(t, []string{"kagent/helper"}, account.Values("Impersonate-Extra-Toolcrib.dev%2fagent"))
}

func TestCallersThatNoHeaderNamesAreNotActedFor(t *testing.T) {
	for _, caller := range []mcpkit.Caller{
		{},
		{Name: " ada"},
		{Name: "ada\r\nImpersonate-Group: system:masters"},
		{Name: "ada", Groups: []string{""}},
		{Name: "ada", Groups: []string{"sre\t"}},
		{Name: "ada", Extra: map[string][]string{"scopes": {"a\x00b"}}},
		{Name: "ada", Extra: map[string][]string{"Scopes": {"read"}}},
	} {
		arrived, answer := asked(t, caller)
		require.Nil(t, arrived, "%q", caller)
		require.True(t, answer.IsError)
		require.Contains(t, answer.Text, "denied: ", "%q", caller)
	}
}

func TestNoCallNoRequest(t *testing.T) {
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:1", nil)
	require.NoError(t, err)
	_, err = ActAsCaller(http.DefaultTransport).RoundTrip(r)
	require.EqualError(t, err, "denied: this server asks the cluster as its callers alone (--identity=caller), and this request belongs to no call")
}

// What is sent at all arrives as it was.
func FuzzHeadersArriveWhole(f *testing.F) {
	f.Add("ada@example.com", "sre", "scopes.example.com/a b", "read")
	f.Add("é\r\nHost: x", " sre", "A%2f", "\x7f")
	f.Fuzz(func(t *testing.T, name, group, key, value string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		key = strings.ToLower(key)
		if add(r.Header, impersonateUser, name) != nil || add(r.Header, impersonateGroup, group) != nil ||
			addExtra(r.Header, map[string][]string{key: {value}}) != nil {
			return
		}
		var wire bytes.Buffer
		require.NoError(t, r.Write(&wire))
		back, err := http.ReadRequest(bufio.NewReader(&wire))
		require.NoError(t, err)
		require.Equal(t, name, back.Header.Get(impersonateUser))
		require.Equal(t, []string{group}, back.Header.Values(impersonateGroup))
		if !strings.HasPrefix(key, described) && !strings.HasPrefix(key, ownKeys) {
			require.Equal(t, []string{value}, back.Header.Values(impersonateExtra+headerKey(key)))
		}
	})
}
