package prometheus

import (
	"encoding/json"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/served"
)

// The bars of the binary, stripped; idle and after its largest answers.
const (
	maxBinaryBytes = 30 << 20
	maxIdleRSS     = 40 << 20
	maxPeakRSS     = 100 << 20
)

// binary builds the server as it is released, once for all tests.
var binary = sync.OnceValues(func() (string, error) { return served.Build("./cmd/prometheus-mcp") })

func builtBinary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	return path
}

// start runs the binary over HTTP on a free port and waits until it serves.
func start(t testing.TB, args ...string) *served.Server {
	t.Helper()
	s, err := served.Start(t.Context(), t.TempDir(), builtBinary(t), args...)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

func connect(t testing.TB, s *served.Server) *mcptest.Session {
	t.Helper()
	return mcptest.Attach(t, &mcp.StreamableClientTransport{Endpoint: s.URL}, "", nil)
}

func TestBinaryIsSmallAndIdlesSmall(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(builtBinary(t))
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(maxBinaryBytes))
	p := start(t, "--prometheus-url", stack().Prometheus)
	_, err = connect(t, p).ListTools(t.Context(), nil)
	require.NoError(t, err)
	now, _, err := p.Memory()
	require.NoError(t, err)
	require.Less(t, now, maxIdleRSS)
	t.Logf("binary %d bytes, idle %d bytes resident", info.Size(), now)
}

func TestBinaryStaysSmallOverLargeAnswers(t *testing.T) {
	t.Parallel()
	type call struct {
		tool string
		args map[string]any
	}
	ignoring := newGateway(t, lacks()) // the limit parameter
	ignoring.Start()
	for name, of := range map[string]struct {
		url   string
		calls []call
	}{
		"Prometheus": {stack().Prometheus, []call{
			{"prometheus_query", map[string]any{"query": "testbed_session_seconds", "limit": 1000}},
			{"prometheus_query_range", map[string]any{"query": "testbed_session_seconds", "start": "1m", "step": "1s", "limit": 100}},
		}},
		"a backend that ignores limit": {ignoring.URL, []call{
			{"prometheus_query", map[string]any{"query": `{__name__=~".+"}`, "limit": 1000}},
			{"prometheus_query_range", map[string]any{"query": `{__name__=~".+"}`, "start": "90d", "limit": 100}},
			{"prometheus_series", map[string]any{"match": []string{`{__name__=~".+"}`}, "limit": 1000}},
			{"prometheus_label_values", map[string]any{"label": "user", "limit": 1000}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "--prometheus-url", of.url)
			s := connect(t, p)
			for _, call := range of.calls {
				a := s.Call(call.tool, call.args)
				require.False(t, a.IsError, a.Text)
				require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes, call.tool)
				require.Contains(t, a.Text, "truncated: true", call.tool)
			}
			_, peak, err := p.Memory()
			require.NoError(t, err)
			require.Less(t, peak, maxPeakRSS)
			t.Logf("%d bytes resident at the peak", peak)
		})
	}
}

func TestBinaryTellsNoSecret(t *testing.T) {
	t.Parallel()
	g := demanding(t, "Authorization", "Basic dXNlcjpodXNoLWh1c2g=")
	g.Start()
	for _, password := range []string{"hush-hush", "wrong-hush-hush"} {
		p := start(t, "--prometheus-url", g.URL, "--prometheus-http-config", configured(t, "basic_auth: {username: user, password: %s}", password), "--log-level=debug")
		a := connect(t, p).Call("prometheus_query", map[string]any{"query": "up"})
		log, err := os.ReadFile(p.Log)
		require.NoError(t, err)
		require.Equal(t, password != "hush-hush", a.IsError)
		require.Contains(t, string(log), `"tool":"prometheus_query"`)
		require.NotContains(t, a.Text+string(log), "hush-hush")
	}
}

func TestBinaryCommandLine(t *testing.T) {
	t.Parallel()
	run := func(args ...string) (string, int) {
		cmd := exec.Command(builtBinary(t), args...)
		out, _ := cmd.CombinedOutput() // the exit code is asserted on
		return string(out), cmd.ProcessState.ExitCode()
	}
	help, code := run("--help")
	require.Zero(t, code)
	for _, flag := range []string{"--prometheus-url URL", "--prometheus-http-config file", "--alertmanager-url URL", "--alertmanager-http-config file", "--names toolcrib"} {
		require.Contains(t, help, flag)
	}
	for text, args := range map[string][]string{
		`prometheus-mcp: invalid argument "other" for "--names" flag: write toolcrib or kagent; see prometheus-mcp --help`: {"--names=other"},
		"prometheus-mcp: unknown flag: --promtheus-url; see prometheus-mcp --help":                                         {"--promtheus-url=x"},
		`prometheus-mcp: unknown command "serve"; see prometheus-mcp --help`:                                               {"serve"},
		"prometheus-mcp: --access=admin is not known; write one of read, write, all":                                       {"--access=admin"},
	} {
		out, code := run(args...)
		require.Equal(t, 2, code, out)
		require.Contains(t, out, text)
	}
}

// A black hole in the way must not be felt before a tool is called, nor after
// the dial's time.
func TestBinaryIsNotHeldUpByABlackHole(t *testing.T) {
	t.Parallel()
	p := start(t, "--prometheus-url=http://"+deaf(t))
	var s *mcptest.Session
	requireNoDial(t, func() {
		s = connect(t, p)
		_, err := s.ListTools(t.Context(), nil)
		require.NoError(t, err)
	})
	requireRefused(t, s, "prometheus_query", map[string]any{"query": "up"}, "unavailable: cannot evaluate the query: Prometheus cannot be reached")
}

func TestBinaryServesKagentNames(t *testing.T) {
	t.Parallel()
	s := connect(t, start(t, "--prometheus-url", stack().Prometheus, "--names=kagent"))
	list, err := s.ListTools(t.Context(), nil)
	require.NoError(t, err)
	raw, err := json.Marshal(list)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"prometheus_query_range_tool"`)
	require.NotContains(t, string(raw), `"prometheus_query_range"`)
	require.Contains(t, s.Call("prometheus_query_tool", map[string]any{"query": "1+1"}).Text, "value: 2")
}
