package kubernetes

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

const settings = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app.kubernetes.io/name: shop}, annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}}
data: {color: blue, size: "3"}
`

func TestGetResourceYAML(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, settings)
	args := map[string]any{"resource_type": "cm", "resource_name": "settings", "namespace": ns}
	a := s.Call("k8s_get_resource_yaml", args)
	var out GetResourceYAMLOut
	a.Into(t, &out)
	require.Equal(t, map[string]any{"color": "blue", "size": "3"}, out.Object["data"])
	require.NotContains(t, out.Object["metadata"], "managedFields")
	require.NotContains(t, out.Object["metadata"], "annotations")
	require.Contains(t, a.Text, "apiVersion: v1\ndata:\n  color: blue\n  size: \"3\"\nkind: ConfigMap\n")

	args["managed_fields"] = true
	var full GetResourceYAMLOut
	s.Call("k8s_get_resource_yaml", args).Into(t, &full)
	require.Contains(t, full.Object["metadata"], "managedFields")
	require.Equal(t, map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "{}"}, full.Object["metadata"].(map[string]any)["annotations"])
}

func TestGetResourceYAMLFields(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, settings)
	args := map[string]any{"resource_type": "cm", "resource_name": "settings", "namespace": ns,
		"fields": []string{".data.color", ".metadata.labels['app.kubernetes.io/name']", ".data", "..size", ".spec.replicas"}}
	a := s.Call("k8s_get_resource_yaml", args)
	var out GetResourceYAMLOut
	a.Into(t, &out)
	require.Nil(t, out.Object)
	require.Equal(t, []string{".spec.replicas"}, out.Absent)
	require.Equal(t, mcpkit.Object{
		".data.color": "blue", ".metadata.labels['app.kubernetes.io/name']": "shop", "..size": "3",
		".data": map[string]any{"color": "blue", "size": "3"},
	}, out.Fields)
	args["fields"] = []string{".data["}
	requireRefused(t, s, "k8s_get_resource_yaml", args, `invalid: ".data[" is not a JSONPath: `)
}

func TestGetResourceYAMLWithoutStatus(t *testing.T) {
	t.Parallel()
	s := reading(t)
	args := map[string]any{"resource_type": "namespace", "resource_name": "kube-system"}
	var out GetResourceYAMLOut
	s.Call("k8s_get_resource_yaml", args).Into(t, &out)
	require.Equal(t, map[string]any{"phase": "Active"}, out.Object["status"])
	args["status"] = false
	out = GetResourceYAMLOut{}
	s.Call("k8s_get_resource_yaml", args).Into(t, &out)
	require.NotContains(t, out.Object, "status")
	require.Contains(t, out.Object, "spec")
}

func TestGetResourceYAMLNeverShowsASecret(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `
{apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {color: heliotrope}}
---
{apiVersion: v1, kind: Pod, metadata: {name: env}, spec: {nodeSelector: {no.such/node: "yes"}, containers: [{name: c, image: "toolcrib.test/busybox:1", env: [{name: DB_PASSWORD, value: heliotrope}]}]}}`)
	encoded := base64.StdEncoding.EncodeToString([]byte("heliotrope"))
	for _, args := range []map[string]any{
		{"resource_type": "secret", "resource_name": "db", "managed_fields": true},
		{"resource_type": "secret", "resource_name": "db", "fields": []string{".data.color", "..color", ".data"}},
		{"resource_type": "pod", "resource_name": "env"},
		{"resource_type": "pod", "resource_name": "env", "fields": []string{".spec.containers[0].env[0].value", "..value"}},
	} {
		args["namespace"] = ns
		a := s.Call("k8s_get_resource_yaml", args)
		require.False(t, a.IsError, a.Text)
		require.Contains(t, a.Text, "redacted:", args)
		require.NotContains(t, a.Text+string(a.JSON), "heliotrope", args)
		require.NotContains(t, a.Text+string(a.JSON), encoded, args)
	}
}

func TestGetResourceYAMLNotFoundAndDenied(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, settings)
	args := map[string]any{"resource_type": "cm", "resource_name": "setting", "namespace": ns}
	requireRefused(t, s, "k8s_get_resource_yaml", args, `not_found: no configmaps "setting" in namespace "`+ns+`"; the nearest names are settings`)
	args["namespace"] = ns + "x"
	requireRefused(t, s, "k8s_get_resource_yaml", args, `not_found: no namespaces "`+ns+`x"; the nearest names are `)
	args["resource_name"] = ""
	requireRefused(t, s, "k8s_get_resource_yaml", args, "invalid: resource_name is empty")
	args["resource_name"] = "../secrets/db"
	requireRefused(t, s, "k8s_get_resource_yaml", args, `invalid: "../secrets/db" is not a name`)

	own := serve(t, granted(t, getResourceYAML.Rules...), mcpkit.AccessRead, nil)
	args = map[string]any{"resource_type": "cm", "resource_name": "settings", "namespace": ns}
	require.False(t, own.Call("k8s_get_resource_yaml", args).IsError)
	args["resource_type"] = "secrets"
	require.Contains(t, requireRefused(t, own, "k8s_get_resource_yaml", args, "denied: system:serviceaccount:"), `:server may not get secrets "settings"`)
}

func TestGetResourceYAMLIsCutToTheBudget(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	configMaps(t, ns, 1, func(int) map[string]string {
		return map[string]string{"log": strings.Repeat("a line of forty-eight bytes, newline included..\n", 4000), "small": "kept"}
	})
	a := s.Call("k8s_get_resource_yaml", map[string]any{"resource_type": "cm", "resource_name": "cm-00000", "namespace": ns})
	var out GetResourceYAMLOut
	a.Into(t, &out)
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "log: ")
	require.Contains(t, out.LeftOut, "of 4001 lines shown; ask for parts with fields")
	require.Equal(t, "kept", out.Object["data"].(map[string]any)["small"])
}
