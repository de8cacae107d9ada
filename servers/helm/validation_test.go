package helm

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// definitionOf is a CRD of kind Part in a group, whose spec has the fields.
func definitionOf(group, fields string) string {
	return fmt.Sprintf(`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: parts.%[1]s}, spec: {group: %[1]s, scope: Namespaced,
  names: {kind: Part, listKind: PartList, plural: parts, singular: part}, versions: [{name: v1, served: true, storage: true,
  schema: {openAPIV3Schema: {type: object, properties: {spec: %[2]s}}}}]}}`, group, fields)
}

// workshop is b with two charts: tools brings a type along and uses it, parts
// only uses it.
func workshop(t *testing.T, b *Backend, group string) *Backend {
	t.Helper()
	cfg := b.cfg
	cfg.ChartDir = t.TempDir()
	part := `{apiVersion: ` + group + `/v1, kind: Part, metadata: {name: {{ .Release.Name }}}, spec: {{ .Values.spec | toJson }}}`
	note := `{apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}"}, data: {note: "{{ .Values.spec }}"}}`
	for _, name := range []string{"tools", "parts"} {
		c := &chart.Chart{
			Metadata:  &chart.Metadata{APIVersion: "v2", Name: name, Version: "1.0.0"},
			Templates: []*chart.File{{Name: "templates/all.yaml", Data: []byte(part + "\n---\n" + note)}},
			Raw:       []*chart.File{{Name: "values.yaml", Data: []byte("spec: {size: 1}")}},
		}
		if name == "tools" {
			c.Files = []*chart.File{{Name: "crds/parts.yaml", Data: []byte(definitionOf(group, `{type: object, properties: {size: {type: integer}}}`))}}
		}
		_, err := chartutil.Save(c, cfg.ChartDir)
		require.NoError(t, err)
	}
	return New(cfg)
}

// offeredURL is where the API server offers the document on a group, empty if it
// offers none.
func offeredURL(t testing.TB, path string) string {
	t.Helper()
	var index struct {
		Paths map[string]struct {
			URL string `json:"serverRelativeURL"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(kubectl(t, "get", "--raw", "/openapi/v3")), &index))
	return index.Paths[path].URL
}

// The documents are read once, and again when they change: a type that a chart
// brings along and that is changed later is known as it is by then.
func TestADocumentIsReadOnceUntilItChanges(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	group := ns + ".toolcrib.test"
	t.Cleanup(func() { kubectl(t, "delete", "crd", "parts."+group, "--wait=false") })
	b := workshop(t, over(t, cluster().Kubeconfig, "helm-mcp/"+ns), group)
	s := session(t, b, mcpkit.AccessWrite, (&person{Says: "accept"}).Decide)
	// write calls a tool and returns what it answers and the documents that were
	// read, with how often.
	write := func(tool, release, chart string, values map[string]any) (text string, read map[string]int) {
		read = map[string]int{}
		for _, e := range witnessed(t, b, func() {
			text = s.Call(tool, map[string]any{"name": release, "namespace": ns, "chart": chart, "values": values}).Text
		}) {
			if at, _, _ := strings.Cut(e.RequestURI, "&timeout="); strings.HasPrefix(at, "/openapi/v3/") {
				read[at]++
			}
		}
		return text, read
	}

	text, read := write("helm_install", "first", "tools-1.0.0.tgz", nil)
	require.Contains(t, text, "created\tPart/first")
	core := offeredURL(t, "api/v1")
	require.Contains(t, core, "hash=")
	require.Positive(t, read[core], "%v", read)

	within(t, "the new type is documented", func() bool { return offeredURL(t, "apis/"+group+"/v1") != "" })
	parts := offeredURL(t, "apis/"+group+"/v1")
	text, read = write("helm_install", "second", "parts-1.0.0.tgz", nil)
	require.Contains(t, text, "created\tPart/second")
	require.Zero(t, read[core])
	require.LessOrEqual(t, read[parts], 1)
	text, read = write("helm_upgrade", "second", "parts-1.0.0.tgz", map[string]any{"spec": map[string]any{"size": 2}})
	require.Contains(t, text, "is deployed as revision 2")
	require.Empty(t, read)

	require.NoError(t, cluster().Apply(t.Context(), []byte(definitionOf(group, `{type: object, required: [colour], properties: {size: {type: integer}, colour: {type: string}}}`))))
	within(t, "the changed type is documented and in effect", func() bool {
		_, err := cluster().Kubectl(t.Context(), "patch", "part.v1."+group, "second", "-n", ns, "--type=merge", "--dry-run=server", `-p={"spec":{"size":3}}`)
		return err != nil && strings.Contains(err.Error(), "spec.colour: Required value") && offeredURL(t, "apis/"+group+"/v1") != parts
	})
	text, read = write("helm_upgrade", "second", "parts-1.0.0.tgz", map[string]any{"spec": map[string]any{"size": 3}})
	require.Contains(t, text, "spec.colour: Required value")
	require.NotContains(t, read, parts)
	text, again := write("helm_upgrade", "second", "parts-1.0.0.tgz", map[string]any{"spec": map[string]any{"size": 3, "colour": "red"}})
	require.Contains(t, text, "is deployed as revision 3")
	require.Equal(t, "red", kubectl(t, "get", "part.v1."+group, "second", "-n", ns, "-o", "jsonpath={.spec.colour}"))
	parts = offeredURL(t, "apis/"+group+"/v1")
	require.Equal(t, 1, read[parts]+again[parts], "the changed document is read once")
	require.Len(t, read, 1-again[parts])
}

// An upgrade that changes one value, in milliseconds of our own processor time.
func BenchmarkUpgrade(b *testing.B) {
	ns := namespace(b)
	s := session(b, admin(b), mcpkit.AccessWrite, (&person{Says: "accept"}).Decide)
	write := func(replicas int) {
		a := s.Call("helm_upgrade", map[string]any{"name": "web", "namespace": ns, "chart": "shop/web", "version": "1.0.0", "wait": false, "values": map[string]any{"replicas": replicas}})
		require.False(b, a.IsError, a.Text)
	}
	write(1)
	var before, after syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	n := 1
	for b.Loop() {
		n++
		write(n % 2)
	}
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/1e6/float64(n-1), "cpu-ms/op")
}
