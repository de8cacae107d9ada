package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestWriteToolsTakeCustomTypes(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	group := oddType(t, reading(t), ns)
	kind := "odd-things-2." + group
	p := &person{Says: "accept"}
	s := writing(t, admin(t), p)
	call := func(tool string, args map[string]any) string {
		t.Helper()
		args["namespace"] = ns
		a := s.Call(tool, args)
		return a.Text
	}

	manifest := `{apiVersion: ` + group + `/v9, kind: Odd2, metadata: {name: one}, spec: {size: 1, list: [{a: x}, {a: y}]}}`
	require.Contains(t, call("k8s_apply_manifest", map[string]any{"manifest": manifest}), "created")
	require.Contains(t, p.Asked[0], "+ spec: {list: [{a: x}, {a: y}], size: 1}")
	require.Contains(t, call("k8s_apply_manifest", map[string]any{"manifest": manifest}), "nothing was written")
	require.Len(t, p.Asked, 1)

	patch := map[string]any{"resource_type": kind, "resource_name": "one", "patch": `{spec: {list: [{a: z}]}}`, "patch_type": "strategic"}
	require.Contains(t, call("k8s_patch_resource", patch), "invalid: "+kind+" is a custom resource, whose lists have no merge keys")
	delete(patch, "patch_type")
	require.Contains(t, call("k8s_patch_resource", patch), "~ spec.list: [{a: x}, {a: y}] -> [{a: z}]")
	require.Equal(t, `[{"a":"z"}]`, at(t, kind, ns, "one", "spec.list"))

	status := map[string]any{"resource_type": kind, "resource_name": "one", "patch": `{status: {ready: true}}`}
	require.Contains(t, call("k8s_patch_status", status), "+ status: {ready: true}")
	require.Equal(t, `{"ready":true}`, at(t, kind, ns, "one", "status"))

	p.Says = "decline"
	call("k8s_delete_resource", map[string]any{"resource_type": "crd", "resource_name": kind})
	require.Contains(t, p.Asked[len(p.Asked)-1], "- customresourcedefinitions.apiextensions.k8s.io \""+kind+"\"\n    - all "+kind+": 1\n")
}

func TestWriteToolsDoNotReachCustomTypesUnasked(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	group := oddType(t, reading(t), ns)
	requireDenied(t, applyManifest, map[string]any{"namespace": ns, "manifest": `{apiVersion: ` + group + `/v9, kind: Odd2, metadata: {name: one}}`})
	ownType := mcpkit.Rule{Groups: []string{group}, Resources: []string{"odd-things-2"}, Verbs: []string{"get", "create", "patch"}}
	p := &person{Says: "accept"}
	a := writing(t, granted(t, append([]mcpkit.Rule{ownType}, applyManifest.Rules...)...), p).Call("k8s_apply_manifest", map[string]any{
		"namespace": ns, "manifest": `{apiVersion: ` + group + `/v9, kind: Odd2, metadata: {name: one}, spec: {ok: true}}`})
	require.False(t, a.IsError, a.Text)
	require.Equal(t, "true", at(t, "odd-things-2."+group, ns, "one", "spec.ok"))
}
