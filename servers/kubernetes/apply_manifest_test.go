package kubernetes

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestApplyManifestIsGated(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: old}, data: {a: "1", keep: me}}`)
	requireGated(t, gatedWrite{
		Tool: applyManifest,
		Args: map[string]any{"namespace": ns, "force_conflicts": true, "manifest": `
apiVersion: v1
kind: ConfigMap
metadata: {name: old}
data: {a: "2"}
---
` + webDeployment},
		Shown: []string{`2 objects: configmaps "old"`, `~ configmaps "old" in namespace "` + ns + `"`, `~ data.a: "1" -> "2"`,
			`+ deployments.apps "web" in namespace "` + ns + `"`, "+ spec.template.spec: {containers: [{command: [sleep"},
		State:   func() string { return at(t, "cm", ns, "old", "data") + at(t, "deploy", ns, "web", "metadata.name") },
		Before:  `{"a":"1","keep":"me"}gone`,
		After:   `{"a":"2","keep":"me"}"web"`,
		Writes:  []string{"patch configmaps old", "patch deployments web"},
		Disturb: func() { poke(t, "cm", ns, "old", `{"data":{"new":"x"}}`) },
		Restore: func() { poke(t, "cm", ns, "old", `{"data":{"new":null}}`) },
	})
	fields := live(t, "deploy", ns, "web").GetManagedFields()
	require.Equal(t, "toolcrib", fields[0].Manager)
	require.Equal(t, metav1.ManagedFieldsOperationApply, fields[0].Operation)
}

func TestApplyManifestChecksAllBeforeItWritesAny(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	p := &person{Says: "accept"}
	a := writing(t, admin(t), p).Call("k8s_apply_manifest", map[string]any{"namespace": ns, "manifest": `
{apiVersion: v1, kind: ConfigMap, metadata: {name: good}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: bad}, data: {x: 1}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: bad}, spec: {replicas: -1, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: bad}, spec: {containers: [{name: c, image: d, imagee: e}]}}`})
	require.True(t, a.IsError)
	require.Equal(t, strings.ReplaceAll(`invalid: 3 of 4 objects were refused, so none would be written:
- cannot apply configmaps "bad" in namespace "NS": failed to create typed patch object (NS/bad; /v1, Kind=ConfigMap): .data.x: expected string, got &value.valueUnstructured{Value:1}
- cannot apply deployments.apps "bad" in namespace "NS": Deployment.apps "bad" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0
- cannot apply pods "bad" in namespace "NS": failed to create typed patch object (NS/bad; /v1, Kind=Pod): .spec.containers[name="c"].imagee: field not declared in schema`, "NS", ns), a.Text)
	require.Empty(t, p.Asked)
	require.Nil(t, live(t, "cm", ns, "good"))
}

func TestApplyManifestMakesANamespaceAndFillsIt(t *testing.T) {
	t.Parallel()
	ns := namespace(t) + "-new"
	t.Cleanup(func() {
		_ = testClients(t).typed.CoreV1().Namespaces().Delete(context.Background(), ns, metav1.DeleteOptions{})
	})
	p := &person{Says: "accept"}
	a := writing(t, granted(t, applyManifest.Rules...), p).Call("k8s_apply_manifest", map[string]any{"namespace": ns, "manifest": `
{apiVersion: v1, kind: List, items: [
  {apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: b}},
  {apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt}, data: {mine: "1"}},
  {apiVersion: v1, kind: Namespace, metadata: {name: ` + ns + `}}]}`})
	require.False(t, a.IsError, a.Text)
	require.Contains(t, p.Asked[0], "+ namespaces \""+ns+"\"\n+ configmaps \"one\"")
	require.Contains(t, p.Asked[0], `its namespace is new, so it was checked in namespace "default"`)
	require.Contains(t, a.Text, "result: 3 of 3 objects changed")
	require.Equal(t, `{"a":"b"}`, at(t, "cm", ns, "one", "data"))
}

func TestApplyManifestReportsConflictsAndForcesWhenAsked(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, data: {a: "1", b: "1"}}`)
	p := &person{Says: "accept"}
	s := writing(t, admin(t), p)
	args := map[string]any{"namespace": ns, "manifest": `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, data: {a: "2", b: "2"}}`}
	a := s.Call("k8s_apply_manifest", args)
	require.True(t, a.IsError)
	require.Equal(t, `conflict: cannot apply configmaps "cm" in namespace "`+ns+`": these fields belong to other managers:
- data.a: conflict with "test"
- data.b: conflict with "test"
Leave them out of the manifest, or take them over with force_conflicts if the person wants that`, a.Text)
	require.Empty(t, p.Asked)
	args["force_conflicts"] = true
	require.False(t, s.Call("k8s_apply_manifest", args).IsError)
	require.Equal(t, `{"a":"2","b":"2"}`, at(t, "cm", ns, "cm", "data"))
}

