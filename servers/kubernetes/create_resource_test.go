package kubernetes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCreateResourceIsGated(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	cms := testClients(t).typed.CoreV1().ConfigMaps(ns)
	requireGated(t, gatedWrite{
		Tool:    createResource,
		Args:    map[string]any{"namespace": ns, "yaml_content": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata:\n  app.conf: |\n    one " + strings.Repeat("x", 120) + "\n    two\n"},
		Shown:   []string{`+ configmaps "cm" in namespace "` + ns + `"`, "+ data[app.conf]: (2 lines)\n        + one xxx", "xxx\n        + two"},
		State:   func() string { return at(t, "cm", ns, "cm", "data") },
		Before:  "gone",
		After:   `{"app.conf":"one ` + strings.Repeat("x", 120) + `\ntwo\n"}`,
		Writes:  []string{"create configmaps cm"},
		Disturb: func() { apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}}`) },
		Restore: func() { require.NoError(t, cms.Delete(t.Context(), "cm", metav1.DeleteOptions{})) },
		Again:   `conflict: configmaps "cm" in namespace "` + ns + `" exists already; change it with k8s_apply_manifest or k8s_patch_resource`,
	})
}

func TestCreateResourceDenied(t *testing.T) {
	t.Parallel()
	requireDenied(t, createResource, map[string]any{"namespace": namespace(t), "yaml_content": `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`})
}

func TestCreateResourceNamesWhatTheAPIServerNamed(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	p := &person{Says: "accept"}
	a := writing(t, admin(t), p).Call("k8s_create_resource", map[string]any{"namespace": ns, "yaml_content": `
{apiVersion: v1, kind: ConfigMap, metadata: {generateName: job-}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {generateName: job-}}`})
	require.False(t, a.IsError, a.Text)
	require.Contains(t, p.Asked[0], "+ metadata: {generateName: job-}")
	var out ChangeOut
	a.Into(t, &out)
	require.Equal(t, "2 of 2 objects changed", out.Result)
	require.Regexp(t, `^configmaps "job-[a-z0-9]{5}" in namespace "`+ns+`"$`, out.Rows[0][0])
	require.NotEqual(t, out.Rows[0][0], out.Rows[1][0])
	name := strings.Split(out.Rows[1][0], `"`)[1]
	require.Equal(t, out.Rows[1][3], live(t, "cm", ns, name).GetResourceVersion())
}

func TestCreateResourceSaysWhatTheClusterRefuses(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	poke(t, "ns", "", ns, `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"baseline"}}}`)
	p := &person{Says: "accept"}
	a := writing(t, admin(t), p).Call("k8s_create_resource", map[string]any{"namespace": ns, "yaml_content": `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {hostNetwork: true, containers: [{name: c, image: d}]}}`})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, `denied: the cluster's own rules refuse to create pods "a" in namespace "`+ns+`": pods "a" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`)
	require.Empty(t, p.Asked)
}
