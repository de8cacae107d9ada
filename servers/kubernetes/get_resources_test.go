package kubernetes

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// list calls k8s_get_resources and requires an answer.
func list(t testing.TB, s *mcptest.Session, args map[string]any) GetResourcesOut {
	t.Helper()
	var out GetResourcesOut
	s.Call("k8s_get_resources", args).Into(t, &out)
	return out
}

// requireRefused calls a tool and requires an error that begins with want.
func requireRefused(t testing.TB, s *mcptest.Session, tool string, args map[string]any, want string) string {
	t.Helper()
	a := s.Call(tool, args)
	require.True(t, a.IsError, a.Text)
	require.Truef(t, strings.HasPrefix(a.Text, want), "want %q\n got %q", want, a.Text)
	return a.Text
}

func firstCells(out GetResourcesOut) []string {
	var cells []string
	for _, row := range out.Rows {
		cells = append(cells, row[0])
	}
	return cells
}

func TestGetResourcesListsAnyTypeByAnyName(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: "1", b: "2"}}`)
	for _, name := range []string{"configmaps", "configmap", "cm", "ConfigMap", "configmaps.v1"} {
		out := list(t, s, map[string]any{"resource_type": name, "namespace": ns, "resource_name": "one"})
		require.Equal(t, []string{"name", "data", "age"}, out.Columns, name)
		require.Equal(t, []string{"one", "2"}, out.Rows[0][:2], name)
	}
}

func TestGetResourcesWorksWithItsOwnRules(t *testing.T) {
	t.Parallel()
	s := serve(t, granted(t, getResources.Rules...), mcpkit.AccessRead, nil)
	for _, rule := range getResources.Rules {
		for _, resource := range rule.Resources {
			args := map[string]any{"resource_type": strings.TrimSuffix(resource+"."+rule.Groups[0], "."), "all_namespaces": true, "limit": 1}
			a := s.Call("k8s_get_resources", args)
			require.False(t, a.IsError, a.Text)
		}
	}
}

func TestGetResourcesNotFoundNamesTheNearest(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}`)
	text := requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "cm", "namespace": ns, "resource_name": "setings"},
		`not_found: no configmaps "setings"`)
	require.Contains(t, text, "settings")
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "podz"}, `not_found: the cluster has no resource type "podz"; the nearest are pods`)
}

func TestGetResourcesSaysWhenTheNamespaceDoesNotExist(t *testing.T) {
	t.Parallel()
	s := reading(t)
	for _, args := range []map[string]any{
		{"resource_type": "pods"},
		{"resource_type": "pods", "resource_name": "web"},
		{"resource_type": "pods", "count_by": "images"},
		{"resource_type": "pods", "sort_by": "name"},
	} {
		args["namespace"] = "kube-sytem"
		requireRefused(t, s, "k8s_get_resources", args, `not_found: no namespaces "kube-sytem"; the nearest names are kube-system`)
	}
	out := list(t, s, map[string]any{"resource_type": "pods", "namespace": namespace(t)})
	require.Empty(t, out.Rows)
	require.Empty(t, out.LeftOut)
	require.Contains(t, out.Columns, "restarts")
	out = list(t, s, map[string]any{"resource_type": "pods", "label_selector": "no-such-label"})
	require.Equal(t, `only namespace "default" was looked at; name another, or pass all_namespaces`, out.LeftOut)
	require.False(t, out.Truncated)
}

func TestGetResourcesDeniedIsSaid(t *testing.T) {
	t.Parallel()
	s := serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil)
	for _, args := range []map[string]any{
		{"resource_type": "secrets"},
		{"resource_type": "secrets", "resource_name": "any"},
		{"resource_type": "secrets", "count_by": "type"},
	} {
		text := requireRefused(t, s, "k8s_get_resources", args, "denied: ")
		require.Contains(t, text, "is forbidden")
	}
	out := list(t, s, map[string]any{"resource_type": "pods", "namespace": "no-such-namespace"})
	require.Empty(t, out.Rows, "whether the namespace exists is not for this caller to know")
}

