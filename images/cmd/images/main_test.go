package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

// run runs a command line and returns what it prints.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := command()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(ctx)
	return strings.TrimSpace(out.String()), err
}

func TestWhatIsBuiltIsPushed(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "small-mcp")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../testdata/small-mcp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	built, err := run(t, "build", "--version=v1.2.3", "--revision=abc", "--created=2026-11-21T15:04:05+01:00", "--out="+dir, binary)
	require.NoError(t, err)
	archive, digest, _ := strings.Cut(built, " ")
	require.Equal(t, filepath.Join(dir, "small-mcp.tar"), archive)
	require.Regexp(t, regexp.MustCompile(`^sha256:[0-9a-f]{64}$`), digest)

	registry, err := charts.Start(t.Context(), charts.Options{Charts: []charts.Chart{}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, registry.Stop()) })
	host := registry.Home + "/" + string(charts.Plain)
	t.Setenv("DOCKER_CONFIG", dir)
	pushed, err := run(t, "push", host, archive)
	require.NoError(t, err)
	require.Equal(t, host+"/small-mcp@"+digest, pushed)
}

func TestAMissingFlagIsNamed(t *testing.T) {
	_, err := run(t, "build", "binary")
	require.EqualError(t, err, `required flag(s) "created", "revision", "version" not set`)
	_, err = run(t, "build", "--version=v1", "--revision=abc", "--created=yesterday", "binary")
	require.ErrorContains(t, err, `invalid argument "yesterday" for "--created" flag`)
	_, err = run(t, "push", "registry.example.com/toolcrib")
	require.ErrorContains(t, err, "requires at least 2 arg(s)")
}
