package helm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

func TestLoadChart(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, locked())
	b := chartBackend(t, r, "shop", r.URL(charts.Plain)+withUser, "oci", registryURL(r, charts.Plain)+withUser)
	for _, repository := range []string{"shop", "oci"} {
		for _, c := range []struct{ chart, version, want string }{
			{"web", "", "1.2.0"},
			{"web", "1.0.0", "1.0.0"},
			{"web", "v1.0.0", "1.0.0"},
			{"web", "^1.0", "1.2.0"},
			{"web", "~1.1.0", "1.1.0"},
			{"web", "1.3.0-rc.1", "1.3.0-rc.1"},
			{"web", ">=1.0.0-0", "1.3.0-rc.1"},
			{"cache", "", "1.3.0+build.5"},
			{"cache", "1.3.0+build.5", "1.3.0+build.5"},
			{"umbrella", "", "1.0.0"},
		} {
			got, err := b.loadChart(t.Context(), ChartRef{repository + "/" + c.chart, c.version})
			require.NoError(t, err, "%s %v", repository, c)
			require.Equal(t, c.chart, got.Name())
			require.Equal(t, c.want, got.Metadata.Version)
			archive, err := charts.Chart{Name: c.chart, Version: c.want}.Archive()
			require.NoError(t, err)
			require.Equal(t, digestOf(archive), got.digest)
			require.NotContains(t, got.from, chartPassword)
			require.Contains(t, got.from, c.chart+" "+c.want+" from re")
		}
		_, err := b.loadChart(t.Context(), ChartRef{repository + "/web", "9"})
		requireKind(t, err, mcpkit.NotFound, "has no version 9; it has 1.3.0-rc.1, 1.2.0, 1.1.0, 1.0.0")
		_, err = b.loadChart(t.Context(), ChartRef{repository + "/web", "newest"})
		requireKind(t, err, mcpkit.Invalid, `"newest" is neither a version nor a range`)
		_, err = b.loadChart(t.Context(), ChartRef{Chart: repository + "/wib"})
		requireKind(t, err, mcpkit.NotFound, "wib")
	}
	_, err := b.loadChart(t.Context(), ChartRef{Chart: "shop/wib"})
	requireKind(t, err, mcpkit.NotFound, "the nearest names are web")
	_, err = b.loadChart(t.Context(), ChartRef{Chart: "shpo/web"})
	requireKind(t, err, mcpkit.NotFound, `no repository "shpo" is configured. Did you mean shop? Configured are: shop, oci`)
}

func TestLoadChartRefusesPlacesOfTheCallersOwn(t *testing.T) {
	t.Parallel()
	b := New(Config{Repositories: repositoryFile(t, "shop", "https://charts.invalid"), ChartDir: t.TempDir()})
	for _, chart := range []string{
		"https://evil.invalid/web-1.0.0.tgz", "oci://evil.invalid/web", "file:///etc/passwd", "http://127.0.0.1:1/x",
		"/etc/passwd", "./web", "../web", "~/web", "shop/../web", "shop/web/../../x", `..\web`, `C:\web`, "shop//web", "shop/",
		"/etc/web.tgz", "../web.tgz", "archive:../web.tgz", "archive:/web.tgz", "archive:web", "..tgz", ".tgz", "shop/web?x=1", "shop/web@sha256:1",
		"", "web", "shop/web\x00", "user:pass@host/web", "shop/we b", strings.Repeat("a", 5000),
	} {
		_, err := b.loadChart(t.Context(), ChartRef{Chart: chart})
		requireKind(t, err, mcpkit.Invalid, "Configured are: shop")
	}
}

