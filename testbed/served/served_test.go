package served_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/served"
)

// program writes a shell script that stands for a server.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "some-mcp")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	return path
}

func TestStartReturnsOnceTheServerListens(t *testing.T) {
	s, err := served.Start(t.Context(), t.TempDir(), program(t, `echo "level=INFO msg=listening url=http://127.0.0.1:1234/mcp args=$1" >&2; exec sleep 60`))
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:1234/mcp", s.URL)
	printed, err := os.ReadFile(s.Log)
	require.NoError(t, err)
	require.Contains(t, string(printed), "args=--http=127.0.0.1:0")
	now, peak, err := s.Memory()
	require.NoError(t, err)
	require.Positive(t, now)
	require.GreaterOrEqual(t, peak, now)
	require.NoError(t, s.Err())
	s.Stop()
	<-s.Exited()
	require.ErrorContains(t, s.Err(), "some-mcp ended (signal: terminated)")
}

func TestStartSaysWhyAServerEnded(t *testing.T) {
	_, err := served.Start(t.Context(), t.TempDir(), program(t, `echo "some-mcp: --http is taken" >&2; exit 2`))
	require.ErrorContains(t, err, "some-mcp ended (exit status 2): some-mcp: --http is taken")
}

func TestBuildMakesAProgramOrSaysWhyNot(t *testing.T) {
	path, err := served.Build("../cmd/pause")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(path)) })
	require.Equal(t, "pause", filepath.Base(path))
	require.FileExists(t, path)
	_, err = served.Build("../cmd/nothing-there")
	require.ErrorContains(t, err, "build ../cmd/nothing-there: ")
}
