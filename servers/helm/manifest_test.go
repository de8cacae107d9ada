package helm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const webManifest = `---
# Source: web/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {helm.sh/chart: web-1.0.0}}
spec: {replicas: 2, template: {spec: {containers: [{name: web, image: "web:1"}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {helm.sh/chart: web-1.0.0}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: web, labels: {helm.sh/chart: web-1.0.0}}
stringData: {password: before-NotForYourEyes}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: old}
`

func TestManifestIsReadInOrderWhateverElseIsInIt(t *testing.T) {
	objects, bad := parseManifest(webManifest+"---\n# nothing\n---\n{broken\n---\njust text\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: in-list, namespace: other}}\n", "shop")
	var names []string
	for _, o := range objects {
		names = append(names, o.titled("shop"))
	}
	require.Equal(t, []string{"Deployment/web", "Service/web", "Secret/web", "ConfigMap/old", "ConfigMap/in-list in namespace other"}, names)
	require.Len(t, bad, 2)
	require.Regexp(t, `^document 6: `, bad[0])
	require.Equal(t, "document 7: not an object with apiVersion and kind", bad[1])
}

func TestManifestDiff(t *testing.T) {
	after := strings.NewReplacer("web-1.0.0", "web-1.1.0", "replicas: 2", "replicas: 3", "before-Not", "after-Not", "name: old", "name: new").Replace(webManifest)
	d := diffManifests(t.Context(), "shop", webManifest, after)
	require.Equal(t, "1 added, 3 changed, 1 removed", d.summary())
	text, left := d.text()
	require.Zero(t, left)
	require.NotContains(t, text, "NotForYourEyes")
	require.Regexp(t, `^~ Deployment/web
    ~ spec.replicas: 2 -> 3
~ Secret/web
    ~ stringData.password: "?redacted:[0-9a-f]{8}"? -> "?redacted:[0-9a-f]{8}"?
\+ ConfigMap/new
- ConfigMap/old
in each of 3 objects \(Deployment/web, Service/web, Secret/web\):
    ~ metadata.labels\[helm.sh/chart\]: web-1.0.0 -> web-1.1.0$`, text)
}

func TestManifestDiffOfNothing(t *testing.T) {
	d := diffManifests(t.Context(), "shop", webManifest, webManifest)
	require.True(t, d.empty())
	require.Equal(t, "4 unchanged", d.summary())
	text, _ := d.text()
	require.Empty(t, text)
}

func TestManifestDiffIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ndata:\n", i)
		for j := range 20 {
			fmt.Fprintf(&b, "  key%d: \"%s\"\n", j, strings.Repeat("x", 20))
		}
	}
	text, left := diffManifests(t.Context(), "shop", "", b.String()).text()
	require.Equal(t, 100*(20-objectLines), left)
	require.LessOrEqual(t, strings.Count(text, "\n"), 100*(objectLines+2))
}

// Whatever a release holds as its manifest, reading and comparing it ends, and
// two equal ones do not differ.
func FuzzManifestDiff(f *testing.F) {
	f.Add(webManifest, "")
	f.Add("a: &a [*a]", "---\n---\n")
	f.Add("apiVersion: v1\nkind: List\nitems: [1, {}]", "apiVersion: v1\nkind: X\nmetadata: 3")
	f.Fuzz(func(t *testing.T, before, after string) {
		d := diffManifests(t.Context(), "shop", before, after)
		_, left := d.text()
		require.GreaterOrEqual(t, left, 0)
		require.Empty(t, diffManifests(t.Context(), "shop", after, after).objects)
	})
}
