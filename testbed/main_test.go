package testbed

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// node is the cluster with a real node that most tests share.
var node *Cluster

// holdVariable makes this binary a process that holds a cluster and can be
// killed.
const holdVariable = "TESTBED_HOLD"

func TestMain(m *testing.M) {
	os.Unsetenv(KubeconfigVariable) // what is tested here is our own
	if os.Getenv(holdVariable) != "" {
		os.Exit(hold())
	}
	os.Exit(Main(m, Options{Tier: Node, Nodes: 2, CrashBackoffMax: time.Second}, func(c *Cluster) { node = c }))
}

func hold() int {
	c, err := Start(context.Background(), Options{Tier: Node})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(c.Dir)
	select {}
}

// limit is for a busy machine; on an idle one nothing here takes ten seconds.
func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls until check reports no more to wait for.
func eventually(t *testing.T, check func() (missing string)) {
	t.Helper()
	ctx := limit(t)
	for {
		missing := check()
		if missing == "" {
			return
		}
		select {
		case <-ctx.Done():
			require.FailNow(t, "waited in vain", missing)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// output is kubectl's standard output on the shared node.
func output(t *testing.T, args ...string) string {
	t.Helper()
	out, err := node.Kubectl(limit(t), args...)
	require.NoError(t, err)
	return string(bytes.TrimSpace(out))
}

// prints waits until kubectl prints one of the values.
func prints(t *testing.T, values []string, args ...string) {
	t.Helper()
	eventually(t, func() string {
		out, err := node.Kubectl(limit(t), args...)
		if err == nil && slices.Contains(values, strings.TrimSpace(string(out))) {
			return ""
		}
		return fmt.Sprintf("kubectl %q prints %q (%v), not one of %q", args, out, err, values)
	})
}

// leftovers lists what is left of the cluster with this state folder.
func leftovers(dir string) (left []string) {
	if _, err := os.Stat(dir); err == nil {
		left = append(left, dir)
	}
	name := "toolcrib-" + filepath.Base(dir)
	for _, pattern := range []string{"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/*/" + name} {
		groups, _ := filepath.Glob(pattern) // the pattern is well formed
		left = append(left, groups...)
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range processes {
		cmdline, err := os.ReadFile(p)
		if err == nil && bytes.Contains(cmdline, []byte(dir+"/")) {
			left = append(left, string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err == nil && bytes.Contains(mounts, []byte(dir)) {
		left = append(left, "mounts")
	}
	return left
}

func gone(t *testing.T, dir string) {
	t.Helper()
	eventually(t, func() string { return strings.Join(leftovers(dir), "\n") })
}