func TestGetResourcesRefusesNamesThatAreNone(t *testing.T) {
	t.Parallel()
	s := reading(t)
	for _, args := range []map[string]any{
		{"resource_type": "configmaps", "resource_name": "../secrets"},
		{"resource_type": "configmaps", "resource_name": ".."},
		{"resource_type": "configmaps", "resource_name": "a%2fb"},
		{"resource_type": "configmaps", "namespace": "default/secrets"},
		{"resource_type": "configmaps", "namespace": "..", "resource_name": "x"},
	} {
		require.Contains(t, requireRefused(t, s, "k8s_get_resources", args, "invalid: "), "is not a name")
	}
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "tokenreviews"},
		"invalid: tokenreviews.authentication.k8s.io cannot be listed; the API server offers only create")
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "pods", "label_selector": "a=(b"}, "invalid: label_selector: ")
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "pods", "field_selector": "a"}, "invalid: field_selector: ")
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "pods", "field_selector": "spec.nope=a"}, "invalid: cannot list pods")
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "pods", "sort_by": "-nope"}, `invalid: no field "nope"; use one of images, `)
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "pods", "fields": []string{"nope"}}, `invalid: no field "nope"; use one of images, `)
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "pods", "count_by": "nope"}, `invalid: no field "nope"; use one of images, `)
}

func TestGetResourcesContinuesWhereItWasCut(t *testing.T) {
	t.Parallel()
	s := reading(t)
	var names []string
	token := ""
	for range 100 {
		var out GetResourcesOut
		s.Call("k8s_get_resources", map[string]any{"resource_type": "clusterroles", "limit": 7, "continue": token}).Into(t, &out)
		for _, row := range out.Rows {
			names = append(names, row[0])
		}
		require.Equal(t, out.Continue != "", out.Truncated)
		if token = out.Continue; token == "" {
			break
		}
	}
	require.Contains(t, names, "view")
	require.Contains(t, names, "system:kube-scheduler")
	seen := map[string]bool{}
	for _, n := range names {
		require.False(t, seen[n], "%s came twice", n)
		seen[n] = true
	}
}

func TestGetResourcesRefusesForgedTokens(t *testing.T) {
	t.Parallel()
	s := reading(t)
	forged := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, token := range []string{"x", "AAAA", forged("null x"), forged(`{"s":-1}`), forged(`{"s":99999999999}`), forged(`{"t":5}`)} {
		requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "pods", "continue": token}, "invalid: continue is not a token of an earlier answer")
	}
	other := list(t, s, map[string]any{"resource_type": "clusterroles", "limit": 1})
	for _, args := range []map[string]any{
		{"resource_type": "pods"},
		{"resource_type": "clusterroles", "label_selector": "a=b"},
	} {
		args["continue"] = other.Continue
		requireRefused(t, s, "k8s_get_resources", args, "invalid: continue is a token of another list")
	}
	genuine, err := parseResume(other.Continue)
	require.NoError(t, err)
	for _, token := range []resumeToken{{genuine.List, "junk", "", 0}, {genuine.List, "", "junk", 0}} {
		requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "clusterroles", "continue": token.String()}, "invalid: ")
	}
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "clusterroles", "continue": other.Continue, "sort_by": "name"}, "invalid: a sorted list has no next page")
}

