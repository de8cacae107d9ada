package images

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed"
)

// The binaries that the tests make images of, as make images builds them.
const (
	prometheus = "prometheus-mcp" // a real server, for this machine
	small      = "small-mcp"      // as little as can be, for both platforms
)

var (
	node     *testbed.Cluster
	binaries string // folder of the binaries, one folder below for each architecture
)

var release = Release{
	Version: "v1.2.3", Revision: "0123456789abcdef0123456789abcdef01234567",
	Created: time.Date(2026, 11, 21, 15, 4, 5, 0, time.FixedZone("", 3600)),
}

func TestMain(m *testing.M) {
	var err error
	if binaries, err = buildAll(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := testbed.Main(m, testbed.Options{Tier: testbed.Node}, func(c *testbed.Cluster) { node = c })
	os.RemoveAll(binaries)
	os.Exit(code)
}

func buildAll() (string, error) {
	dir, err := os.MkdirTemp("", "toolcrib-images-*")
	if err != nil {
		return "", err
	}
	for _, b := range []struct{ name, arch, folder, pkg string }{
		{prometheus, "amd64", "../servers/prometheus", "./cmd/prometheus-mcp"},
		{small, "amd64", ".", "./testdata/small-mcp"},
		{small, "arm64", ".", "./testdata/small-mcp"},
	} {
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, b.arch, b.name), b.pkg)
		cmd.Dir = b.folder
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+b.arch, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w: %s", b.name, err, out)
		}
	}
	return dir, nil
}

func binary(arch, name string) string { return filepath.Join(binaries, arch, name) }

func built(t *testing.T, r Release, binaries ...string) Image {
	t.Helper()
	i, err := Build(r, binaries...)
	require.NoError(t, err)
	return i
}

// limit is for a busy machine; on an idle one nothing here takes ten seconds.
func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
