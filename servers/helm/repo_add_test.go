package helm

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

// adding is a writing session over b, whose operator allows r's hosts.
func adding(t testing.TB, b *Backend, p *person, hosts ...string) *mcptest.Session {
	t.Helper()
	b.cfg.AllowedHosts = hosts
	return session(t, b, mcpkit.AccessWrite, p.Decide)
}

const repositoriesWithComments = `# Ours.
apiVersion: ""
generated: "0001-01-01T00:00:00Z"
repositories:
# The old one.
- name: old
  url: https://old.invalid/charts # do not touch
  username: ada
  password: NotForYourEyes-repo
  caFile: ""
unknown: {kept: true}
`

func TestRepoAdd(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	b := New(Config{Repositories: filepath.Join(t.TempDir(), "repositories.yaml"), CacheDir: filepath.Join(t.TempDir(), "cache")})
	require.NoError(t, os.WriteFile(b.cfg.Repositories, []byte(repositoriesWithComments), 0o640))
	p := &person{Says: "decline"}
	s := adding(t, b, p, r.Home, r.Elsewhere)
	args := map[string]any{"name": "shop", "url": r.URL(charts.Plain) + "/"}

	require.Contains(t, s.Call("helm_repo_add", args).Text, "denied: the person declined")
	require.Contains(t, p.Asked[0], "+ shop: "+r.URL(charts.Plain)+"\n\nNow: its index holds 10 charts in 16 versions: big, broken, cache,")
	raw, err := os.ReadFile(b.cfg.Repositories)
	require.NoError(t, err)
	require.Equal(t, repositoriesWithComments, string(raw))

	p.Says = "accept"
	text := s.Call("helm_repo_add", args).Text
	require.Contains(t, text, "done: added\nholds: 10 charts in 16 versions")
	raw, err = os.ReadFile(b.cfg.Repositories)
	require.NoError(t, err)
	added := "- name: shop\n  url: " + r.URL(charts.Plain) + "\n"
	require.Equal(t, strings.Replace(repositoriesWithComments, "unknown:", added+"unknown:", 1), string(raw), "nothing else changed")
	info, err := os.Stat(b.cfg.Repositories)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())

	asked := len(p.Asked)
	require.Contains(t, s.Call("helm_repo_add", args).Text, "done: nothing, it was there already")
	require.Len(t, p.Asked, asked, "nobody is asked about nothing")

	reader := session(t, New(Config{Repositories: b.cfg.Repositories}), mcpkit.AccessRead, nil)
	require.Contains(t, reader.Call("helm_show_chart", map[string]any{"chart": "shop/web"}).Text, "version: 1.2.0", "another server sees it")

	other := map[string]any{"name": "shop", "url": "http://" + r.Elsewhere + "/charts"}
	require.Contains(t, s.Call("helm_repo_add", other).Text, `conflict: repository "shop" is there already, at `+r.URL(charts.Plain))
	other["replace"] = true
	require.Contains(t, s.Call("helm_repo_add", other).Text, "done: replaced "+r.URL(charts.Plain))
	require.Contains(t, p.Asked[len(p.Asked)-1], "- shop: "+r.URL(charts.Plain)+"\n+ shop: http://"+r.Elsewhere+"/charts")
}

func TestRepoAddReplacingForgetsTheOldPlacesUser(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	b := New(Config{Repositories: filepath.Join(t.TempDir(), "repositories.yaml")})
	require.NoError(t, os.WriteFile(b.cfg.Repositories, []byte(repositoriesWithComments), 0o600))
	p := &person{Says: "accept"}
	s := adding(t, b, p, r.Home)
	require.False(t, s.Call("helm_repo_add", map[string]any{"name": "old", "url": r.URL(charts.Plain), "replace": true}).IsError)
	require.Contains(t, p.Asked[0], "Note: the credentials that the name was entered with go")
	raw, err := os.ReadFile(b.cfg.Repositories)
	require.NoError(t, err)
	require.NotContains(t, string(raw), chartPassword)
	for _, q := range requests(t, r) {
		require.Empty(t, q.Authorization)
	}
}

