package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

func TestDeleteResourceIsGated(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}}`)
	requireGated(t, gatedWrite{
		Tool:    deleteResource,
		Args:    map[string]any{"resource_type": "cm", "resource_name": "cm", "namespace": ns},
		Shown:   []string{`- configmaps "cm" in namespace "` + ns + `"`},
		State:   func() string { return at(t, "cm", ns, "cm", "metadata.name") },
		Before:  `"cm"`,
		After:   "gone",
		Writes:  []string{"delete configmaps cm"},
		Disturb: func() { poke(t, "cm", ns, "cm", `{"data":{"late":"news"}}`) },
		Restore: func() {},
		Again:   `not_found: no configmaps "cm"`,
	})
}

func TestDeleteResourceDenied(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}}`)
	requireDenied(t, deleteResource, map[string]any{"resource_type": "cm", "resource_name": "cm", "namespace": ns})
}

func TestDeleteResourceSparesTheObjectThatTookItsPlace(t *testing.T) {
	t.Parallel()
	b, ns := admin(t), namespace(t)
	one := `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}}`
	apply(t, ns, one)
	plan, err := b.planDelete(t.Context(), DeleteResourceIn{Ref: Ref{ResourceType: "cm", ResourceName: "cm", Namespace: ns}})
	require.NoError(t, err)
	require.NoError(t, testClients(t).typed.CoreV1().ConfigMaps(ns).Delete(t.Context(), "cm", metav1.DeleteOptions{}))
	apply(t, ns, one)
	_, err = b.carryOut(t.Context(), plan)
	require.ErrorContains(t, err, "conflict: ")
	require.NotNil(t, live(t, "cm", ns, "cm"))
}

func TestDeleteResourceTakesDependentsAlong(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, strings.Replace(webDeployment, "replicas: 0", "replicas: 2", 1))
	pods := testClients(t).typed.CoreV1().Pods(ns)
	var names []string
	within(t, "two pods", func() bool {
		list, err := pods.List(t.Context(), metav1.ListOptions{})
		names = nil
		for _, p := range list.Items {
			names = append(names, p.Name)
		}
		return err == nil && len(names) == 2
	})
	p := &person{Says: "decline"}
	s := writing(t, granted(t, deleteResource.Rules...), p)
	args := map[string]any{"resource_type": "deploy", "resource_name": "web", "namespace": ns, "propagation_policy": "orphan"}
	s.Call("k8s_delete_resource", args)
	require.Contains(t, p.Asked[0], "Note: left without an owner: replicasets.apps: web-")
	require.NotContains(t, p.Asked[0], "pods")

	p.Says = "accept"
	delete(args, "propagation_policy")
	args["grace_period_seconds"] = 0
	a := s.Call("k8s_delete_resource", args)
	require.False(t, a.IsError, a.Text)
	for _, name := range names {
		require.Contains(t, p.Asked[1], name)
		require.Contains(t, a.Text, name)
	}
	require.Regexp(t, `    - replicasets.apps: web-[a-z0-9]+\n`, p.Asked[1])
	require.Regexp(t, `Note: types not looked at for what goes with it: .*secrets|Note: types not looked at for what goes with it: .* and \d+ more`, p.Asked[1])
	require.Contains(t, p.Asked[1], "Note: a grace period of 0 kills at once")
	within(t, "pods gone", func() bool {
		list, err := pods.List(t.Context(), metav1.ListOptions{})
		return err == nil && len(list.Items) == 0
	})
}

func TestDeleteResourceCountsWhatIsInANamespace(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	var many []string
	for i := range 25 {
		many = append(many, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: cm%d}}", i))
	}
	apply(t, ns, strings.Join(many, "\n---\n")+"\n---\n"+webDeployment+`
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}`)
	within(t, "the replica set", func() bool {
		list, err := testClients(t).typed.AppsV1().ReplicaSets(ns).List(t.Context(), metav1.ListOptions{})
		return err == nil && len(list.Items) == 1
	})
	p := &person{Says: "decline"}
	writing(t, granted(t, deleteResource.Rules...), p).Call("k8s_delete_resource", map[string]any{"resource_type": "ns", "resource_name": ns})
	require.Contains(t, p.Asked[0], strings.ReplaceAll(`- namespaces "NS"
    - configmaps: more than 20
    - deployments.apps: 1
    - persistentvolumeclaims: 1
    - replicasets.apps: 1

Note: its volume claims go too, and with them the data on volumes whose reclaim policy is Delete`, "NS", ns))
	require.NotNil(t, live(t, "ns", "", ns))
}

