package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPatchResourceIsGated(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, webDeployment)
	requireGated(t, gatedWrite{
		Tool:  patchResource,
		Args:  map[string]any{"resource_type": "deploy", "resource_name": "web", "namespace": ns, "patch": `{spec: {replicas: 2, minReadySeconds: 7}}`},
		Shown: []string{`deployments.apps "web" in namespace "` + ns + `"`, "+ spec.minReadySeconds: 7", "~ spec.replicas: 0 -> 2"},
		State: func() string {
			return at(t, "deploy", ns, "web", "spec.minReadySeconds") + at(t, "deploy", ns, "web", "spec.replicas")
		},
		Before:  "null0",
		After:   "72",
		Writes:  []string{"patch deployments web"},
		Disturb: func() { poke(t, "deploy", ns, "web", `{"metadata":{"labels":{"a":"b"}}}`) },
		Restore: func() {},
	})
}

func TestPatchResourceTypes(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIP: None, ports: [{name: a, port: 1}, {name: b, port: 2}]}}`)
	p := &person{Says: "accept"}
	s := writing(t, admin(t), p)
	for _, c := range []struct{ kind, patch, shown, text string }{
		{"", `{"spec": {"ports": [{"port": 3, "name": "c"}]}}`, "+ spec.ports[c]: {", ""},
		{"merge", "spec:\n  ports:\n  - {port: 1, name: a}\n", "- spec.ports[b]: {", ""},
		{"json", `[{op: replace, path: /spec/ports/0/port, value: 9}]`, "~ spec.ports[a].port: 1 -> 9", ""},
		{"json", `[{op: test, path: /spec/ports/0/port, value: 1}]`, "", "invalid: the operations do not fit"},
		{"json", `{spec: {}}`, "", "patch_type json needs a list"},
		{"merge", `[{op: remove, path: /spec}]`, "", "JSON Patch operations need patch_type json"},
		{"json", `[{path: /spec}]`, "", "operation 1 needs op and path"},
		{"", `spec`, "", "patch must be an object"},
		{"", `{metadata: 1}`, "", "metadata must be an object"},
		{"", `{spec: {portz: []}}`, "", `unknown field "spec.portz"`},
		{"", `{spec: {ports: [{name: a, port: 0}], type: Odd}}`, "", "spec.type: Unsupported value"},
	} {
		p.Asked = nil
		args := map[string]any{"resource_type": "svc", "resource_name": "web", "namespace": ns, "patch": c.patch, "patch_type": c.kind}
		if c.kind == "" {
			delete(args, "patch_type")
		}
		a := s.Call("k8s_patch_resource", args)
		require.Contains(t, a.Text, c.text, c.patch)
		require.Equal(t, c.text != "", a.IsError, a.Text)
		if c.shown != "" {
			require.Len(t, p.Asked, 1, a.Text)
			require.Contains(t, p.Asked[0], c.shown)
		}
	}
	require.Equal(t, `9`, at(t, "svc", ns, "web", "spec.ports")[len(`[{"name":"a","port":`):][:1])
}

func TestPatchResourceNeverShowsASecret(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: correct-horse}}`)
	p := &person{Says: "accept"}
	a := writing(t, admin(t), p).Call("k8s_patch_resource", map[string]any{
		"resource_type": "secret", "resource_name": "s", "namespace": ns, "patch": "stringData: {a: battery-staple}"})
	require.Regexp(t, `~ data.a: redacted:[0-9a-f]{8} -> redacted:[0-9a-f]{8}`, p.Asked[0])
	for _, text := range []string{p.Asked[0], a.Text, string(a.JSON)} {
		for _, secret := range []string{"correct-horse", "battery-staple", "Y29ycmVjd", "YmF0dGVy"} {
			require.NotContains(t, text, secret)
		}
	}
	require.Equal(t, `{"a":"YmF0dGVyeS1zdGFwbGU="}`, at(t, "secret", ns, "s", "data"))
}

func TestPatchResourceDeniedAndNotFound(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, webDeployment)
	args := map[string]any{"resource_type": "deploy", "resource_name": "web", "namespace": ns, "patch": `{spec: {replicas: 2}}`}
	requireDenied(t, patchResource, args)
	args["resource_name"] = "wep"
	a := writing(t, admin(t), &person{}).Call("k8s_patch_resource", args)
	require.True(t, a.IsError)
	require.Contains(t, a.Text, `not_found: no deployments.apps "wep"`)
	require.Contains(t, a.Text, "web")
}