func TestGetResourcesSorts(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	configMaps(t, ns, 300, func(i int) map[string]string {
		if i == 7 {
			return nil
		}
		return map[string]string{"size": fmt.Sprintf("%dMi", (i*77)%300), "none": ""}
	})
	args := map[string]any{"resource_type": "cm", "namespace": ns, "sort_by": "-.data.size", "limit": 3, "output": "names"}
	out := list(t, s, args)
	require.Equal(t, []string{"cm-00187", "cm-00074", "cm-00261"}, firstCells(out), "187*77%300 = 299, then 298, 297")
	require.EqualValues(t, 301, out.Total)
	require.True(t, out.Truncated)
	require.Equal(t, "rows: the first 3 of 301 by -.data.size; raise limit or narrow the selection", out.LeftOut)
	require.Empty(t, out.Continue)

	args["sort_by"], args["limit"] = ".data.size", 1000
	out = list(t, s, args)
	require.Equal(t, "cm-00000", out.Rows[0][0])
	require.Equal(t, []string{"cm-00007", "kube-root-ca.crt"}, firstCells(out)[299:], "what has no value comes last")

	args["sort_by"], args["limit"] = "data", 2
	require.Equal(t, []string{"cm-00007", "kube-root-ca.crt"}, firstCells(list(t, s, args)), "a column of the table that is not shown")

	roles := map[string]any{"resource_type": "clusterroles", "output": "names", "fields": []string{".metadata.creationTimestamp"}, "limit": 1000}
	for by, order := range map[string]int{"age": -1, "-age": 1} { // though the type has no column age
		roles["sort_by"] = by
		out = list(t, s, roles)
		require.Greater(t, len(out.Rows), 50)
		require.True(t, slices.IsSortedFunc(out.Rows, func(a, b []string) int { return order * cmp.Compare(a[1], b[1]) }), by)
	}
}

func TestGetResourcesCounts(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	configMaps(t, ns, 260, func(i int) map[string]string {
		return map[string]string{"group": fmt.Sprintf("g%d", min(i/100, 2)), "each": fmt.Sprint(i)}
	})
	args := map[string]any{"resource_type": "cm", "namespace": ns, "count_by": ".data.group", "label_selector": "!nope"}
	out := list(t, s, args)
	require.EqualValues(t, 261, out.Total)
	require.Equal(t, []string{".data.group", "count"}, out.Columns)
	require.Equal(t, [][]string{{"g0", "100"}, {"g1", "100"}, {"g2", "60"}, {"", "1"}}, out.Rows)
	delete(args, "label_selector") // now the API server says how many remain
	require.EqualValues(t, 261, list(t, s, args).Total)

	args["count_by"] = "data"
	require.Equal(t, [][]string{{"2", "260"}, {"1", "1"}}, list(t, s, args).Rows, "a column of the table counts too")

	args["count_by"], args["limit"] = ".data.each", 5
	out = list(t, s, args)
	require.Len(t, out.Rows, 5)
	require.True(t, out.Truncated)
	require.Equal(t, "rows: 5 of 261 values; raise limit or narrow the selection", out.LeftOut)

	args = map[string]any{"resource_type": "cm", "all_namespaces": true, "field_selector": "metadata.name=kube-root-ca.crt", "count_by": ".metadata.name"}
	out = list(t, s, args)
	require.Equal(t, []string{".metadata.name", "count", "namespaces"}, out.Columns)
	require.Contains(t, out.Rows[0][2], "default")
}

func TestGetResourcesShowsImagesRestartsAndReasons(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {team: shop}}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: first, image: "toolcrib.test/init:2"}]
      containers: [{name: web, image: "toolcrib.test/web:1"}, {name: side, image: "toolcrib.test/web:1"}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 0 * * *"
  suspend: true
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: run, image: "toolcrib.test/run:3"}]}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: stuck}
spec:
  nodeSelector: {no.such/node: "yes"}
  securityContext: {runAsUser: 1000650000}
  containers: [{name: c, image: "toolcrib.test/busybox:1"}]
