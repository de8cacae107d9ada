package demo

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// built builds a command of this repository.
func built(t *testing.T, dir, pkg string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.Base(pkg))
	out, err := exec.Command("go", "build", "-o", path, pkg).CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// transcript runs a command and returns what it printed.
func transcript(t *testing.T, command string, args ...string) string {
	t.Helper()
	out, err := exec.Command(command, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// The demo, as a person runs it: twice, the second time on what the first left
// running, and then stopped.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	demo := built(t, dir, "./cmd/demo")
	for _, server := range []string{"kubernetes", "helm", "prometheus"} {
		built(t, dir, "../servers/"+server+"/cmd/"+server+"-mcp")
	}
	t.Cleanup(func() { _ = exec.Command(demo, "stop", "--state", dir).Run() })

	first := transcript(t, demo, "--embedded", "--servers", dir, "--state", dir)
	for _, found := range []string{
		"all of them read-only",
		"cannot connect to database",                    // why checkout crashes
		"nearest: Deployment payments has app=payments", // why nobody can pay
		`storage class "fast-ssd" does not exist`,       // what orders waits for
		"env[CHECKOUT_TIMEOUT].value: 5s -> 50ms",       // what changed
		"toolcrib.test/busybox:1",                       // which images run
		"denied: the cluster's RBAC does not let this server get secrets",
		"may not delete pods",
		"claude mcp add",
	} {
		require.Contains(t, first, found)
	}
	require.NotContains(t, first, "not-for-your-eyes")

	require.Contains(t, transcript(t, demo, "--embedded", "--servers", dir, "--state", dir), "the demo's cluster is running already")
	require.Contains(t, transcript(t, demo, "stop", "--state", dir), "stopped: the demo's cluster and servers are gone")
	require.Contains(t, transcript(t, demo, "stop", "--state", dir), "nothing is running")
}
