package kubernetes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// object reads YAML for a test.
func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	v, err := parseDocument("test", text)
	require.NoError(t, err)
	return &unstructured.Unstructured{Object: v.(map[string]any)}
}

func TestDifference(t *testing.T) {
	for _, c := range []struct{ name, before, after, want string }{
		{"nothing", `{spec: {a: 1}}`, `{spec: {a: 1}}`, ``},
		{"noise", `{metadata: {resourceVersion: "1", managedFields: [1]}, status: {a: 1}}`, `{metadata: {resourceVersion: "2", generation: 3}, status: {a: 2}}`, ``},
		{"scalar", `{spec: {a: 1}}`, `{spec: {a: 2}}`, "~ spec.a: 1 -> 2"},
		{"secret", `{kind: Secret, data: {a: eA==}}`, `{kind: Secret, data: {a: eA==, b: eA==}}`, "+ data.b: redacted:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &planned{before: object(t, c.before)}
			got := strings.Join(difference(t.Context(), p, object(t, c.after)), "\n")
			if strings.HasSuffix(c.want, "redacted:") {
				require.Regexp(t, "^"+strings.ReplaceAll(c.want, "+", `\+`)+"[0-9a-f]{8}$", got)
				return
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestDifferenceOfANewObjectShowsWhatWasStated(t *testing.T) {
	given := `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: n, labels: {a: b}}, stringData: {k: hidden}, spec: {ports: [{port: 1}]}}`
	p := &planned{change: change{object: object(t, given).Object}}
	got := difference(t.Context(), p, object(t, `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: n, uid: x, labels: {a: b}}, type: Opaque, data: {k: aGlkZGVu}, spec: {clusterIP: 1.2.3.4, ports: [{port: 1, protocol: TCP}]}}`))
	require.Len(t, got, 3)
	require.Equal(t, []string{"+ metadata: {labels: {a: b}}", "+ spec: {ports: [{port: 1}]}"}, got[:2])
	require.Regexp(t, `^\+ stringData: \{k: "redacted:[0-9a-f]{8}"\}$|^\+ stringData: \{k: redacted:[0-9a-f]{8}\}$`, got[2])
}

func TestDiffTextIsBounded(t *testing.T) {
	var lines []string
	for range 3 * planLines {
		lines = append(lines, "+ x: y")
	}
	p := &planned{change: change{action: patching}, diff: lines, before: &unstructured.Unstructured{}}
	text, left := diffText([]*planned{p})
	require.Equal(t, 2*planLines, left)
	require.Equal(t, planLines+1, strings.Count(text, "\n")+1)
	require.Contains(t, text, "… 320 more lines")
}

func TestDifferenceShowsWhatControllersOwnOnlyWhenTheChangeNamesIt(t *testing.T) {
	before := object(t, `{kind: Node, metadata: {name: n}, spec: {taints: [{key: node.kubernetes.io/unreachable}]}}`)
	after := object(t, `{kind: Node, metadata: {name: n, annotations: {node.alpha.kubernetes.io/ttl: "0"}}, spec: {unschedulable: true}}`)
	p := &planned{before: before, change: change{patch: []byte(cordoned)}}
	require.Equal(t, []string{"+ spec.unschedulable: true"}, difference(t.Context(), p, after))
	for _, patch := range []string{`{"spec":{"taints":[],"unschedulable":true}}`, `[{"op":"add","path":"/metadata/annotations/node.alpha.kubernetes.io~1ttl","value":"0"}]`} {
		p.patch = []byte(patch)
		require.Len(t, difference(t.Context(), p, after), 3, patch)
	}
}
