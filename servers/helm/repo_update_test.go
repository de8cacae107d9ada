package helm

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

func TestRepoUpdate(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	b := chartBackend(t, r, "shop", r.URL(charts.Plain), "gone", "http://127.0.0.1:1/x", "oci", registryURL(r, charts.Plain))
	b.cfg.CacheDir = t.TempDir()
	reader := New(b.cfg)
	search := func() string {
		return session(t, reader, mcpkit.AccessRead, nil).Call("helm_search_charts", map[string]any{"query": "web"}).Text
	}
	require.Contains(t, search(), "shop/web\t1.2.0")

	p := &person{Says: "accept"}
	s := session(t, b, mcpkit.AccessWrite, p.Decide)
	text := s.Call("helm_repo_update", nil).Text
	require.Contains(t, p.Asked[0], "~ index of shop ("+r.URL(charts.Plain)+")\n~ index of gone (http://127.0.0.1:1/x)")
	require.NotContains(t, p.Asked[0], "oci")
	require.Contains(t, text, "shop\tfirst read\t10\t16")
	require.Contains(t, text, "gone\tunavailable")
	require.Contains(t, text, "failed:\n- gone: cannot get the index of gone")
	require.Contains(t, text, "kept: in the cache folder")

	require.NoError(t, r.Publish(t.Context(), charts.Chart{Name: "web", Version: "2.0.0"}))
	text = s.Call("helm_repo_update", map[string]any{"repository": "shop"}).Text
	require.Contains(t, text, "repository\tstate\tcharts\tversions\tnew\tgone\tnewest\nshop\tchanged\t10\t17\t1\t0\tweb 2.0.0")
	require.Contains(t, s.Call("helm_repo_update", map[string]any{"repository": "shop"}).Text, "shop\tunchanged\t10\t17")

	before := len(requests(t, r))
	require.Contains(t, search(), "shop/web\t2.0.0", "the reading server takes it from the shared folder")
	require.Len(t, requests(t, r), before)

	require.Contains(t, s.Call("helm_repo_update", map[string]any{"repository": "shpo"}).Text, "not_found: no repository \"shpo\" is configured. Did you mean shop?")
	require.Contains(t, s.Call("helm_repo_update", map[string]any{"repository": "oci"}).Text, "invalid: registries have no index to refresh")
	require.Contains(t, session(t, New(Config{}), mcpkit.AccessWrite, nil).Call("helm_repo_update", nil).Text, "not_found: there is nothing to refresh")
}

func TestRepoUpdateIsGated(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, locked())
	b := chartBackend(t, r, "shop", r.URL(charts.Plain)+withUser, "denied", r.URL(charts.Plain))
	require.Contains(t, session(t, b, mcpkit.AccessWrite, nil).Call("helm_repo_update", nil).Text, "denied: a person must approve")
	require.Empty(t, requests(t, r))
	text := session(t, b, mcpkit.AccessWrite, (&person{Says: "accept"}).Decide).Call("helm_repo_update", nil).Text
	require.Contains(t, text, "shop\tfirst read\t10\t16")
	require.Contains(t, text, "denied\tdenied")
	require.Contains(t, text, "kept: in this server's memory")
	require.NotContains(t, text, chartPassword)
}

// What lies in the cache folder is as foreign as what a repository sends.
func TestCacheFolderIsNotTrusted(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	b := chartBackend(t, r, "shop", r.URL(charts.Plain))
	b.cfg.CacheDir = t.TempDir()
	for _, content := range []string{"", "not: [yaml", "apiVersion: v1\nentries: {web: [null, {name: web}, {version: 1}]}"} {
		require.NoError(t, os.WriteFile(b.cfg.CacheDir+"/"+cachedName(mustRepository(t, b, "shop")), []byte(content), 0o600))
		b.indexes = newIndexCache()
		i, err := b.index(t.Context(), mustRepository(t, b, "shop"))
		require.NoError(t, err)
		require.Len(t, i.charts, 10, "the repository is asked instead")
	}
}
