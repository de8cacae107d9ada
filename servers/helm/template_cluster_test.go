package helm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

// A server that may do nothing in the cluster still knows its version.
func TestTemplateAsksTheClusterForItsVersionAlone(t *testing.T) {
	t.Parallel()
	b := granted(t, "")
	mark, err := cluster().AuditMark()
	require.NoError(t, err)
	text := session(t, b, mcpkit.AccessRead, nil).Call("helm_template", map[string]any{"chart": "shop/web"}).Text
	require.Regexp(t, `kube_version: v1\.\d+\.\d+.*, of the cluster\n`, text)
	all, err := cluster().Audit(mark)
	require.NoError(t, err)
	ours := slices.DeleteFunc(all, func(e testbed.AuditEvent) bool { return !strings.HasPrefix(e.UserAgent, b.cfg.UserAgent) })
	require.NotEmpty(t, ours)
	for _, e := range ours {
		require.Equal(t, "get", e.Verb)
		require.Empty(t, e.Resource, "%s is no question about types", e.RequestURI)
	}
}

// Helm's own program is the measure of what is rendered.
func TestTemplateRendersWhatHelmRenders(t *testing.T) {
	t.Parallel()
	b := over(t, "/nonexistent", "helm-mcp/test")
	for chart, values := range map[string]map[string]any{
		"web": {"replicas": 3.0, "page": "Hello", "resources": map[string]any{"requests": map[string]any{"cpu": "1"}}}, "umbrella": {"cache": map[string]any{"maxMemory": "1mb"}},
		"with-hooks": nil, "crds": nil, "cache": {"maxMemory": 1000000.0},
	} {
		raw, err := json.Marshal(values)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "values.yaml") // every JSON is YAML
		require.NoError(t, os.WriteFile(file, raw, 0o600))
		theirs := helm3(t).run(t, "template", "name", chart, "--repo", published().URL(charts.Plain), "--namespace", "ns", "--kube-version", "1.36", "--values", file)
		c, err := b.loadChart(t.Context(), ChartRef{Chart: "shop/" + chart})
		require.NoError(t, err)
		capabilities, _, err := b.capabilities(t.Context(), "1.36", nil)
		require.NoError(t, err)
		all, _, err := b.render(t.Context(), c.Chart, rendering{"name", "ns", values, capabilities, 0})
		require.NoError(t, err)
		var ours []string
		for _, r := range all {
			ours = append(ours, strings.TrimSpace(r.Content))
		}
		var wanted []string
		for _, doc := range strings.Split(theirs, "---\n") {
			if _, content, found := strings.Cut(doc, "\n"); found {
				wanted = append(wanted, strings.TrimSpace(content))
			}
		}
		require.ElementsMatch(t, wanted, ours, chart)
	}
}
