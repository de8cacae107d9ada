package helm

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

// admin is a backend that may do everything, with the published charts as
// repository "shop".
func admin(t testing.TB) *Backend {
	t.Helper()
	return over(t, cluster().Kubeconfig, "helm-mcp/test")
}

// over is a backend with a kubeconfig and the published charts.
func over(t testing.TB, kubeconfig, userAgent string) *Backend {
	t.Helper()
	return New(Config{Cluster: clientgo.Cluster{Kubeconfig: kubeconfig, UserAgent: userAgent}, Repositories: repositoryFile(t, "shop", published().URL(charts.Plain))})
}

// toolset are the tools of a server over b.
func toolset(b *Backend) *mcpkit.Toolset {
	ts := mcpkit.NewToolset()
	Register(ts, b)
	return ts
}

// reading is a session of the read server as cluster-admin.
func reading(t testing.TB) *mcptest.Session {
	t.Helper()
	return session(t, admin(t), mcpkit.AccessRead, nil)
}

// looker is what tests look and prepare with.
var looker = sync.OnceValues(func() (*clients, error) {
	return New(Config{Cluster: clientgo.Cluster{Kubeconfig: cluster().Kubeconfig, UserAgent: "helm-mcp/fixture"}}).open()
})

func testClients(t testing.TB) *clients {
	t.Helper()
	c, err := looker()
	require.NoError(t, err)
	return c
}

// namespace makes a namespace for one test and removes it afterwards.
func namespace(t testing.TB) string { return lockstest.Namespace(t, cluster()) }

// program is a Helm of the testbed with a home of its own.
type program struct {
	path string
	env  []string
}

// helm3 and helm4 are Helm's own programs as cluster-admin.
func helm3(t testing.TB) program { return newProgram(t, "helm") }
func helm4(t testing.TB) program { return newProgram(t, "helm4") }

func newProgram(t testing.TB, name string) program {
	t.Helper()
	home := t.TempDir()
	return program{programs()[name], append(os.Environ(),
		"HELM_CACHE_HOME="+filepath.Join(home, "cache"), "HELM_CONFIG_HOME="+filepath.Join(home, "config"),
		"HELM_DATA_HOME="+filepath.Join(home, "data"), "KUBECONFIG="+cluster().Kubeconfig)}
}

// try runs one command line and returns what it wrote to both streams.
func (p program) try(t testing.TB, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = p.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (p program) run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := p.try(t, args...)
	require.NoError(t, err, out)
	return out
}

// put installs or upgrades a release to a published chart: "web", "1.0.0".
func (p program) put(t testing.TB, ns, release, chart, version string, args ...string) {
	t.Helper()
	p.run(t, p.putting(ns, release, chart, version, args)...)
}

func (p program) putting(ns, release, chart, version string, args []string) []string {
	return append([]string{"upgrade", "--install", release, chart, "--repo", published().URL(charts.Plain), "--version", version, "-n", ns}, args...)
}

// start runs one command line until ctx ends, which kills it; the channel is
// closed when it is gone.
func (p program) start(t testing.TB, ctx context.Context, args ...string) <-chan struct{} {
	t.Helper()
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = p.env
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // killed
	}()
	return done
}

// within waits until a condition of the cluster holds. The end is far, since no
// test is about how fast a machine is.
func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 5*time.Minute, 100*time.Millisecond, what)
}

// granted is a backend whose ServiceAccount has exactly rules: in one
// namespace, or in all if it is empty.
func granted(t testing.TB, only string, rules ...mcpkit.Rule) *Backend {
	t.Helper()
	kubeconfig, home := lockstest.Server(t, cluster(), only, rules...)
	return over(t, kubeconfig, "helm-mcp/"+home)
}
