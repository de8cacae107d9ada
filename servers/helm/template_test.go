package helm

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/charts"
	"helm.sh/helm/v3/pkg/chart"
)

// onShelf is a reading session with one repository, shop, that holds the
// testbed's charts, and no cluster.
func onShelf(t testing.TB) (*charts.Repository, func(tool string, args map[string]any) (string, bool)) {
	t.Helper()
	r := chartRepository(t, charts.Options{})
	s := session(t, chartBackend(t, r, "shop", r.URL(charts.Plain), "oci", registryURL(r, charts.Plain)), mcpkit.AccessRead, nil)
	return r, func(tool string, args map[string]any) (string, bool) {
		t.Helper()
		a := s.Call(tool, args)
		for _, secret := range charts.Secrets {
			require.NotContains(t, a.Text, secret)
			require.NotContains(t, string(a.JSON), secret)
		}
		return a.Text, a.IsError
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	_, call := onShelf(t)
	text, _ := call("helm_template", map[string]any{
		"chart": "shop/web", "name": "shop", "namespace": "prod", "kube_version": "1.36",
		"values": map[string]any{"replicas": 3, "replica": 5, "service": map[string]any{"prot": 81}},
	})
	require.Contains(t, text, "chart: web 1.2.0 from repository shop (http://")
	require.Contains(t, text, "kube_version: v1.36, as stated; the cluster was not asked")
	require.Contains(t, text, `value "replica" is unknown to chart web and changes nothing; did you mean replicas?`)
	require.Contains(t, text, `value "service.prot" is not among the chart's own; did you mean service.port?`)
	require.Contains(t, text, "Deployment\tshop\tweb/templates/deployment.yaml\n")
	require.Contains(t, text, "\n  replicas: 3\n")
	require.Regexp(t, `admin-password: redacted:[0-9a-f]{8}`, text)
	require.NotContains(t, text, "notes:")

	text, _ = call("helm_template", map[string]any{"chart": "shop/web", "kube_version": "1.36", "show": []string{"Service/release-name", "NOTES.txt"}})
	require.Contains(t, text, "web 1.2.0 is installed as release-name in default.")
	require.Contains(t, text, "type: ClusterIP")
	require.NotContains(t, text, "kind: Deployment")

	text, _ = call("helm_template", map[string]any{"chart": "shop/web", "kube_version": "1.36", "show": "[\"templates/service.yaml\"]"})
	require.Contains(t, text, "# Source: web/templates/service.yaml")
	require.NotContains(t, text, "kind: Secret")

	text, failed := call("helm_template", map[string]any{"chart": "shop/web", "kube_version": "1.36", "show": []string{"Servise"}})
	require.True(t, failed)
	require.Contains(t, text, `not_found: nothing rendered is "Servise"; there is Service`)
}

func TestTemplateOfOtherKinds(t *testing.T) {
	t.Parallel()
	_, call := onShelf(t)
	text, _ := call("helm_template", map[string]any{"chart": "oci/with-hooks", "kube_version": "1.36"})
	require.Contains(t, text, "Job\trelease-name-pre-install\twith-hooks/templates/hooks.yaml\tpre-install")

	text, _ = call("helm_template", map[string]any{"chart": "shop/umbrella", "kube_version": "1.36"})
	require.Contains(t, text, "umbrella/charts/cache/templates/secret.yaml")
	text, _ = call("helm_template", map[string]any{"chart": "shop/umbrella", "kube_version": "1.36", "values": map[string]any{"cache": map[string]any{"enabled": false}}})
	require.NotContains(t, text, "charts/cache")

	text, _ = call("helm_template", map[string]any{"chart": "shop/crds", "kube_version": "1.36"})
	require.Contains(t, text, "not shown: what crds/ holds (1); include_crds adds it")
	text, _ = call("helm_template", map[string]any{"chart": "shop/crds", "kube_version": "1.36", "include_crds": true})
	require.Contains(t, text, "CustomResourceDefinition\tbackups.storage.toolcrib.test\tcrds/crds/backups.yaml")

	text, _ = call("helm_template", map[string]any{"chart": "shop/deprecated", "kube_version": "1.36"})
	require.Contains(t, text, "the chart is deprecated")

	text, _ = call("helm_template", map[string]any{"chart": "shop/big", "kube_version": "1.36"})
	require.Contains(t, text, "truncated: true")
	require.Contains(t, text, "name in show what is wanted")
	require.Contains(t, text, "ConfigMap\trelease-name-1", "the index is whole")

	text, failed := call("helm_template", map[string]any{"chart": "shop/library", "kube_version": "1.36"})
	require.True(t, failed)
	require.Contains(t, text, "invalid: chart library is a library")
}

func TestTemplateSaysWhereAndWhy(t *testing.T) {
	t.Parallel()
	_, call := onShelf(t)
	for cause, want := range map[string]string{
		"template": "template broken/templates/configmap.yaml line 2: .Values.ingress.host cannot be read: what stands before .host is not set",
		"required": "template broken/templates/configmap.yaml line 4: set host to the name the shop is reached by",
		"yaml":     "what is rendered from broken/templates/configmap.yaml is no YAML in its line 7",
	} {
		text, failed := call("helm_template", map[string]any{"chart": "shop/broken", "kube_version": "1.36", "values": map[string]any{"cause": cause}})
		require.True(t, failed)
		require.Contains(t, text, "invalid: "+want)
	}
	for name, c := range map[string]struct {
		args map[string]any
		want []string
	}{
		"schema": {map[string]any{"chart": "shop/web", "values": map[string]any{"replicas": 300, "service": map[string]any{"port": "x"}, "auth": map[string]any{"adminPassword": "short"}}},
			[]string{"auth.adminPassword (minLength: got 5, want 8)", "replicas (maximum: got 300, want 20)", "service.port (got string, want integer)"}},
		"version":    {map[string]any{"chart": "shop/web", "kube_version": "new"}, []string{`kube_version "new" is none`}},
		"release":    {map[string]any{"chart": "shop/web", "name": "Web_1"}, []string{`name "Web_1" cannot be a release's`}},
		"no cluster": {map[string]any{"chart": "shop/web", "kube_version": ""}, []string{"unavailable: ", "State kube_version, such as 1.36"}},
	} {
		if _, stated := c.args["kube_version"]; !stated {
			c.args["kube_version"] = "1.36"
		}
		text, failed := call("helm_template", c.args)
		require.True(t, failed, name)
		for _, want := range c.want {
			require.Contains(t, text, want)
		}
	}
}

// made is a chart of the given templates.
func made(t testing.TB, files ...file) *chart.Chart {
	t.Helper()
	all := []file{{"made/Chart.yaml", []byte("apiVersion: v2\nname: made\nversion: 1.0.0\nkubeVersion: '>=1.40.0-0'\n")}}
	for _, f := range files {
		all = append(all, file{"made/" + f.name, f.data})
	}
	c, err := unpack(t.Context(), pack(t, all...), "made")
	require.NoError(t, err)
	return c
}

func TestTemplateFindings(t *testing.T) {
	t.Parallel()
	c := made(t, file{"templates/a.yaml", []byte(`{{ $s := (lookup "v1" "Secret" "x" "y") }}a: {{ .Values.unlisted }}`)}, file{"values.yaml", []byte("labels: {}\nlimits: {memory: 1Mi}")})
	capabilities, _, err := New(Config{}).capabilities(t.Context(), "1.36", nil)
	require.NoError(t, err)
	require.Equal(t, []string{
		"the chart wants Kubernetes >=1.40.0-0, and Helm refuses to install it in v1.36",
		`value "other" is unknown to chart made and changes nothing`,
		`value "limits.memroy" is not among the chart's own; did you mean limits.memory?`,
		"lookup was answered with nothing, so an install may differ: made/templates/a.yaml",
	}, templateFindings(c, map[string]any{
		"unlisted": 1, "other": 1, "global": nil, "labels": map[string]any{"any": 1}, "limits": map[string]any{"memroy": 1, "cpu": 1},
	}, capabilities))
}

func TestSchemasReadNothingElse(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(_ *host, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "true") })
	local := filepath.Join(t.TempDir(), "local.json")
	require.NoError(t, os.WriteFile(local, []byte("true"), 0o600))
	for _, ref := range []string{h.URL, "file://" + local, "urn:x:y"} {
		c := made(t, file{"values.schema.json", []byte(`{"$ref": "` + ref + `"}`)})
		requireKind(t, checkValues(c, nil), mcpkit.Invalid, "Schemas that lie outside the chart are not fetched")
	}
	require.Empty(t, h.asked)
	c := made(t, file{"values.schema.json", []byte(`{"properties": {"token": {"pattern": "^[0-9]+$"}, "at": {"$ref": "#/definitions/at"}}, "definitions": {"at": {"enum": [1, 2]}}}`)})
	err := checkValues(c, map[string]any{"token": "hunter2", "at": 3})
	requireKind(t, err, mcpkit.Invalid, "- at (value must be one of 1, 2)\n- token (does not match pattern ^[0-9]+$)")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestEndlessTemplateDoesNotHoldUpTheCall(t *testing.T) {
	t.Parallel()
	b := New(Config{})
	capabilities, _, err := b.capabilities(t.Context(), "1.36", nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	slow := `{{ range until 2000 }}{{ range until 2000 }}{{ sha256sum "x" | trunc 0 }}{{ end }}{{ end }}`
	_, _, err = b.render(ctx, made(t, file{"templates/a.yaml", []byte(slow)}), rendering{"a", "b", map[string]any{}, capabilities, 0})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestValuesAreCopied(t *testing.T) {
	t.Parallel()
	given := map[string]any{"a": 1e6, "c": []any{2.0, map[string]any{"d": 3.0}}}
	got := chartValues(given)
	require.Equal(t, given, got)
	got["c"].([]any)[1].(map[string]any)["d"] = 4.0
	require.Equal(t, 3.0, given["c"].([]any)[1].(map[string]any)["d"])
}
