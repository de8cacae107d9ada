package charts

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// namespace is where the releases are.
const namespace = "tools"

// versionAsked is what charts are rendered for where no cluster is asked.
const versionAsked = "v1.36.4"

// typesServed are what a cluster can have beside its own.
var typesServed = []string{"kagent.dev/v1alpha2/RemoteMCPServer", "toolcrib.dev/v1alpha1/Approval"}

// rendered is a release as it would be installed.
type rendered struct{ manifest, notes string }

// render renders a chart, on a cluster that has typesServed unless the values
// are the default.
func render(t *testing.T, c *chart.Chart, values map[string]any) (rendered, error) {
	t.Helper()
	return renderAs(t, "crib-"+c.Name(), namespace, c, values)
}

// renderAs renders a chart as a release of that name.
func renderAs(t *testing.T, name, namespace string, c *chart.Chart, values map[string]any) (rendered, error) {
	t.Helper()
	install := action.NewInstall(&action.Configuration{})
	install.DryRun, install.ClientOnly = true, true
	install.ReleaseName, install.Namespace = name, namespace
	version, err := chartutil.ParseKubeVersion(versionAsked)
	require.NoError(t, err)
	install.KubeVersion = version
	if len(values) > 0 {
		install.APIVersions = typesServed
	}
	release, err := install.Run(c, values)
	if err != nil {
		return rendered{}, err
	}
	return rendered{release.Manifest, release.Info.Notes}, nil
}

func chartAt(t *testing.T, path string) *chart.Chart {
	t.Helper()
	c, err := loader.Load(path)
	require.NoError(t, err)
	return c
}

// eachRelease renders every chart with every set of values there is for it,
// testdata/values/CHART-CASE.yaml.
func eachRelease(t *testing.T, do func(t *testing.T, name string, r rendered)) {
	t.Helper()
	paths, err := filepath.Glob("testdata/values/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			server, _, _ := strings.Cut(name, "-")
			values, err := chartutil.ReadValuesFile(path)
			require.NoError(t, err)
			r, err := render(t, chartAt(t, server), values)
			require.NoError(t, err)
			do(t, name, r)
		})
	}
}

// madeKey is the secret that is another in each rendering.
var madeKey = regexp.MustCompile(`(?m)^  key: [A-Za-z0-9+/]{64}$`)

func TestGeneratedReleases(t *testing.T) {
	eachRelease(t, func(t *testing.T, name string, r rendered) {
		notes := "# " + strings.ReplaceAll(strings.TrimSpace(r.notes), "\n", "\n# ") + "\n"
		manifest := madeKey.ReplaceAllString(r.manifest, "  key: made-once")
		requireGolden(t, filepath.Join("testdata/golden", name+".yaml"), notes+manifest)
	})
}

// TestTheClusterTakesEveryRelease shows each object to a real API server, which
// knows every type and refuses unknown fields.
func TestTheClusterTakesEveryRelease(t *testing.T) {
	eachRelease(t, func(t *testing.T, _ string, r rendered) {
		out := kubectlWith(t, r.manifest, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--output=name")
		require.Len(t, strings.Fields(out), len(objects(t, r.manifest)))
	})
}

// TestNamesThatYAMLReadsOtherwise renders releases whose names YAML takes for
// numbers, truth or nothing, as those of namespaces can be too.
func TestNamesThatYAMLReadsOtherwise(t *testing.T) {
	for name, in := range map[string]string{"123": "null", "1e3": "0x1f", "on": "true"} {
		for _, path := range append(servers, others...) {
			r, err := renderAs(t, name, in, chartAt(t, path), map[string]any{"labels": map[string]any{"team": "sre"}})
			require.NoError(t, err)
			for _, o := range objects(t, r.manifest) {
				if o["kind"] != "CustomResourceDefinition" {
					requireTexts(t, o)
				}
			}
			require.Contains(t, r.manifest, fmt.Sprintf("namespace: %q\n", in), path)
			require.Contains(t, r.manifest, fmt.Sprintf("app.kubernetes.io/instance: %q\n", name), path)
		}
	}
}

// requireTexts wants each namespace and each label below value to be a text.
func requireTexts(t *testing.T, value any) {
	t.Helper()
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			requireTexts(t, item)
		}
	case object:
		for key, item := range v {
			if key == "namespace" || strings.HasPrefix(key, "app.kubernetes.io/") {
				require.IsType(t, "", item, "%s in %v", key, v)
			}
			requireTexts(t, item)
		}
	}
}

// TestLint is helm lint --strict.
func TestLint(t *testing.T) {
	for _, server := range append(append(servers, others...), "crib", "locks") {
		lint := action.NewLint()
		lint.Strict = true
		version, err := chartutil.ParseKubeVersion(versionAsked)
		require.NoError(t, err)
		lint.KubeVersion = version
		result := lint.Run([]string{server}, nil)
		require.Empty(t, result.Errors, server)
	}
}

// objects are those of a manifest.
func objects(t *testing.T, manifest string) []object {
	t.Helper()
	var out []object
	decoder := yaml.NewDecoder(strings.NewReader(manifest))
	for {
		var o object
		err := decoder.Decode(&o)
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		if o != nil {
			out = append(out, o)
		}
	}
}
