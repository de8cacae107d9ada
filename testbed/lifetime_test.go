package testbed

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/image"
)

func TestControlPlane(t *testing.T) {
	killed, err := Start(limit(t), Options{Tier: ControlPlane})
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(killed.state.Supervisor, syscall.SIGKILL))
	_, err = killed.child.Process.Wait()
	require.NoError(t, err)
	eventually(t, func() string { // the kernel ends its processes; only files stay
		return strings.Join(leftovers(killed.Dir)[1:], "\n")
	})

	c, err := Start(limit(t), Options{Tier: ControlPlane, APIServerArgs: []string{"--service-account-max-token-expiration=25h"}})
	require.NoError(t, err)
	gone(t, killed.Dir) // the next start clears them away
	out, err := c.Kubectl(limit(t), "create", "deployment", "web", "--image=web")
	require.NoError(t, err)
	require.Equal(t, "deployment.apps/web created\n", string(out))
	require.ErrorContains(t, c.Load(limit(t), image.Image{Name: "toolcrib.test/web:1"}), "no real node")
	require.NoError(t, c.Stop())
	require.Empty(t, leftovers(c.Dir))
}

func TestBadFlagIsExplained(t *testing.T) {
	_, err := Start(limit(t), Options{APIServerArgs: []string{"--no-such-flag"}})
	require.ErrorContains(t, err, "kube-apiserver ended")
	require.ErrorContains(t, err, "unknown flag: --no-such-flag")
}

func TestScaleIsRestored(t *testing.T) {
	t.Parallel()
	cache, err := build.Cache()
	require.NoError(t, err)
	snapshots := filepath.Join(cache, "snapshots", "scale-7x30-*.tar.gz")
	old, err := filepath.Glob(snapshots)
	require.NoError(t, err)
	for _, file := range old {
		require.NoError(t, os.Remove(file))
	}
	for _, filled := range []bool{true, false} {
		var progress strings.Builder
		c, err := Start(limit(t), Options{Tier: Scale, Nodes: 7, Pods: 30, Progress: &progress})
		require.NoError(t, err)
		require.Equal(t, filled, strings.Contains(progress.String(), "filling"))
		out, err := c.Kubectl(limit(t), "get", "pods", "-A", "--field-selector=status.phase=Running", "-o", "name")
		require.NoError(t, err)
		require.Len(t, strings.Fields(string(out)), 30)
		_, err = c.Kubectl(limit(t), "run", "later", "--image=web", "--labels=app=later")
		require.NoError(t, err)
		_, err = c.Kubectl(limit(t), "wait", "pod/later", "--for=condition=Ready", "--timeout=60s")
		require.NoError(t, err)
		require.NoError(t, c.Stop())
		require.Empty(t, leftovers(c.Dir))
	}
}

func TestNothingOutlivesAKilledParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), holdVariable+"=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	dir := strings.TrimSpace(line)
	require.DirExists(t, dir)
	require.Greater(t, len(leftovers(dir)), 8, "a state folder, cgroups and many processes")

	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	gone(t, dir)
}