func TestRepoAddRefusals(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, locked())
	b := New(Config{Repositories: filepath.Join(t.TempDir(), "repositories.yaml")})
	p := &person{Says: "accept"}
	s := adding(t, b, p, r.Home, r.Elsewhere, "charts.invalid")
	for url, want := range map[string]string{
		"https://evil.invalid/x":                `denied: the operator has not allowed repositories of "evil.invalid", only of ` + r.Home + ", " + r.Elsewhere,
		"https://charts.invalid.evil/x":         "denied: ",
		"https://charts.invalid:444/x":          "denied: ",
		"http://charts.invalid/x":               "invalid: url must begin with https://",
		"https://ada:pw@charts.invalid/x":       "invalid: url must carry no user, password or query",
		"https://charts.invalid/x?token=1":      "invalid: url must carry no user, password or query",
		"oci://charts.invalid/x":                "invalid: url is a registry's",
		"file:///etc":                           "invalid: url is not one",
		"charts.invalid/x":                      "invalid: url is not one",
		"https://charts.invalid/x":              "unavailable: cannot get the index of new",
		"http://" + r.Home + "/charts":          "denied: " + r.Home + " answers 401",
		"http://" + r.Elsewhere + "/status/404": "not_found: new",
		"http://127.0.0.1:1/charts":             "denied: the operator has not allowed",
		"https://charts.invalid@evil.invalid":   "invalid: url must carry no user",
	} {
		a := s.Call("helm_repo_add", map[string]any{"name": "new", "url": url})
		require.True(t, a.IsError)
		require.Contains(t, a.Text, want, url)
	}
	for _, name := range []string{"a/b", "../a", "", "a b", "-a"} {
		require.Contains(t, s.Call("helm_repo_add", map[string]any{"name": name, "url": "https://charts.invalid/x"}).Text, "invalid: ")
	}
	require.Empty(t, p.Asked)
	_, err := os.Stat(b.cfg.Repositories)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestRepoAddWithoutAFileOrAHost(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	args := map[string]any{"name": "shop", "url": r.URL(charts.Plain)}
	p := &person{Says: "accept"}
	require.Contains(t, adding(t, New(Config{}), p, r.Home).Call("helm_repo_add", args).Text, "denied: this server has no repositories file to add to")

	folder := filepath.Join(t.TempDir(), "folder")
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.Contains(t, adding(t, New(Config{Repositories: folder}), p, r.Home).Call("helm_repo_add", args).Text, "denied: the repositories file cannot be written")
	require.Empty(t, p.Asked)

	tools, err := session(t, New(Config{}), mcpkit.AccessWrite, nil).ListTools(t.Context(), nil)
	require.NoError(t, err)
	for _, tool := range tools.Tools {
		require.NotEqual(t, "helm_repo_add", tool.Name)
	}
}

func TestRepoAddAtTheSameTime(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	file := filepath.Join(t.TempDir(), "repositories.yaml")
	var group sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		s := adding(t, New(Config{Repositories: file}), &person{Says: "accept"}, r.Home)
		group.Go(func() { s.Call("helm_repo_add", map[string]any{"name": name, "url": r.URL(charts.Plain)}) })
	}
	group.Wait()
	all, err := New(Config{Repositories: file}).repositories()
	require.NoError(t, err)
	require.Len(t, all, 6, "none is lost")
}

func TestRepoAddIsStaleWhenTheNameIsTakenMeanwhile(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	file := repositoryFile(t)
	p := &person{Says: "accept", First: func() {
		require.NoError(t, os.WriteFile(file, []byte("repositories: [{name: shop, url: https://other.invalid}]"), 0o600))
	}}
	text := adding(t, New(Config{Repositories: file}), p, r.Home).Call("helm_repo_add", map[string]any{"name": "shop", "url": r.URL(charts.Plain)}).Text
	require.Contains(t, text, `conflict: repository "shop" is there already, at https://other.invalid`)
}
