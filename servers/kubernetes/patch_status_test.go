package kubernetes

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func TestPatchStatusIsGated(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIP: None, ports: [{port: 1}]}}`)
	requireGated(t, gatedWrite{
		Tool: patchStatus,
		Args: map[string]any{"resource_type": "svc", "resource_name": "web", "namespace": ns,
			"patch": `{status: {conditions: [{type: Tested, status: "True", reason: Probe, message: "", lastTransitionTime: 2020-01-01T00:00:00Z}]}}`},
		Shown: []string{`services "web"`, "+ status.conditions: [{lastTransitionTime: 2020-01-01T00:00:00Z, message: \"\", reason: Probe, status: \"True\", type: Tested}]",
			"Note: its controller writes the status"},
		State:   func() string { return at(t, "svc", ns, "web", "status.conditions") },
		Before:  "null",
		After:   `[{"lastTransitionTime":"2020-01-01T00:00:00Z","message":"","reason":"Probe","status":"True","type":"Tested"}]`,
		Writes:  []string{"patch services/status web"},
		Disturb: func() { poke(t, "svc", ns, "web", `{"metadata":{"labels":{"a":"b"}}}`) },
		Restore: func() {},
	})
}

func TestPatchStatusStaysInTheStatus(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, webDeployment+"\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: web}}")
	p := &person{Says: "accept"}
	s := writing(t, admin(t), p)
	for _, c := range []struct{ kind, patch, patchType, text string }{
		{"deploy", `{spec: {replicas: 3}, status: {}}`, "merge", "invalid: patch: spec is outside the status; use k8s_patch_resource"},
		{"deploy", `[{op: add, path: /spec/replicas, value: 3}]`, "json", `invalid: patch: path "/spec/replicas" is outside the status`},
		{"deploy", `[{op: add, path: /statusx, value: 3}]`, "json", `invalid: patch: path "/statusx" is outside the status`},
		{"cm", `{status: {a: b}}`, "merge", "invalid: configmaps have no status of their own"},
		{"deploy", `{status: {replicas: -1}}`, "merge", "status.replicas: Invalid value: -1"},
	} {
		a := s.Call("k8s_patch_status", map[string]any{"resource_type": c.kind, "resource_name": "web", "namespace": ns, "patch": c.patch, "patch_type": c.patchType})
		require.True(t, a.IsError, c.patch)
		require.Contains(t, a.Text, c.text)
	}
	require.Empty(t, p.Asked)
}

func TestPatchStatusDeniedAndNotFound(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, webDeployment)
	args := map[string]any{"resource_type": "deploy", "resource_name": "web", "namespace": ns, "patch": `{status: {collisionCount: 1}}`}
	requireDenied(t, patchStatus, args)
	args["resource_name"] = "wep"
	a := writing(t, admin(t), &person{}).Call("k8s_patch_status", args)
	require.Contains(t, a.Text, `not_found: no deployments.apps "wep"`)
}

func FuzzPatch(f *testing.F) {
	for _, seed := range []string{`{spec: {a: 1}}`, `[{op: add, path: /status/x, value: 1}]`, `{metadata: {labels: {a: null}}}`, `{metadata: null}`, `[]`, `{}`, "- 1", `{status: 12345678901234567890}`} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	on := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"uid": "u", "resourceVersion": "7"}}}
	f.Fuzz(func(t *testing.T, text string, steps bool) {
		kind, patchType := "merge", types.MergePatchType
		if steps {
			kind, patchType = "json", types.JSONPatchType
		}
		patch, err := parsePatch(text, kind)
		if err != nil {
			return
		}
		_ = statusAlone(patch)
		tied, err := bound(patchType, patch, on)
		require.NoError(t, err)
		if steps {
			var out []map[string]any
			require.NoError(t, json.Unmarshal(tied, &out))
			require.Equal(t, map[string]any{"op": "add", "path": "/metadata/uid", "value": "u"}, out[len(out)-1])
			return
		}
		var out struct{ Metadata map[string]any }
		require.NoError(t, json.Unmarshal(tied, &out))
		require.Equal(t, "7", out.Metadata["resourceVersion"])
	})
}