func TestLoadChartFromTheOperatorsFolder(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	archive, err := charts.Chart{Name: "web", Version: "1.0.0"}.Archive()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "web-1.0.0.tgz"), archive, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "web-1.0.0+build.5.tgz"), archive, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret.tgz"), archive, 0o600))
	require.NoError(t, os.Symlink(filepath.Join(outside, "secret.tgz"), filepath.Join(dir, "link.tgz")))
	require.NoError(t, os.Symlink("web-1.0.0.tgz", filepath.Join(dir, "inner.tgz")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe.tgz"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.tgz"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.tgz"), []byte("not an archive"), 0o600))
	b := New(Config{ChartDir: dir})
	for _, name := range []string{"web-1.0.0.tgz", "archive:web-1.0.0.tgz", "inner.tgz", "web-1.0.0+build.5.tgz"} {
		got, err := b.loadChart(t.Context(), ChartRef{Chart: name})
		require.NoError(t, err, name)
		require.Equal(t, "1.0.0", got.Metadata.Version)
		require.Equal(t, strings.TrimPrefix(name, "archive:")+" of the operator's folder", got.from)
	}
	for _, name := range []string{"link.tgz", "pipe.tgz", "folder.tgz", "web-2.tgz"} {
		_, err := b.loadChart(t.Context(), ChartRef{Chart: name})
		requireKind(t, err, mcpkit.NotFound, "web-1.0.0.tgz")
		require.NotContains(t, err.Error(), outside)
	}
	_, err = b.loadChart(t.Context(), ChartRef{Chart: "text.tgz"})
	requireKind(t, err, mcpkit.Invalid, "text.tgz of the operator's folder is no chart Helm can load")
	_, err = New(Config{}).loadChart(t.Context(), ChartRef{Chart: "web-1.0.0.tgz"})
	requireKind(t, err, mcpkit.NotFound, "--chart-dir")
}

// file is one entry of an archive.
type file struct {
	name string
	data []byte
}

func pack(t testing.TB, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, f := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.data))}))
		_, err := w.Write(f.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return out.Bytes()
}

func TestUnpackIsBounded(t *testing.T) {
	t.Parallel()
	meta := func(folder string) file {
		return file{folder + "/Chart.yaml", []byte("apiVersion: v2\nname: bomb\nversion: 1.0.0\n")}
	}
	zeros := func(folder string, mib int) []file {
		files := []file{meta(folder)}
		for i := range mib / 4 {
			files = append(files, file{fmt.Sprintf("%s/f%d", folder, i), make([]byte, 4<<20)})
		}
		return files
	}
	many := []file{meta("bomb")}
	for i := range unpackedFiles + 1 {
		many = append(many, file{fmt.Sprintf("bomb/f%d", i), nil})
	}
	inner := pack(t, zeros("inner", 24)...)
	nested := []file{meta("bomb")}
	for i := range 4 {
		nested = append(nested, file{fmt.Sprintf("bomb/charts/c%d.tgz", i), inner})
	}
	deep := pack(t, meta("bomb"))
	for range unpackedDepth + 2 {
		deep = pack(t, meta("bomb"), file{"bomb/charts/c.tgz", deep})
	}
	for name, c := range map[string]struct {
		archive []byte
		kind    mcpkit.Kind
		text    string
	}{
		"bytes":         {pack(t, zeros("bomb", 72)...), mcpkit.TooLarge, "unpacks to more than the 64 MiB"},
		"files":         {pack(t, many...), mcpkit.TooLarge, "more than the 5000 files"},
		"nested":        {pack(t, nested...), mcpkit.TooLarge, "unpacks to more than the 64 MiB"},
		"deep":          {deep, mcpkit.TooLarge, "deeper than 8 levels"},
		"parent":        {pack(t, meta("bomb"), file{"bomb/../../etc/x", []byte("x")}), mcpkit.Invalid, "illegally references parent directory"},
		"absolute":      {pack(t, meta("bomb"), file{"bomb//etc/x", []byte("x")}), mcpkit.Invalid, "absolute paths"},
		"truncated":     {inner[:len(inner)/2], mcpkit.Invalid, "unexpected EOF"},
		"no Chart.yaml": {pack(t, file{"bomb/values.yaml", []byte("a: 1")}), mcpkit.Invalid, "Chart.yaml file is missing"},
		"empty":         {nil, mcpkit.Invalid, "EOF"},
	} {
		_, err := unpack(t.Context(), c.archive, "bomb")
		require.Error(t, err, name)
		requireKind(t, err, c.kind, c.text)
	}
}

