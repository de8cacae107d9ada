package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestScaleIsGated(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, webDeployment)
	within(t, "the deployment has a status", func() bool { return at(t, "deploy", ns, "web", "status.observedGeneration") == "1" })
	args := map[string]any{"name": "web", "namespace": ns, "replicas": 2}
	requireGated(t, gatedWrite{
		Tool: scale, Args: args,
		Shown:   []string{`deployments.apps "web" in namespace "` + ns + `"`, "spec.replicas: 0 -> 2"},
		State:   func() string { return at(t, "deploy", ns, "web", "spec.replicas") },
		Before:  "0",
		After:   "2",
		Disturb: func() { poke(t, "deploy", ns, "web", `{"spec":{"replicas":1}}`) },
		Restore: func() { poke(t, "deploy", ns, "web", `{"spec":{"replicas":0}}`) },
	})
	requireDenied(t, scale, args)
	args["name"] = "wep"
	a := writing(t, admin(t), &person{}).Call("k8s_scale", args)
	require.True(t, a.IsError)
	require.Contains(t, a.Text, `not_found: no deployments.apps "wep" in namespace "`+ns+`"; the nearest names are web`)
}

func TestScaleSaysWhoElseSetsReplicasAndWhatStops(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, webDeployment)
	apply(t, ns, `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: auto}, spec: {minReplicas: 1, maxReplicas: 4, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}`)
	poke(t, "deploy", ns, "web", `{"spec":{"replicas":1}}`)
	within(t, "web runs", func() bool { return at(t, "deploy", ns, "web", "status.readyReplicas") == "1" })
	p := &person{Says: "decline"}
	s := writing(t, granted(t, scale.Rules...), p)
	s.Call("k8s_scale", map[string]any{"name": "web", "namespace": ns, "replicas": "0", "resource_type": "deploy"})
	require.Equal(t, []string{`Scale a workload: deployments.apps "web" in namespace "` + ns + `"

~ spec.replicas: 1 -> 0

Note: no replica is left: whatever it serves stops
Note: HorizontalPodAutoscaler auto (1 to 4) sets its replicas and stands still while there are none
Now: pods: 1, ready: 1

Accept to make this change, decline to leave everything as it is.`}, p.Asked)
	s.Call("k8s_scale", map[string]any{"name": "web", "namespace": ns, "replicas": 9})
	require.Equal(t, []string{"HorizontalPodAutoscaler auto (1 to 4) sets its replicas and will overrule this"}, noteLines(p.Asked[1], ns))
}

func TestScaleOfACustomResource(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	group := ns + ".example.com"
	apply(t, "", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: shops.`+group+`}, spec: {group: `+group+`, scope: Namespaced,
	  names: {plural: shops, kind: Shop}, versions: [{name: v1, served: true, storage: true,
	  subresources: {status: {}, scale: {specReplicasPath: .spec.tills, statusReplicasPath: .status.replicas}},
	  schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}`)
	removed(t, crds, "shops."+group)
	within(t, "the type is served", func() bool {
		_, err := admin(t).resolve(t.Context(), "shops."+group)
		return err == nil
	})
	apply(t, ns, `{apiVersion: `+group+`/v1, kind: Shop, metadata: {name: corner}, spec: {tills: 1}}`)
	operator := []mcpkit.Rule{
		{Groups: []string{group}, Resources: []string{"shops"}, Verbs: []string{"get", "list"}},
		{Groups: []string{group}, Resources: []string{"shops/scale"}, Verbs: []string{"get", "patch"}},
	}
	p := &person{Says: "accept"}
	a := writing(t, granted(t, append(operator, scale.Rules...)...), p).Call("k8s_scale",
		map[string]any{"resource_type": "shops." + group, "name": "corner", "namespace": ns, "replicas": 3})
	require.False(t, a.IsError, a.Text)
	require.Contains(t, p.Asked[0], "~ spec.replicas: 1 -> 3")
	require.Equal(t, "3", at(t, "shops."+group, ns, "corner", "spec.tills"))
}

func TestScaleOfWhatHasNoScale(t *testing.T) {
	t.Parallel()
	ns := configMap(t)
	s := writing(t, admin(t), &person{Says: "accept"})
	a := s.Call("k8s_scale", map[string]any{"resource_type": "cm", "name": "cm", "namespace": ns, "replicas": 3})
	require.Contains(t, a.Text, "invalid: configmaps have no scale")
	a = s.Call("k8s_scale", map[string]any{"name": "web", "namespace": ns, "replicas": -1})
	require.Contains(t, a.Text, `invalid: argument "replicas"`)
	require.Contains(t, a.Text, "at least 0")
	a = s.Call("k8s_scale", map[string]any{"name": "web", "namespace": ns})
	require.Contains(t, a.Text, `invalid: argument "replicas" is required`)
}

func TestScaleIsNotDoneOnAnotherNumberThanPlanned(t *testing.T) {
	t.Parallel()
	b, ns := admin(t), namespace(t)
	apply(t, ns, webDeployment)
	plan, err := b.planScale(t.Context(), ScaleIn{Name: "web", Namespace: ns, Replicas: 2})
	require.NoError(t, err)
	poke(t, "deploy", ns, "web", `{"spec":{"replicas":1}}`)
	_, err = b.carryOut(t.Context(), plan)
	require.ErrorContains(t, err, "changed while this was being done")
	require.Equal(t, "1", at(t, "deploy", ns, "web", "spec.replicas"))
}