func TestDeleteResourceSaysWhatBecomesOfData(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	volume := ns + "-volume"
	apply(t, ns, `
{apiVersion: v1, kind: PersistentVolume, metadata: {name: `+volume+`}, spec: {storageClassName: none, persistentVolumeReclaimPolicy: Delete, capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /nowhere}, claimRef: {namespace: `+ns+`, name: data}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {storageClassName: none, volumeName: `+volume+`, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}`)
	t.Cleanup(func() {
		_ = testClients(t).typed.CoreV1().PersistentVolumes().Delete(context.Background(), volume, metav1.DeleteOptions{})
	})
	p := &person{Says: "decline"}
	s := writing(t, granted(t, deleteResource.Rules...), p)
	claim := map[string]any{"resource_type": "pvc", "resource_name": "data", "namespace": ns}
	s.Call("k8s_delete_resource", claim)
	require.Contains(t, p.Asked[0], "Note: volume "+volume+" and the data on it are deleted too (reclaim policy Delete)")
	require.Contains(t, p.Asked[0], "Note: it stays until its finalizers are done: kubernetes.io/pvc-protection")
	poke(t, "pv", "", volume, `{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`)
	s.Call("k8s_delete_resource", claim)
	require.Contains(t, p.Asked[1], "Note: the data on volume "+volume+" is kept (reclaim policy Retain)")
}

func TestDeleteResourceThatIsOnItsWayOutAsksNobody(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm, finalizers: [test.example/hold]}}`)
	t.Cleanup(func() {
		_, _ = testClients(t).typed.CoreV1().ConfigMaps(ns).Patch(context.Background(), "cm", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	})
	p := &person{Says: "accept"}
	s := writing(t, admin(t), p)
	args := map[string]any{"resource_type": "cm", "resource_name": "cm", "namespace": ns}
	for range 2 {
		a := s.Call("k8s_delete_resource", args)
		require.False(t, a.IsError, a.Text)
		require.Contains(t, a.Text, "deleting, waits for finalizers test.example/hold")
	}
	require.Len(t, p.Asked, 1)
}

func TestGoneWithTakesOnlyWhatLosesItsLastOwner(t *testing.T) {
	t.Parallel()
	family := map[types.UID]relative{
		"rs":     {kind: "rs", name: "rs", owners: []types.UID{"deploy"}},
		"pod":    {kind: "pod", name: "pod", owners: []types.UID{"rs"}},
		"shared": {kind: "cm", name: "shared", owners: []types.UID{"deploy", "other"}},
		"both":   {kind: "cm", name: "both", owners: []types.UID{"deploy", "rs"}},
		"alien":  {kind: "pod", name: "alien", owners: []types.UID{"other"}},
		"self":   {kind: "x", name: "self", owners: []types.UID{"self"}},
	}
	names := func(children bool) []string {
		var out []string
		for _, r := range goneWith(family, "deploy", children) {
			out = append(out, r.name)
		}
		return out
	}
	require.ElementsMatch(t, []string{"rs", "pod", "both"}, names(false))
	require.Equal(t, []string{"rs"}, names(true))
}

// A plan must hold while somebody else adds and removes types.
func TestATypeThatIsGoneIsNotSaidToBeUnseen(t *testing.T) {
	t.Parallel()
	failing := map[string]error{
		"gone":   apierrors.NewNotFound(schema.GroupResource{Resource: "gone"}, ""),
		"broken": apierrors.NewInternalError(errors.New("etcd is away")),
	}
	s := &search{types: []resourceType{
		{GroupVersionResource: schema.GroupVersionResource{Resource: "gone"}},
		{GroupVersionResource: schema.GroupVersionResource{Resource: "broken"}},
		{GroupVersionResource: schema.GroupVersionResource{Resource: "whole"}},
	}}
	require.NoError(t, s.each(t.Context(), func(_ context.Context, r resourceType) error { return failing[r.Resource] }))
	require.Equal(t, []string{"types not looked at for what goes with it: broken"}, s.notLooked())
}

func TestRoughly(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 20: "20", 21: "more than 20", 30: "more than 20", 31: "more than 30", 100: "more than 90", 101: "more than 100", 250: "more than 200", 5000: "more than 4000", 5001: "more than 5000"} {
		require.Equal(t, want, roughly(n), n)
	}
}
