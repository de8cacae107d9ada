package kubernetes

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// configMap is a ConfigMap "cm" with two labels and an annotation, in a
// namespace of its own.
func configMap(t testing.TB) (ns string) {
	t.Helper()
	ns = namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm, labels: {tier: web, env: dev}, annotations: {example.com/note: old}}}`)
	return ns
}

func onConfigMap(ns, argument string, value any) map[string]any {
	return map[string]any{"resource_type": "cm", "resource_name": "cm", "namespace": ns, argument: value}
}

func TestLabelsAndAnnotationsAreGated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tool          mcpkit.Tool
		argument      string
		value         any
		shown         string
		field         string
		before, after string
	}{
		{labelResource, "labels", map[string]any{"tier": "db", "new.example.com/x": "1"}, "~ metadata.labels.tier: web -> db", "labels",
			`{"env":"dev","tier":"web"}`, `{"env":"dev","new.example.com/x":"1","tier":"db"}`},
		{removeLabel, "label_key", "tier", "- metadata.labels.tier: web", "labels", `{"env":"dev","tier":"web"}`, `{"env":"dev"}`},
		{annotateResource, "annotations", map[string]any{"example.com/note": "new text"}, `~ metadata.annotations[example.com/note]: old -> "new text"`, "annotations",
			`{"example.com/note":"old"}`, `{"example.com/note":"new text"}`},
		{removeAnnotation, "annotation_key", "example.com/note", "example.com/note", "annotations", `{"example.com/note":"old"}`, "null"},
	} {
		t.Run(c.tool.Name, func(t *testing.T) {
			t.Parallel()
			ns := configMap(t)
			args := onConfigMap(ns, c.argument, c.value)
			requireGated(t, gatedWrite{
				Tool: c.tool, Args: args,
				Shown:   []string{`configmaps "cm" in namespace "` + ns + `"`, c.shown},
				State:   func() string { return at(t, "cm", ns, "cm", "metadata."+c.field) },
				Before:  c.before,
				After:   c.after,
				Disturb: func() { poke(t, "cm", ns, "cm", `{"data":{"a":"b"}}`) },
				Restore: func() {},
			})
			requireDenied(t, c.tool, args)
			args["resource_name"] = "cn"
			a := writing(t, admin(t), &person{}).Call(c.tool.Name, args)
			require.True(t, a.IsError)
			require.Contains(t, a.Text, `not_found: no configmaps "cn"`)
			require.Contains(t, a.Text, "the nearest names are cm")
		})
	}
}

func TestLabelResourceTakesKagentsText(t *testing.T) {
	t.Parallel()
	ns := configMap(t)
	s := writing(t, admin(t), &person{Says: "accept"})
	a := s.Call("k8s_label_resource", onConfigMap(ns, "labels", "env=prod  a.example.com/b="))
	require.Contains(t, a.Text, "result: done")
	require.Equal(t, `{"a.example.com/b":"","env":"prod","tier":"web"}`, at(t, "cm", ns, "cm", "metadata.labels"))
	a = s.Call("k8s_annotate_resource", onConfigMap(ns, "annotations", "example.com/note=a=b"))
	require.Contains(t, a.Text, "old -> a=b")
	require.Equal(t, `{"example.com/note":"a=b"}`, at(t, "cm", ns, "cm", "metadata.annotations"))
}

func TestLabelResourceRefusals(t *testing.T) {
	t.Parallel()
	ns := configMap(t)
	s := writing(t, admin(t), &person{Says: "accept"})
	for _, c := range []struct {
		value any
		says  string
	}{
		{"", "there is nothing to set"},
		{map[string]any{}, "there is nothing to set"},
		{"tier", `"tier" is not key=value`},
		{"tier-", `"tier-" is not key=value`},
		{"a=1 a=2", `"a" is given twice`},
		{`a="b"`, "holds a quote"},
		{map[string]any{"a": nil}, `argument "labels"`},
		{[]string{"a=b"}, `It must be: object or string: such as {"tier": "web"}`},
		{map[string]any{"tier": "not ok"}, "a valid label must"},
		{map[string]any{"-": "x"}, "name part must consist of"},
	} {
		a := s.Call("k8s_label_resource", onConfigMap(ns, "labels", c.value))
		require.True(t, a.IsError, "%v", c.value)
		require.Contains(t, a.Text, "invalid: ")
		require.Contains(t, a.Text, c.says)
	}
	require.Equal(t, `{"env":"dev","tier":"web"}`, at(t, "cm", ns, "cm", "metadata.labels"))
}

func TestLabelResourceSaysWhoseSelectorsPickOrDrop(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, strings.Join([]string{
		`{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web, tier: front}}, spec: {schedulerName: none, containers: [{name: c, image: "toolcrib.test/busybox:1"}]}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: other}, spec: {selector: {app: other}, ports: [{port: 80}]}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: tier}, spec: {selector: {tier: front}, ports: [{port: 80}]}}`,
		`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: keep}, spec: {minAvailable: 1, selector: {matchExpressions: [{key: app, operator: In, values: [web]}]}}}`,
		`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: all}, spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: other}}}]}]}}`,
		`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: rs}, spec: {replicas: 0, selector: {matchLabels: {app: other}}, template: {metadata: {labels: {app: other}}, spec: {containers: [{name: c, image: "toolcrib.test/busybox:1"}]}}}}`,
	}, "\n---\n"))
	p := &person{Says: "decline"}
	args := map[string]any{"resource_type": "pods", "resource_name": "web", "namespace": ns, "labels": map[string]any{"app": "other"}}
	writing(t, granted(t, labelResource.Rules...), p).Call("k8s_label_resource", args)
	require.Len(t, p.Asked, 1)
	notes := noteLines(p.Asked[0], ns)
	require.Equal(t, []string{
		"Service other in namespace NS starts to send it traffic",
		"Service web in namespace NS stops sending it traffic",
		"NetworkPolicy all in namespace NS begins to let it through",
		"PodDisruptionBudget keep in namespace NS no longer protects it",
		"ReplicaSet rs in namespace NS may adopt it",
	}, notes)

	s := writing(t, granted(t, labelRules("pods")...), p)
	s.Call("k8s_label_resource", args)
	require.Contains(t, p.Asked[1], "whether any services pick it by label was not looked at: ")
	require.Contains(t, p.Asked[1], "services is forbidden")
}

// labelRules let a server label one core type and see nothing else.
func labelRules(resource string) []mcpkit.Rule {
	return []mcpkit.Rule{{Groups: []string{""}, Resources: []string{resource}, Verbs: []string{"get", "list", "patch"}}}
}

// noteLines are the notes of a plan, with the namespace's name made plain.
func noteLines(message, ns string) []string {
	var out []string
	for line := range strings.Lines(message) {
		if note, ok := strings.CutPrefix(line, "Note: "); ok {
			out = append(out, strings.ReplaceAll(strings.TrimSpace(note), ns, "NS"))
		}
	}
	return out
}

func TestLabelsOfNamespacesAndNodesPickToo(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	node := simulatedNode(t)
	apply(t, ns, `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: from}, spec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: `+ns+`}}}]}]}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent}, spec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}}, spec: {nodeSelector: {team: `+ns+`}, containers: [{name: c, image: "toolcrib.test/busybox:1"}]}}}}`)
	p := &person{Says: "decline"}
	s := writing(t, granted(t, labelResource.Rules...), p)
	for _, args := range []map[string]any{{"resource_type": "ns", "resource_name": ns}, {"resource_type": "node", "resource_name": node}} {
		args["labels"] = map[string]any{"team": ns}
		s.Call("k8s_label_resource", args)
	}
	require.Equal(t, []string{"NetworkPolicy from in namespace NS begins to let the pods of it through"}, noteLines(p.Asked[0], ns))
	require.Equal(t, []string{"DaemonSet agent in namespace NS starts a pod on it"}, noteLines(p.Asked[1], ns))
}

// simulatedNode is a node that nothing runs and nothing is scheduled to.
func simulatedNode(t testing.TB) string {
	t.Helper()
	nodes := testClients(t).typed.CoreV1().Nodes()
	node, err := nodes.Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "toolcrib.test/simulated", Effect: corev1.TaintEffectNoSchedule}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = nodes.Delete(context.Background(), node.Name, metav1.DeleteOptions{}) })
	return node.Name
}

func FuzzKeyValues(f *testing.F) {
	for _, s := range []string{`"a=b c=d"`, `{"a":"b"}`, `"{\"a\": \"b\"}"`, `"a"`, `""`, `null`, `["a"]`, `"a=\"b c\""`, `{"a":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var kv KeyValues
		if json.Unmarshal(raw, &kv) != nil {
			return
		}
		require.NotEmpty(t, kv, "%s", raw)
		var text string
		if json.Unmarshal(raw, &text) != nil || strings.HasPrefix(strings.TrimSpace(text), "{") {
			return
		}
		require.Len(t, kv, len(strings.Fields(text)))
		for k, v := range kv {
			require.Contains(t, strings.Fields(text), k+"="+v)
		}
	})
}