func TestCredentialsStayAtHome(t *testing.T) {
	t.Parallel()
	for view, want := range map[charts.View]struct {
		elsewhere bool
		text      string
	}{
		charts.Plain:             {false, ""},
		charts.ArchivesElsewhere: {true, ""},
		charts.Redirect:          {true, ""},
		charts.Denied:            {false, "401"},
		charts.Missing:           {false, "404"},
		charts.Failing:           {false, "500"},
		charts.Truncated:         {false, ""},
	} {
		t.Run(string(view), func(t *testing.T) {
			t.Parallel()
			r := chartRepository(t, locked())
			b := chartBackend(t, r, "shop", r.URL(view)+withUser, "oci", registryURL(r, view)+withUser)
			for _, repository := range []string{"shop", "oci"} {
				if repository == "oci" && view == charts.ArchivesElsewhere {
					continue // a registry has no index
				}
				got, err := b.loadChart(t.Context(), ChartRef{repository + "/web", "1.0.0"})
				if want.text == "" && view != charts.Truncated {
					require.NoError(t, err, repository)
					require.Equal(t, "1.0.0", got.Metadata.Version)
					continue
				}
				require.ErrorContains(t, err, want.text, repository)
				require.NotContains(t, err.Error(), chartPassword)
			}
			requireKept(t, r, want.elsewhere)
			home := 0
			for _, q := range requests(t, r) {
				if q.Carries(chartUser, chartPassword) {
					home++
				}
			}
			require.Positive(t, home, "credentials reach the host they are for")
		})
	}
}

func TestRepositoryWithoutItsUser(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, locked())
	b := chartBackend(t, r, "shop", r.URL(charts.Plain), "wrong", r.URL(charts.Plain)+", username: ada, password: no",
		"oci", registryURL(r, charts.Plain), "ociwrong", registryURL(r, charts.Plain)+", username: ada, password: no")
	for name, text := range map[string]string{
		"shop": "A person must set username and password for it", "wrong": "A person must correct its username and password",
		"oci": "A person must set username and password for it", "ociwrong": "A person must correct its username and password",
	} {
		_, err := b.loadChart(t.Context(), ChartRef{Chart: name + "/web"})
		requireKind(t, err, mcpkit.Denied, "401", text, `"`+name+`"`)
	}
}

func TestSilentRepositoryHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	b := chartBackend(t, r, "shop", r.URL(charts.Hanging), "oci", registryURL(r, charts.Hanging))
	b.cfg.DownloadTimeout = 300 * time.Millisecond
	for _, name := range []string{"shop", "oci"} {
		_, err := b.loadChart(t.Context(), ChartRef{Chart: name + "/web"})
		requireKind(t, err, mcpkit.Unavailable, "in time")
	}
	b.cfg.DownloadTimeout = time.Hour
	for i, name := range []string{"shop", "oci"} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		before := len(requests(t, r))
		go func() {
			_, err := b.loadChart(ctx, ChartRef{Chart: name + "/web"})
			ended <- err
		}()
		require.Eventually(t, func() bool { return len(requests(t, r)) > before }, time.Minute, 10*time.Millisecond, i)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

func TestHugeIndexIsNotRead(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{Charts: []charts.Chart{}})
	_, err := chartBackend(t, r, "shop", r.URL(charts.Huge)).loadChart(t.Context(), ChartRef{Chart: "shop/web"})
	requireKind(t, err, mcpkit.TooLarge, "the index has more than the 32 MiB")
}
