package kubernetes

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/served"
)

// The bars of the binary, stripped and idle.
const (
	maxBinaryBytes = 45 << 20
	maxIdleRSS     = 40 << 20
)

// binary builds the server as it is released, once for all tests.
var binary = sync.OnceValues(func() (string, error) { return served.Build("./cmd/kubernetes-mcp") })

func builtBinary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	return path
}

// process is a server of ours running over HTTP.
type process struct{ *served.Server }

// start runs the binary over HTTP on a free port and waits until it serves.
func start(t testing.TB, args ...string) process {
	t.Helper()
	s, err := served.Start(t.Context(), t.TempDir(), builtBinary(t), args...)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return process{s}
}

// rss is the process's resident memory in bytes.
func (p process) rss(t testing.TB) int {
	t.Helper()
	now, _, err := p.Memory()
	require.NoError(t, err)
	return now
}

func (p process) session(t testing.TB) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: p.URL}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestBinaryIsSmallAndIdlesSmall(t *testing.T) {
	info, err := os.Stat(builtBinary(t))
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(maxBinaryBytes))
	p := start(t, "--kubeconfig", kubeconfig())
	_, err = p.session(t).ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Less(t, p.rss(t), maxIdleRSS)
}

func TestBinaryShakesHandsWithoutACluster(t *testing.T) {
	t.Parallel()
	dead := filepath.Join(t.TempDir(), "kubeconfig")
	raw, err := os.ReadFile(kubeconfig())
	require.NoError(t, err)
	server := regexp.MustCompile(`server: .*`)
	require.NoError(t, os.WriteFile(dead, server.ReplaceAll(raw, []byte("server: https://127.0.0.1:1")), 0o600))
	for _, path := range []string{dead, filepath.Join(t.TempDir(), "missing")} {
		s := start(t, "--kubeconfig", path).session(t)
		list, err := s.ListTools(t.Context(), nil)
		require.NoError(t, err)
		require.NotEmpty(t, list.Tools)
		res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "k8s_get_resources", Arguments: map[string]any{"resource_type": "pods"}})
		require.NoError(t, err)
		require.True(t, res.IsError)
		require.Contains(t, res.Content[0].(*mcp.TextContent).Text, "unavailable: ")
	}
}

// A packet filter that drops everything looks like this: connections are
// accepted and never answered.
func TestBinaryIsNotHeldUpByABlackHole(t *testing.T) {
	t.Parallel()
	hole := blackHole(t)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: x, user: x}}]\nclusters: [{name: x, cluster: {server: 'http://%s'}}]\nusers: [{name: x, user: {}}]\n", hole)
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	p := start(t, "--kubeconfig", path, "--call-timeout=500ms")
	s := p.session(t)
	_, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "k8s_get_resources", Arguments: map[string]any{"resource_type": "pods"}})
	require.NoError(t, err)
	require.True(t, res.IsError)
	require.Contains(t, res.Content[0].(*mcp.TextContent).Text, "unavailable: ")
	health, err := http.Get(strings.TrimSuffix(p.URL, "/mcp") + "/readyz")
	require.NoError(t, err)
	require.NoError(t, health.Body.Close())
	require.Equal(t, http.StatusOK, health.StatusCode)
}

func TestBinaryAnswersTwoHundredCallsAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, "--kubeconfig", kubeconfig())
	s := p.session(t)
	var wg sync.WaitGroup
	answers := make([]string, 200)
	for i := range answers {
		wg.Go(func() {
			res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "k8s_get_resources", Arguments: map[string]any{"resource_type": "namespaces", "resource_name": "kube-system", "output": "names"}})
			if err == nil {
				answers[i] = res.Content[0].(*mcp.TextContent).Text
			}
		})
	}
	wg.Wait()
	for _, a := range answers {
		require.Equal(t, "name\nkube-system", a)
	}
}

func TestBinaryFinishesCallsInFlightOnSIGTERM(t *testing.T) {
	t.Parallel()
	api := slowAPI(t)
	p := start(t, "--kubeconfig", api.kubeconfig)
	s := p.session(t)
	answer := make(chan string, 1)
	go func() {
		res, err := s.CallTool(context.Background(), &mcp.CallToolParams{Name: "k8s_get_resources", Arguments: map[string]any{"resource_type": "namespaces", "resource_name": "kube-system", "output": "names"}})
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- res.Content[0].(*mcp.TextContent).Text
	}()
	<-api.reached
	require.NoError(t, syscall.Kill(p.Pid(), syscall.SIGTERM))
	close(api.release)
	require.Equal(t, "name\nkube-system", <-answer)
	<-p.Exited()
	require.ErrorContains(t, p.Err(), "exit status 0")
}

func TestBinaryEndsTheWorkOfAClientThatGoesAway(t *testing.T) {
	t.Parallel()
	api := slowAPI(t)
	s := start(t, "--kubeconfig", api.kubeconfig).session(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	go func() {
		_, _ = s.CallTool(ctx, &mcp.CallToolParams{Name: "k8s_get_resources", Arguments: map[string]any{"resource_type": "namespaces", "resource_name": "kube-system"}})
	}()
	<-api.reached
	leave()
	select {
	case <-api.gone:
	case <-time.After(time.Minute):
		require.Fail(t, "the API server is still being asked")
	}
}

func TestBinarySpeaksOnlyProtocolOnStdout(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(builtBinary(t), "--kubeconfig", kubeconfig(), "--log-level=debug")
	cmd.Stdin = strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}` + "\n" +
			`{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n" +
			`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"k8s_get_resources","arguments":{"resource_type":"namespaces"}}}` + "\n")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	require.NoError(t, cmd.Run())
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], `"id":1`)
	require.Contains(t, lines[1], "kube-system")
}
