package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
)

// The bars of the binary, stripped and idle.
const (
	maxBinaryBytes = 45 << 20
	maxIdleRSS     = 40 << 20
)

// binary builds the server as it is released, once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "toolcrib-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kubernetes-mcp")
	out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, "./cmd/kubernetes-mcp").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build kubernetes-mcp: %w: %s", err, out)
	}
	return path, nil
})

func builtBinary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	return path
}

// process is a server of ours running over HTTP.
type process struct {
	*exec.Cmd
	url string // of the MCP endpoint
}

var servingAt = regexp.MustCompile(`msg=listening url="?(http://[^" ]+)`)

// start runs the binary over HTTP on a free port and waits until it serves.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	cmd := exec.Command(builtBinary(t), append([]string{"--http=127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if m := servingAt.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case address <- m[1]:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	select {
	case a := <-address:
		return &process{cmd, a}
	case <-time.After(20 * time.Second):
		require.Fail(t, "the server does not say where it serves")
		return nil
	}
}

// rss is the process's resident memory in bytes.
func (p *process) rss(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return kb << 10
}

func (p *process) session(t testing.TB) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: p.url}, nil)
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
	health, err := http.Get(strings.TrimSuffix(p.url, "/mcp") + "/readyz")
	require.NoError(t, err)
	require.NoError(t, health.Body.Close())
	require.Equal(t, http.StatusOK, health.StatusCode)
}

func TestBinaryAnswersTwoHundredCallsAtOnce(t *testing.T) {
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
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	close(api.release)
	require.Equal(t, "name\nkube-system", <-answer)
	state, err := p.Process.Wait()
	require.NoError(t, err)
	require.Zero(t, state.ExitCode())
}

func TestBinaryEndsTheWorkOfAClientThatGoesAway(t *testing.T) {
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
	case <-time.After(10 * time.Second):
		require.Fail(t, "the API server is still being asked")
	}
}

func TestBinarySpeaksOnlyProtocolOnStdout(t *testing.T) {
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
