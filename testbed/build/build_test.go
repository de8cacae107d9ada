package build

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// module writes a module and returns its folder as [Binary] wants it.
func module(t *testing.T, goMod, main string) (dir, relative string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(goMod), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "hello"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hello", "main.go"), []byte(main), 0o644))
	root, err := Root()
	require.NoError(t, err)
	relative, err = filepath.Rel(filepath.Join(root, "testbed"), dir)
	require.NoError(t, err)
	return dir, relative
}

func TestBuildOnce(t *testing.T) {
	t.Setenv("TOOLCRIB_CACHE", t.TempDir())
	dir, relative := module(t, "module hello\n", "package main\n\nfunc main() {}\n")
	hello := Binary{Name: "hello", Module: relative, Links: []string{"hullo"}}

	var progress [3]strings.Builder
	var programs [3]Programs
	var all sync.WaitGroup
	for i := range programs {
		all.Go(func() {
			var err error
			programs[i], err = Build(t.Context(), &progress[i], hello)
			require.NoError(t, err)
		})
	}
	all.Wait()
	built := progress[0].String() + progress[1].String() + progress[2].String()
	require.Equal(t, 1, strings.Count(built, "building hello (1 of 1)"), built)
	require.Equal(t, programs[0], programs[1])
	require.FileExists(t, programs[0]["hello"])
	require.FileExists(t, programs[0]["hullo"])

	require.NoError(t, os.WriteFile(filepath.Join(dir, "hello", "main.go"), []byte("package main\n\nfunc main() { println() }\n"), 0o644))
	var again strings.Builder
	changed, err := Build(t.Context(), &again, hello)
	require.NoError(t, err)
	require.Contains(t, again.String(), "building hello")
	require.NotEqual(t, programs[0]["hello"], changed["hello"])
}

func TestBuildErrors(t *testing.T) {
	t.Setenv("TOOLCRIB_CACHE", t.TempDir())
	_, relative := module(t, "module hello\n", "package main\n\nfunc main() { oops }\n")
	_, err := Build(t.Context(), &strings.Builder{}, Binary{Name: "hello", Module: relative})
	require.EqualError(t, err, "build hello: hello/main.go:3:15: undefined: oops")
}

func TestRefusedModuleIsNamed(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusForbidden) }))
	defer proxy.Close()
	t.Setenv("TOOLCRIB_CACHE", t.TempDir())
	t.Setenv("GOPROXY", proxy.URL)
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GONOSUMDB", "*")
	dir, relative := module(t, "module hello\n\ngo 1.26\n\nrequire example.test/gone v1.2.3\n", "package main\n\nimport _ \"example.test/gone\"\n\nfunc main() {}\n")
	sum := "example.test/gone v1.2.3 h1:" + strings.Repeat("A", 43) + "=\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), []byte(sum), 0o644))
	_, err := Build(t.Context(), &strings.Builder{}, Binary{Name: "hello", Module: relative})
	require.ErrorContains(t, err, "build hello: the module proxy refuses example.test/gone@v1.2.3: 403 Forbidden")
}
