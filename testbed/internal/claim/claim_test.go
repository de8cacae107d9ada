package claim

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAbandoned(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var dirs []string
	for range 3 {
		dir, err := os.MkdirTemp("", "some-")
		require.NoError(t, err)
		dirs = append(dirs, dir)
	}
	held, err := Take(dirs[0])
	require.NoError(t, err)
	released, err := Take(dirs[1])
	require.NoError(t, err)
	require.NoError(t, released.Close())

	require.True(t, Held(dirs[0]))
	require.False(t, Held(dirs[1]))
	require.False(t, Held(dirs[2]), "never claimed")
	require.False(t, Held(filepath.Join(dirs[0], "none")))
	abandoned, err := Abandoned("some-*")
	require.NoError(t, err)
	require.Equal(t, dirs[1:2], abandoned)
	abandoned, err = Abandoned("other-*")
	require.NoError(t, err)
	require.Empty(t, abandoned)

	dir, lock, err := MakeDir("some-*")
	require.NoError(t, err)
	require.True(t, Held(dir))
	require.DirExists(t, dirs[0])
	require.NoDirExists(t, dirs[1])
	require.DirExists(t, dirs[2])
	require.NoError(t, lock.Close())
	require.NoError(t, held.Close())
	require.False(t, Held(dirs[0]))
}
