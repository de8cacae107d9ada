package kubernetes

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	crds        = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	apiServices = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
)

// removed deletes a cluster-wide object at the end of the test.
func removed(t testing.TB, gvr schema.GroupVersionResource, name string) {
	t.Helper()
	c := testClients(t)
	t.Cleanup(func() {
		_ = c.dynamic.Resource(gvr).Delete(context.Background(), name, metav1.DeleteOptions{})
	})
}

// oddType makes a custom type with names, columns and a schema that test what
// is taken for granted, and returns its group once it is served.
func oddType(t testing.TB, s *mcptest.Session, ns string) string {
	t.Helper()
	group := ns + ".example.com"
	removed(t, crds, "odd-things-2."+group)
	apply(t, "", `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: odd-things-2.`+group+`}
spec:
  group: `+group+`
  scope: Namespaced
  names: {plural: odd-things-2, singular: odd-thing-2, kind: Odd2, listKind: Odd2Bag, shortNames: [po, "`+ns+`"], categories: [all]}
  versions:
  - {name: v1alpha1, served: true, storage: false, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
  - name: v9
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    additionalPrinterColumns:
    - {name: "Is It OK?", type: boolean, jsonPath: .spec.ok}
    - {name: Due, type: date, jsonPath: .spec.due}
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Hidden, type: string, priority: 5, jsonPath: ".spec.list[*].a"}
    - {name: Nothing, type: string, jsonPath: .spec.no.such.thing}
`)
	within(t, "the custom type is served", func() bool {
		return !s.Call("k8s_get_resources", map[string]any{"resource_type": "odd-things-2." + group, "all_namespaces": true}).IsError
	})
	return group
}

func TestGetResourcesListsOddCustomTypes(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	group := oddType(t, s, ns)
	apply(t, ns, `
{apiVersion: `+group+`/v9, kind: Odd2, metadata: {name: one}, spec: {ok: true, due: "2020-01-01T00:00:00Z", size: 9, list: [{a: x}, {a: z}]}}
---
{apiVersion: `+group+`/v9, kind: Odd2, metadata: {name: two}, spec: {ok: no such thing, due: "2024-01-01T00:00:00Z", size: 10}}
---
{apiVersion: `+group+`/v9, kind: Odd2, metadata: {name: three.with.dots}, spec: a string}
`)
	for _, name := range []string{ns, "odd-thing-2." + group, "odd2." + group, "odd-things-2.v9." + group, "ODD-THINGS-2." + group, "po." + group} {
		out := list(t, s, map[string]any{"resource_type": name, "namespace": ns})
		require.Equal(t, []string{"name", "is_it_ok?", "due", "size", "nothing"}, out.Columns, name)
		require.Equal(t, []string{"one", "three.with.dots", "two"}, firstCells(out), name)
	}
	args := map[string]any{"resource_type": "odd2." + group, "namespace": ns, "output": "wide", "sort_by": "due", "fields": []string{"reason", "images", ".spec.list[*].a"}}
	out := list(t, s, args)
	require.Equal(t, []string{"two", "one", "three.with.dots"}, firstCells(out), "dates are shown as ages; the youngest comes first, what has none last")
	require.Equal(t, []string{"name", "is_it_ok?", "due", "size", "hidden", "nothing", "reason", "images", ".spec.list[*].a"}, out.Columns)
	require.Equal(t, "x,z", out.Rows[1][8])
	args["sort_by"] = "-size"
	require.Equal(t, []string{"two", "one", "three.with.dots"}, firstCells(list(t, s, args)))
	args = map[string]any{"resource_type": "odd-things-2.v1alpha1." + group, "namespace": ns}
	require.Equal(t, []string{"name", "age"}, list(t, s, args).Columns, "a version asked for by name")
	pods := list(t, s, map[string]any{"resource_type": "po", "namespace": ns})
	require.Contains(t, pods.Columns, "restarts", "a custom type cannot take a built-in's short name")
}

// A group whose API server is gone takes nothing else with it.
func TestGetResourcesWithABrokenAggregatedAPI(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	group := ns + ".broken.example.com"
	brokenAPI(t, ns, group)
	var text string
	within(t, "the group is known to be broken", func() bool {
		text = s.Call("k8s_get_resources", map[string]any{"resource_type": "gizmos." + group}).Text
		return strings.Contains(text, "these API groups do not answer and may hold it: ") && strings.Contains(text, group+"/v1")
	})
	require.True(t, strings.HasPrefix(text, `not_found: the cluster has no resource type "gizmos.`), text)
	out := list(t, s, map[string]any{"resource_type": "namespaces", "resource_name": ns})
	require.Equal(t, []string{ns}, firstCells(out))
	requireRefused(t, s, "k8s_get_resources", map[string]any{"resource_type": "deploymint"}, `not_found: the cluster has no resource type "deploymint"; the nearest are deployments.apps`)
}

// brokenAPI registers an API group whose Service does not exist.
func brokenAPI(t testing.TB, ns, group string) {
	t.Helper()
	removed(t, apiServices, "v1."+group)
	_, err := testClients(t).dynamic.Resource(apiServices).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1." + group},
		"spec": map[string]any{
			"group": group, "version": "v1", "groupPriorityMinimum": int64(1000), "versionPriority": int64(10),
			"insecureSkipTLSVerify": true, "service": map[string]any{"namespace": ns, "name": "nothing"},
		},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func TestGetResourcesEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	b := unanswered(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := b.getResources(ctx, GetResourcesIn{ResourceType: "pods"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = over("/no/such/file", "kubernetes-mcp/test").getResources(t.Context(), GetResourcesIn{ResourceType: "pods"})
	var known *mcpkit.Error
	require.ErrorAs(t, err, &known)
	require.Equal(t, mcpkit.Unavailable, known.Kind)
}

func FuzzFindType(f *testing.F) {
	types, _, err := admin(f).allTypes(f.Context(), false)
	require.NoError(f, err)
	for _, seed := range []string{"pods", "Deployment.apps", "po", "deployments.v1.apps", ".apps", "v1.", "hpa.v2.autoscaling"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if found, ok := findType(types, name); ok {
			again, ok := findType(types, found.Resource+"."+found.Version+"."+found.Group)
			require.True(t, ok)
			require.Equal(t, found.GroupVersionResource, again.GroupVersionResource)
			return
		}
		require.ErrorContains(t, unknownType(name, types, nil), "not_found: the cluster has no resource type")
	})
}
