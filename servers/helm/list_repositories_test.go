package helm

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

func TestListRepositories(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, locked())
	inURL := "http://" + chartUser + ":" + chartPassword + "@" + r.Home + "/charts"
	b := chartBackend(t, r, "shop", r.URL(charts.Plain)+withUser, "inurl", inURL, "query", "http://127.0.0.1:1/x?token="+chartPassword,
		"oci", registryURL(r, charts.Plain)+withUser, "locked", registryURL(r, charts.Plain))
	b.cfg.ChartDir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(b.cfg.ChartDir, "web-1.0.0.tgz"), nil, 0o600))
	text := session(t, b, mcpkit.AccessRead, nil).Call("helm_list_repositories", nil).Text
	for _, want := range []string{
		"name\tkind\turl\tentered_as\tstate\tcharts\tversions\tasked\n",
		"shop\trepository\thttp://" + r.Home + "/charts\tconfigured user\tanswers\t10\t16\t20",
		"inurl\trepository\thttp://" + r.Home + "/charts\tconfigured user\tanswers\t10\t16\t20",
		"query\trepository\thttp://127.0.0.1:1/x\tquery of its URL\tunavailable\t",
		"oci\tregistry\toci://" + r.Home + "/charts\tconfigured user\tanswers\t",
		"locked\tregistry\toci://" + r.Home + "/charts\tanybody\tdenied\t",
		"- query: cannot get the index of query (http://127.0.0.1:1/x)", "- locked: ", "archives: web-1.0.0.tgz",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, chartPassword)
}

func TestListRepositoriesUsesTheRegistryConfiguration(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, locked())
	b := chartBackend(t, r, "oci", registryURL(r, charts.Plain))
	b.cfg.RegistryConfig = filepath.Join(t.TempDir(), "config.json")
	auth := base64.StdEncoding.EncodeToString([]byte(chartUser + ":" + chartPassword))
	require.NoError(t, os.WriteFile(b.cfg.RegistryConfig, fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}, "credsStore": "no-such-program"}`, r.Home, auth), 0o600))
	s := session(t, b, mcpkit.AccessRead, nil)
	require.Contains(t, s.Call("helm_list_repositories", nil).Text, "\tuser of the registry configuration\tanswers")
	require.Contains(t, s.Call("helm_show_chart", map[string]any{"chart": "oci/web"}).Text, "version: 1.2.0")

	require.NoError(t, os.WriteFile(b.cfg.RegistryConfig, []byte(`{"auths": "`+chartPassword+`"}`), 0o600))
	text := s.Call("helm_show_chart", map[string]any{"chart": "oci/web"}).Text
	require.Contains(t, text, "unavailable: the registry configuration is not what helm registry login writes")
	require.NotContains(t, text, chartPassword)
}

func TestListRepositoriesWithoutAny(t *testing.T) {
	t.Parallel()
	text := session(t, New(Config{Repositories: "/nonexistent/file"}), mcpkit.AccessRead, nil).Call("helm_list_repositories", nil).Text
	require.Contains(t, text, "no repository is configured. None is: a person must start the server with --repositories")

	for content, want := range map[string]string{
		"repositories: [{name: a/b, url: https://x.invalid}]":     `names a repository "a/b"`,
		"repositories: [{name: a, url: ftp://x.invalid}]":         `the URL of repository "a" is none that begins with https://`,
		"repositories: {password: " + chartPassword + "}":         "the repositories file is not what helm writes",
		"repositories: [{name: a, url: 'https://h', caFile: /x}]": `the CA file of repository "a" cannot be read`,
	} {
		path := filepath.Join(t.TempDir(), "repositories.yaml")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		text := session(t, New(Config{Repositories: path}), mcpkit.AccessRead, nil).Call("helm_list_repositories", nil).Text
		require.Contains(t, text, want)
		require.NotContains(t, text, chartPassword)
	}
}
