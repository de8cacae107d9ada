package locks

import (
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Bounds of waiting for the cluster, on a busy machine.
const (
	limit = 5 * time.Minute
	tick  = 50 * time.Millisecond
)

// through is kubeconfig with the API server behind another address.
func through(t *testing.T, kubeconfig, address string) string {
	t.Helper()
	raw, err := os.ReadFile(kubeconfig)
	require.NoError(t, err)
	path := t.TempDir() + "/kubeconfig"
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(raw), apiServer(t).Host, address)), 0o600))
	return path
}

func apiServer(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(kubectl(t, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"))
	require.NoError(t, err)
	return u
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func TestAnAPIServerThatIsGone(t *testing.T) {
	t.Parallel()
	gone := listen(t)
	gone.Close()
	l, _ := openAs(t, through(t, server(t), gone.Addr().String()), "gone")
	_, err := l.Authenticate(t.Context(), "a token")
	require.Equal(t, mcpkit.Unavailable, refusal(t, err).Kind)
	require.Equal(t, "cannot find out who calls: the API server cannot be reached (connect: connection refused); try again in a few seconds", refusal(t, err).Text)
	ok, err := l.Authorize(t.Context(), mcpkit.Caller{Name: "eve"}, calling("shelf_get_item"))
	require.False(t, ok)
	require.Contains(t, refusal(t, err).Text, "cannot find out what eve may do: the API server cannot be reached")
}

func TestAnAPIServerThatIsSilent(t *testing.T) {
	t.Parallel()
	silent := listen(t) // it takes connections and says nothing
	l, _ := openAs(t, through(t, server(t), silent.Addr().String()), "silent")
	_, err := l.Authenticate(t.Context(), "a token")
	require.Equal(t, "cannot find out who calls: the API server does not answer in time; try again in a few seconds", refusal(t, err).Text)
}

func TestAnswersOutliveTheAPIServerForSeconds(t *testing.T) {
	t.Parallel()
	front := listen(t)
	ways := make(chan net.Conn, 100)
	go forward(front, apiServer(t).Host, ways)
	l, now := openAs(t, through(t, server(t), front.Addr().String()), "outlive")
	token := account(t, "outlive", audience)
	caller, err := l.Authenticate(t.Context(), token)
	require.NoError(t, err)

	front.Close()
	for range len(ways) {
		(<-ways).Close()
	}
	again, err := l.Authenticate(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, caller, again)
	now.pass(knownFor + 1)
	_, err = l.Authenticate(t.Context(), token)
	require.Equal(t, mcpkit.Unavailable, refusal(t, err).Kind, "and no longer")
}

// forward connects whoever comes to address, and lists the connections.
func forward(front net.Listener, address string, ways chan<- net.Conn) {
	for {
		in, err := front.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", address)
		if err != nil {
			in.Close()
			continue
		}
		ways <- in
		ways <- out
		go func() { _, _ = io.Copy(out, in) }()
		go func() { _, _ = io.Copy(in, out) }()
	}
}

func TestAServerThatMayNotAsk(t *testing.T) {
	t.Parallel()
	plain, err := bed().ServiceAccount(t.Context(), "tools", "no-delegate")
	require.NoError(t, err)
	l, _ := openAs(t, plain, "no-delegate")
	_, err = l.Authenticate(t.Context(), "a token")
	require.Equal(t, mcpkit.Unavailable, refusal(t, err).Kind)
	require.Equal(t, `cannot find out who calls: the cluster does not let this server: tokenreviews.authentication.k8s.io is forbidden: `+
		`User "system:serviceaccount:tools:no-delegate" cannot create resource "tokenreviews" in API group "authentication.k8s.io" at the cluster scope; `+
		`bind its ServiceAccount to the ClusterRole system:auth-delegator`, refusal(t, err).Text)
	_, err = l.Authorize(t.Context(), mcpkit.Caller{Name: "eve"}, calling("shelf_get_item"))
	require.Contains(t, refusal(t, err).Text, `cannot create resource "subjectaccessreviews"`)
}

func TestAServerWithoutCredentials(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(server(t))
	require.NoError(t, err)
	path := t.TempDir() + "/kubeconfig"
	stale := regexp.MustCompile(`eyJ[\w.-]+`).ReplaceAll(raw, []byte("stale"))
	require.NoError(t, os.WriteFile(path, stale, 0o600))
	l, _ := openAs(t, path, "stale")
	_, err = l.Authenticate(t.Context(), "a token")
	require.Equal(t, "cannot find out who calls: the cluster does not accept this server's own credentials", refusal(t, err).Text)
}

func TestOpenSaysWhatIsWrongWithTheConfiguration(t *testing.T) {
	good := server(t)
	t.Setenv("KUBECONFIG", t.TempDir()+"/nothing")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := Open(mcpkit.LocksConfig{})
	require.EqualError(t, err, "no cluster is configured that knows callers and approvals; say which with --locks-kubeconfig or KUBECONFIG")
	_, err = Open(mcpkit.LocksConfig{Kubeconfig: "/nothing/there"})
	require.ErrorContains(t, err, "stat /nothing/there: no such file or directory")
	_, err = Open(mcpkit.LocksConfig{Kubeconfig: good, Namespace: "Tools/x"})
	require.ErrorContains(t, err, `"Tools/x" cannot be the namespace that callers are granted tools in, see --locks-namespace: a lowercase RFC 1123 label`)
}
