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
		":kubernetes-mcp may not get secrets",
		"may not delete pods",
		"1 of 3 series meet testbed_queue_length > 100",               // why QueueFull fires
		"verdict: notifies: shop-orders",                              // who is told
		`route="/pay"}: 0.2 -> 0.8 (+300%)`,                           // what got slower
		"spec.replicas: 1 -> 2",                                       // what the last upgrade changed
		"Deployment/storefront\tspec.replicas\t2\t1\tkubectl (scale)", // what a person changed
		"adminPassword: redacted:",
		"claude mcp add",
	} {
		require.Contains(t, first, found)
	}
	require.NotContains(t, first, "not-for-your-eyes")

	require.Contains(t, transcript(t, demo, "--embedded", "--servers", dir, "--state", dir), "the demo's cluster is running already")
	require.Contains(t, transcript(t, demo, "stop", "--state", dir), "stopped: the demo's cluster and servers are gone")
	require.Contains(t, transcript(t, demo, "stop", "--state", dir), "nothing is running")
}