`)
	out := list(t, s, map[string]any{"resource_type": "deploy", "namespace": ns, "output": "names", "fields": []string{"images", "labels", ".spec.replicas", "up-to-date"}})
	require.Equal(t, []string{"name", "images", "labels", ".spec.replicas", "up-to-date"}, out.Columns)
	require.Equal(t, [][]string{{"web", "toolcrib.test/init:2,toolcrib.test/web:1", "team=shop", "0", "0"}}, out.Rows)
	out = list(t, s, map[string]any{"resource_type": "cronjobs", "namespace": ns, "count_by": "images"})
	require.Equal(t, [][]string{{"toolcrib.test/run:3", "1"}}, out.Rows)
	pods := map[string]any{"resource_type": "po", "namespace": ns, "output": "names",
		"fields": []string{"reason", "restarts", "phase", "owner", ".spec.securityContext.runAsUser", "status", "node"}}
	within(t, "the pod is seen to be unschedulable", func() bool {
		out = list(t, s, pods)
		return out.Rows[0][1] != ""
	})
	require.Equal(t, [][]string{{"stuck", "Unschedulable", "0", "Pending", "", "1000650000", "Pending", ""}}, out.Rows)
	require.Equal(t, []string{"name", "reason", "restarts", "phase", "owner", ".spec.securityContext.runAsUser", "status", "node"}, out.Columns)
	nodes := list(t, s, map[string]any{"resource_type": "nodes", "fields": []string{"reason"}, "output": "wide"})
	require.Contains(t, nodes.Columns, "kernel-version")
	for _, row := range nodes.Rows {
		require.Empty(t, row[len(row)-1], "a healthy node has no reason")
	}
}

func TestGetResourcesListsEvents(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {name: stuck}, spec: {nodeSelector: {no.such/node: "yes"}, containers: [{name: c, image: "toolcrib.test/busybox:1"}]}}`)
	var out GetResourcesOut
	within(t, "an event is there", func() bool {
		out = list(t, s, map[string]any{"resource_type": "events", "namespace": ns, "sort_by": "last_seen", "fields": []string{"reason"}})
		return len(out.Rows) > 0
	})
	require.Equal(t, []string{"last_seen", "type", "reason", "object", "message"}, out.Columns)
	require.Equal(t, []string{"Warning", "FailedScheduling", "pod/stuck"}, out.Rows[0][1:4])
	out = list(t, s, map[string]any{"resource_type": "events", "namespace": ns, "count_by": "reason"})
	require.Equal(t, "FailedScheduling", out.Rows[0][0])
}

// A part of a Secret does not say that it is one; it is redacted all the same.
func TestGetResourcesRedactsWhatFieldsTakeOutOfSecrets(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `
{apiVersion: v1, kind: Secret, metadata: {name: one}, stringData: {color: heliotrope}}
---
{apiVersion: v1, kind: Secret, metadata: {name: two}, stringData: {color: heliotrope}}
---
{apiVersion: v1, kind: Pod, metadata: {name: env}, spec: {nodeSelector: {no.such/node: "yes"}, containers: [{name: c, image: "toolcrib.test/busybox:1", env: [{name: DB_PASSWORD, value: heliotrope}]}]}}`)
	encoded := base64.StdEncoding.EncodeToString([]byte("heliotrope"))
	for _, args := range []map[string]any{
		{"resource_type": "secrets", "fields": []string{".data.color", ".data", "..color", "$" + "['data']['color']"}},
		{"resource_type": "secrets", "count_by": ".data.color"},
		{"resource_type": "secrets", "count_by": ".data['color']"},
		{"resource_type": "pods", "fields": []string{".spec.containers[*].env[*].value", "..value"}},
	} {
		args["namespace"] = ns
		a := s.Call("k8s_get_resources", args)
		require.False(t, a.IsError, a.Text)
		require.Contains(t, a.Text+string(a.JSON), "redacted:")
		require.NotContains(t, a.Text+string(a.JSON), "heliotrope")
		require.NotContains(t, a.Text+string(a.JSON), encoded)
	}
	out := list(t, s, map[string]any{"resource_type": "secrets", "namespace": ns, "count_by": ".data.color"})
	require.Equal(t, "2", out.Rows[0][1], "the same secret has the same fingerprint")
}
