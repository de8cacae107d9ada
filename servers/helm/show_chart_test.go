package helm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShowChart(t *testing.T) {
	t.Parallel()
	_, call := onShelf(t)
	text, _ := call("helm_show_chart", map[string]any{"chart": "shop/web"})
	for _, want := range []string{
		"chart: web 1.2.0 from repository shop (http://", "app_version: 3.0.0\n", "keywords: web, http, frontend\n",
		"maintainers: Ada Park <ada@toolcrib.test>\n", "holds: templates (7), a schema of its values, a readme\n",
		"versions:\nversion\tapp_version\tcreated\n1.3.0-rc.1\t3.0.0\t", "\n1.0.0\t2.4.1\t",
	} {
		require.Contains(t, text, want)
	}
	text, _ = call("helm_show_chart", map[string]any{"chart": "oci/cache", "version": "1.2.0"})
	require.Contains(t, text, "findings: the newest stable version is 1.3.0+build.5\n")
	require.Contains(t, text, "versions:\nversion\n1.3.0+build.5\n1.2.0")
	text, _ = call("helm_show_chart", map[string]any{"chart": "shop/umbrella"})
	require.Contains(t, text, "name\twanted\tin_archive\trepository\tcondition\ncache\t1.2.0\t1.2.0\thttps://charts.toolcrib.test\tcache.enabled")
	text, _ = call("helm_show_chart", map[string]any{"chart": "shop/deprecated"})
	require.Contains(t, text, "findings: the chart is deprecated")
	text, _ = call("helm_show_chart", map[string]any{"chart": "shop/crds"})
	require.Contains(t, text, "CRDs (1 files)")

	for chart, want := range map[string]string{
		"shop/wbe": "not_found: repository shop", "nowhere/web": "not_found: no repository \"nowhere\" is configured. Configured are: shop, oci",
		"https://x.invalid/web.tgz": "invalid: chart names a URL", "oci/wbe": "not_found: oci (oci://",
	} {
		text, failed := call("helm_show_chart", map[string]any{"chart": chart})
		require.True(t, failed)
		require.Contains(t, text, want)
	}
}

func TestShowChartValues(t *testing.T) {
	t.Parallel()
	_, call := onShelf(t)
	values := func(chart, part string) string {
		text, _ := call("helm_show_chart", map[string]any{"chart": chart, "what": "values", "part": part})
		return text
	}
	text := values("shop/web", "")
	require.Contains(t, text, "# The text of the page.\npage: It works.\n")
	require.Regexp(t, `adminPassword: redacted:[0-9a-f]{8}`, text)
	require.Contains(t, values("shop/web", "service"), "values:\nservice:\n  type: ClusterIP\n  port: 80")
	require.Regexp(t, `values:\nauth:\n  # Change it.\n  adminPassword: redacted:[0-9a-f]{8}$`, values("shop/web", "auth.adminPassword"))
	require.Regexp(t, `values:\nauth:\n  password: redacted:[0-9a-f]{8}$`, values("shop/umbrella", "cache.auth"), "a subchart's own")
	require.Contains(t, values("shop/umbrella", "cache.maxMemory"), "maxMemory: 64mb", "the parent's wins")
	require.Contains(t, values("shop/web", "servise.port"), `not_found: there is no value "servise.port"; there is service.port`)
	require.Contains(t, values("shop/web", "zzzzzzzzzz"), `there is apiToken, auth, database`)
	text, _ = call("helm_show_chart", map[string]any{"chart": "shop/web", "part": "service"})
	require.Contains(t, text, "invalid: part goes with what=values or what=readme")
}

func TestShowChartReadme(t *testing.T) {
	t.Parallel()
	_, call := onShelf(t)
	text, _ := call("helm_show_chart", map[string]any{"chart": "shop/web", "what": "readme"})
	require.Contains(t, text, "readme:\n# web\n\nServes one page over HTTP.")
	require.NotContains(t, text, "parts:")
	text, _ = call("helm_show_chart", map[string]any{"chart": "shop/cache", "what": "readme"})
	require.Contains(t, text, "not_found: chart cache has no readme")
}

func TestLongTextsComeWithTheirParts(t *testing.T) {
	t.Parallel()
	var values, text strings.Builder
	text.WriteString("# made\nintro\n```\n# no heading\n```\n")
	for i := range 40 {
		fmt.Fprintf(&values, "# about %d\nkey%d:\n  inner: %d\n", i, i, i)
		fmt.Fprintf(&text, "## Part %d\nbody %d\n### Deeper %d\n", i, i, i)
	}
	c := made(t, file{"values.yaml", []byte(values.String())}, file{"README.md", []byte(text.String())})
	var out ShowChartOut
	require.NoError(t, out.showValues(c, ""))
	require.Equal(t, []string{"key0", "3"}, out.Parts.Rows[0])
	out = ShowChartOut{}
	require.NoError(t, out.showValues(c, "key7.inner"))
	require.Equal(t, "key7:\n  inner: 7\n", out.Values)
	out = ShowChartOut{}
	require.NoError(t, out.showReadme(c, ""))
	require.Len(t, out.Parts.Rows, 81)
	require.Equal(t, []string{"  Part 0", "3"}, out.Parts.Rows[1])
	out = ShowChartOut{}
	require.NoError(t, out.showReadme(c, "part 7"))
	require.Equal(t, "## Part 7\nbody 7\n### Deeper 7", out.Readme)
	require.ErrorContains(t, out.showReadme(c, "Part 77"), "there is Part 7")
	require.ErrorContains(t, (&ShowChartOut{}).showValues(made(t), "a"), "nor any other")
}
