package archive

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPackUnpack(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	require.NoError(t, os.MkdirAll(filepath.Join(from, "a", "b"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(from, "a", "b", "c"), []byte("content"), 0o600))
	file := filepath.Join(t.TempDir(), "new", "x.tar.gz")
	require.NoError(t, Pack(from, file))
	require.NoError(t, Unpack(file, to))
	data, err := os.ReadFile(filepath.Join(to, "a", "b", "c"))
	require.NoError(t, err)
	require.Equal(t, "content", string(data))

	require.Error(t, Pack(filepath.Join(from, "missing"), file+"2"))
	require.NoFileExists(t, file+"2")
}