func TestApplyManifestLeavesManagedObjectsAlone(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	for name, c := range map[string]struct{ metadata, owner string }{
		"helm":    {`labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: shop, meta.helm.sh/release-namespace: prod}`, "Helm (release prod/shop)"},
		"label":   {`labels: {app.kubernetes.io/managed-by: Helm}`, "Helm"},
		"argo":    {`annotations: {argocd.argoproj.io/tracking-id: "shop:/ConfigMap:prod/cm"}`, "Argo CD (application shop)"},
		"argold":  {`labels: {argocd.argoproj.io/instance: shop}`, "Argo CD (application shop)"},
		"flux":    {`labels: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system}`, "Flux (Kustomization flux-system/apps)"},
		"release": {`labels: {helm.toolkit.fluxcd.io/name: shop, helm.toolkit.fluxcd.io/namespace: prod, app.kubernetes.io/managed-by: Helm}`, "Flux (HelmRelease prod/shop)"},
	} {
		apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: `+name+`, `+c.metadata+`}, data: {a: "1"}}`)
		p := &person{Says: "accept"}
		s := writing(t, admin(t), p)
		args := map[string]any{"namespace": ns, "manifest": `{apiVersion: v1, kind: ConfigMap, metadata: {name: ` + name + `}, data: {b: "2"}}`}
		a := s.Call("k8s_apply_manifest", args)
		require.Equal(t, `denied: configmaps "`+name+`" in namespace "`+ns+`" is managed by `+c.owner+`. Make the change there, or set allow_managed if the person wants it here all the same`, a.Text)
		require.Empty(t, p.Asked)
		args["allow_managed"] = true
		require.False(t, s.Call("k8s_apply_manifest", args).IsError)
		require.Contains(t, p.Asked[0], "Note: it is managed by "+c.owner+", which may undo this")
		require.Equal(t, `{"a":"1","b":"2"}`, at(t, "cm", ns, name, "data"))
	}
}

func TestApplyManifestWarnsOfWhatFollows(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	poke(t, "ns", "", ns, `{"metadata":{"labels":{"pod-security.kubernetes.io/warn":"restricted"}}}`)
	apply(t, ns, strings.Replace(webDeployment, "replicas: 0", "replicas: 2", 1)+`
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: scaler}, spec: {minReplicas: 2, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}`)
	p := &person{Says: "decline"}
	writing(t, granted(t, applyManifest.Rules...), p).Call("k8s_apply_manifest", map[string]any{
		"namespace": ns, "force_conflicts": true, "manifest": strings.Replace(webDeployment, "sleep", "nap", 1)})
	require.Len(t, p.Asked, 1)
	for _, note := range []string{
		"~ spec.replicas: 2 -> 0", // as many as the autoscaler would have, which leaves them alone
		`~ spec.template.spec.containers[web].command: [sleep, "1000"] -> [nap, "1000"]`,
		"Note: its pod template changes, so its pods are replaced",
		"Note: no replica is left: whatever it serves stops",
		"Note: HorizontalPodAutoscaler scaler (2 to 5) sets its replicas and stands still while there are none",
		`Note: the API server warns: would violate PodSecurity "restricted:latest"`,
	} {
		require.Contains(t, p.Asked[0], note)
	}
}

func TestApplyManifestRefusesWhatItCannotTell(t *testing.T) {
	t.Parallel()
	s := writing(t, admin(t), &person{})
	cm := `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`
	for _, c := range []struct{ manifest, text string }{
		{"", "invalid: manifest holds no object"},
		{"# nothing\n---\n", "invalid: manifest holds no object"},
		{"hello", "invalid: manifest, document 1 is not an object with apiVersion and kind but hello"},
		{"[" + cm + "]", "invalid: manifest, document 1 is not an object"},
		{"{a: b: c}", "invalid: manifest is not YAML: "},
		{"kind: ConfigMap\nmetadata: {name: a}", "invalid: manifest, document 1 has no apiVersion"},
		{"apiVersion: v1\nmetadata: {name: a}", "invalid: manifest, document 1 has no kind"},
		{"{apiVersion: v1, kind: ConfigMap}", "invalid: manifest, document 1 (ConfigMap) has no metadata"},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {}}", "invalid: manifest, document 1 (ConfigMap) has no metadata.name"},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: 7}}", "invalid: manifest, document 1 (ConfigMap): metadata.name must be a string; put quotes around 7"},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {generateName: a-}}", "use k8s_create_resource"},
		{"{apiVersion: v1, kind: Deployment, metadata: {name: a}}", "not_found: the cluster has no Deployment in apiVersion v1; it has one in apps/v1"},
		{"{apiVersion: v1, kind: ConfigMapp, metadata: {name: a}}", `not_found: the cluster has no resource type "ConfigMapp"; the nearest are configmaps`},
		{cm + "\n---\n" + cm, `invalid: configmaps "a" in namespace "default" is there twice: manifest, document 1 and manifest, document 2`},
		{"a: 1\na: 2\n", `invalid: manifest, line 2: key "a" is given twice`},
		{`{"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "a": "2"}}`, `duplicate field "data.a"`},
		{strings.Repeat(cm+"\n---\n", 101), "too_large: manifest holds 101 objects; at most 100 go in one call"},
		{"a: '" + strings.Repeat("x", manifestBytes) + "'", "too_large: manifest has 2097157 bytes; at most 2097152 are read"},
		{"a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e]\n", "too_large: manifest unfolds into more than"},
		{"a: &a '" + strings.Repeat("x", 1<<20) + "'\nb: [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n", "too_large: manifest unfolds into more than"},
		{strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested more than 100 deep"},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: nowhere-at-all}}", `not_found: cannot apply configmaps "a" in namespace "nowhere-at-all": namespaces "nowhere-at-all" not found`},
		{`
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: gears.test.example}, spec: {group: test.example, scope: Cluster, names: {plural: gears, kind: Gear}, versions: []}}
---
{apiVersion: test.example/v1, kind: Gear, metadata: {name: g}}`, "is a Gear, which this manifest only defines: apply its CustomResourceDefinition first"},
	} {
		a := s.Call("k8s_apply_manifest", map[string]any{"manifest": c.manifest})
		require.True(t, a.IsError, c.manifest)
		require.Contains(t, a.Text, c.text)
	}
}

func TestApplyManifestDenied(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	requireDenied(t, applyManifest, map[string]any{"namespace": ns, "manifest": `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`})
	p := &person{Says: "accept"}
	a := writing(t, granted(t, applyManifest.Rules...), p).Call("k8s_apply_manifest", map[string]any{
		"namespace": ns, "manifest": `{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {k: v}}`})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, `:server may not get secrets "a"`)
	require.Empty(t, p.Asked)
}
