package deployed

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/proc"
	"go.yaml.in/yaml/v3"
)

// limit is for a busy machine; on an idle one nothing here takes half a minute.
func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Minute) // clean-up needs time too
	t.Cleanup(cancel)
	return ctx
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := cluster.Kubectl(limit(t), args...)
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func helm(t *testing.T, args ...string) {
	t.Helper()
	require.NoError(t, runHelm(limit(t), args...))
}

// runHelm runs Helm as the administrator, with a home that goes with the
// cluster.
func runHelm(ctx context.Context, args ...string) error {
	home := filepath.Join(cluster.Dir, "helm")
	cmd := exec.CommandContext(ctx, programs["helm"], args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig,
		"HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// install installs a chart under the name that its documents use, and returns
// once its pods are ready. What it made goes with the test.
func install(t *testing.T, namespace, chart, values string, args ...string) {
	t.Helper()
	release := "crib-" + chart
	file := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(file, []byte(values), 0o600))
	t.Cleanup(func() { helm(t, "uninstall", release, "--namespace", namespace) })
	helm(t, append([]string{"install", release, "../" + chart, "--namespace", namespace, "--values", file, "--wait", "--timeout", "15m"}, args...)...)
}

// service is a Service as clients reach it.
type service struct{ host, address string }

// find returns once the node sends the Service's connections on, which it learns
// to a moment after the pods are ready.
func find(t *testing.T, namespace, name string) service {
	t.Helper()
	ip := kubectl(t, "get", "service", name, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
	s := service{name + "." + namespace + ".svc:8080", net.JoinHostPort(ip, "8080")}
	require.NoError(t, proc.Until(limit(t), s.host+" to be reached", 50*time.Millisecond, func(ctx context.Context) (bool, error) {
		c, err := cluster.Dial(ctx, "tcp", s.address)
		if err != nil {
			return false, nil
		}
		return true, c.Close()
	}))
	return s
}

func (s service) url() string { return "http://" + s.host + "/mcp" }

// transport goes to the Service's address as the token's bearer.
func (s service) transport(token string) *bearer {
	return &bearer{token, &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return cluster.Dial(ctx, network, s.address)
	}}}
}

func (s service) session(t *testing.T, token string) *mcptest.Session {
	t.Helper()
	transport := s.transport(token)
	t.Cleanup(transport.CloseIdleConnections)
	return mcptest.Attach(t, &mcp.StreamableClientTransport{Endpoint: s.url(), HTTPClient: &http.Client{Transport: transport}, MaxRetries: -1}, "", nil)
}

type bearer struct {
	token string
	*http.Transport
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.Transport.RoundTrip(r)
}

// projected is a token that the kubelet put into the agent's pod.
func projected(t *testing.T, name string) string {
	t.Helper()
	kubectl(t, "wait", "-n", "agents", "pod/troubleshooter", "--for=condition=Ready", "--timeout=15m")
	return kubectl(t, "exec", "-n", "agents", "troubleshooter", "--", "cat", "/tokens/"+name)
}

// requested is a token as the kubelet asks for it.
func requested(t *testing.T, namespace, account string, args ...string) string {
	t.Helper()
	return kubectl(t, append([]string{"create", "token", account, "-n", namespace}, args...)...)
}

func tools(t *testing.T, s *mcptest.Session) []string {
	t.Helper()
	names := []string{}
	for tool, err := range s.Tools(limit(t), nil) {
		require.NoError(t, err)
		names = append(names, tool.Name)
	}
	return names
}

// grants are what a chart knows of its servers' tools.
type grants struct {
	Tools        []string
	Rules        []rule
	ClusterRules []rule `yaml:"clusterRules"`
}

type rule struct {
	APIGroups []string `yaml:"apiGroups"`
	Resources []string
	Verbs     []string
}

func granted(t *testing.T, file string) (g grants) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", file))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, &g))
	require.NotEmpty(t, g.Tools)
	return g
}
