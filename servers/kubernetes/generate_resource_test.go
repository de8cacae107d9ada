package kubernetes

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func skeletonOf(t testing.TB, s *mcptest.Session, args map[string]any) GenerateResourceOut {
	t.Helper()
	var out GenerateResourceOut
	s.Call("k8s_generate_resource", args).Into(t, &out)
	return out
}

// Types whose objects programs make and people do not: the API server asks of
// them what only their makers know.
var madeByPrograms = []string{
	"events", "events.events.k8s.io", "controllerrevisions.apps", "certificatesigningrequests.certificates.k8s.io", "ipaddresses.networking.k8s.io",
	"resourceslices.resource.k8s.io", "volumeattachments.storage.k8s.io", "apiservices.apiregistration.k8s.io",
}

// Every other type that can be made, made from nothing but a name, is one the
// API server takes.
func TestGenerateResourceOfEveryType(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	types, _, err := admin(t).allTypes(t.Context(), false)
	require.NoError(t, err)
	made := 0
	for _, kind := range types {
		if !kind.can("create") || !kind.can("get") || groupRank(kind.GroupVersion().String()) == addOnGroup || slices.Contains(madeByPrograms, kind.String()) {
			continue
		}
		args := map[string]any{"resource_type": kind.Resource + "." + kind.Version + "." + kind.Group, "resource_name": "web"}
		if kind.Resource == "customresourcedefinitions" {
			args["resource_name"] = "widgets.nowhere.example.com"
		}
		o := &unstructured.Unstructured{Object: skeletonOf(t, s, args).Manifest}
		require.Equal(t, kind.GroupVersion().String(), o.GetAPIVersion())
		require.NoError(t, accepted(t, ns, o), o.Object)
		made++
	}
	require.Greater(t, made, 40)
}

func TestGenerateResourceFillsInWhatIsGiven(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	out := skeletonOf(t, s, map[string]any{
		"resource_type": "deploy", "resource_name": "web", "namespace": ns, "resource_description": "the shop's front", "fields": map[string]any{
			"spec.replicas":                                                3,
			"spec.template.spec.containers[0].image":                       "toolcrib.test/busybox:1",
			".spec.template.spec.containers[1].image":                      "toolcrib.test/side:1",
			"spec.template.spec.containers[0].ports[1].containerPort":      8080,
			"spec.template.spec.containers[0].resources.limits":            map[string]any{"memory": "64Mi"},
			"spec.template.spec.nodeSelector['kubernetes.io/os']":          "linux",
			"spec.template.metadata.labels[\"app.kubernetes.io/part-of\"]": "shop",
			"spec.template.spec.volumes[0].configMap.name":                 "settings",
		},
	})
	require.Equal(t, mcpkit.Object{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": ns, "annotations": map[string]any{"kubernetes.io/description": "the shop's front"}},
		"spec": map[string]any{
			"replicas": 3.0, "selector": map[string]any{"matchLabels": map[string]any{"app": "web"}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": "web", "app.kubernetes.io/part-of": "shop"}},
				"spec": map[string]any{
					"containers": []any{
						map[string]any{"name": "main", "image": "toolcrib.test/busybox:1", "resources": map[string]any{"limits": map[string]any{"memory": "64Mi"}},
							"ports": []any{map[string]any{"containerPort": 1.0}, map[string]any{"containerPort": 8080.0}}},
						map[string]any{"name": "change-me", "image": "toolcrib.test/side:1"},
					},
					"nodeSelector": map[string]any{"kubernetes.io/os": "linux"},
					"volumes":      []any{map[string]any{"name": "change-me", "configMap": map[string]any{"name": "settings"}}},
				},
			},
		},
	}, out.Manifest)
	require.Equal(t, []string{
		"spec.template.spec.containers[0].ports[0].containerPort: integer",
		"spec.template.spec.containers[1].name: string",
		"spec.template.spec.volumes[0].name: string",
	}, out.ToFill)
	require.NoError(t, accepted(t, ns, &unstructured.Unstructured{Object: out.Manifest}))

	out = skeletonOf(t, s, map[string]any{"resource_type": "cm", "fields": map[string]any{"metadata.name": "settings", "data": map[string]any{"a": "b"}}})
	require.Equal(t, mcpkit.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings"}, "data": map[string]any{"a": "b"}}, out.Manifest)
	require.Empty(t, out.ToFill)
	out = skeletonOf(t, s, map[string]any{"resource_type": "pod"})
	require.Equal(t, []string{"spec.containers[0].image: string"}, out.ToFill)
}

func TestGenerateResourceOfCustomTypes(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	group := strictType(t, s, ns)
	out := skeletonOf(t, s, map[string]any{"resource_type": "widgets." + group, "fields": map[string]any{
		"spec.parts[0].count": 2, "spec.extra.any.thing[0]": "goes", "spec.ratio": 0.5,
	}})
	require.Equal(t, map[string]any{
		"size": 1.0, "color": "red", "ratio": 0.5, "parts": []any{map[string]any{"name": "change-me", "count": 2.0}},
		"extra": map[string]any{"any": map[string]any{"thing": []any{"goes"}}},
	}, out.Manifest["spec"])
	require.Equal(t, []string{"spec.color: string; one of red, green", "spec.parts[0].name: string", "spec.size: integer; at least 1; at most 100"}, out.ToFill)
	require.Equal(t, "2 CEL rules of Widget; k8s_explain_resource shows them", out.NotChecked)
	require.NoError(t, accepted(t, ns, &unstructured.Unstructured{Object: out.Manifest}))
}

func TestGenerateResourceRefusesWhatIsNotValid(t *testing.T) {
	t.Parallel()
	s := reading(t)
	for path, c := range map[string]struct {
		value any
		want  string
	}{
		"spec.replicas":                 {"three", "invalid: these fields do not make a valid Deployment:\n- spec.replicas: must be an integer, not a string: \"three\""},
		"spec.replica":                  {3, `not_found: Deployment.spec has no field "replica"; the nearest are replicas`},
		"metadata.name":                 {"Web_1", "invalid: these fields do not make a valid Deployment:\n- metadata.name: Invalid value: \"Web_1\""},
		"spec.selector.matchLabels.app": {"other", "invalid: these fields do not make a valid Deployment:\n- spec.template.metadata.labels: must match spec.selector"},
		"spec[0]":                       {1, "invalid: these fields do not make a valid Deployment:\n- spec: must be an object, not a list"},
		"[0].spec":                      {1, `invalid: "[0].spec" is not a path to a field: it names no field`},
		"spec.x[999]":                   {1, `invalid: "spec.x[999]" is not a path to a field: `},
		"":                              {1, `invalid: "" is not a path to a field: it names no field`},
		"spec.paused[1]":                {true, "invalid: these fields do not make a valid Deployment:\n- spec.paused: must be a boolean, not a list"},
	} {
		requireRefused(t, s, "k8s_generate_resource", map[string]any{"resource_type": "deploy", "fields": map[string]any{path: c.value}}, c.want)
	}
	requireRefused(t, s, "k8s_generate_resource", map[string]any{"resource_type": "deploymint"}, `not_found: the cluster has no resource type "deploymint"`)
}

func TestGenerateResourceNeverShowsASecret(t *testing.T) {
	t.Parallel()
	a := reading(t).Call("k8s_generate_resource", map[string]any{"resource_type": "secret", "fields": map[string]any{"stringData.color": "heliotrope"}})
	var out GenerateResourceOut
	a.Into(t, &out)
	require.NotContains(t, a.Text+string(a.JSON), "heliotrope")
	require.Equal(t, []string{"data, stringData: values of Secrets are never shown; put them in again"}, out.ToFill)
	b := reading(t).Call("k8s_generate_resource", map[string]any{"resource_type": "secret", "fields": map[string]any{"data.color": "helio trope"}})
	require.True(t, b.IsError)
	require.NotContains(t, b.Text, "helio")
}

func TestGenerateResourceIsCutToTheBudget(t *testing.T) {
	t.Parallel()
	a := reading(t).Call("k8s_generate_resource", map[string]any{"resource_type": "cm", "fields": map[string]any{"data.text": strings.Repeat("a line\n", 10_000)}})
	var out GenerateResourceOut
	a.Into(t, &out)
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "text: ")
	require.Contains(t, out.LeftOut, "lines shown; give fewer fields")
}

func TestGenerateResourceNeedsAnIdentityAndWritesNothing(t *testing.T) {
	t.Parallel()
	args := map[string]any{"resource_type": "cm"}
	own := serve(t, granted(t, generateResource.Rules...), mcpkit.AccessRead, nil)
	require.False(t, own.Call("k8s_generate_resource", args).IsError)
	nobody := serve(t, over(tokenKubeconfig(t, "not-a-token"), "kubernetes-mcp/test"), mcpkit.AccessRead, nil)
	requireRefused(t, nobody, "k8s_generate_resource", args, "denied: the cluster rejects this server's credentials")
}

func FuzzSetField(f *testing.F) {
	b := admin(f)
	kind, err := b.resolve(f.Context(), "deployments.apps")
	require.NoError(f, err)
	api, err := b.schemas(f.Context())
	require.NoError(f, err)
	s, err := api.of(f.Context(), kind)
	require.NoError(f, err)
	for _, seed := range []string{"spec.replicas", "spec.template.spec.containers[3].image", "metadata.labels['a.b']", "spec[0][1]", "spec.template.spec.containers[0][0]", "spec.template"} {
		f.Add(seed, "x")
	}
	f.Fuzz(func(t *testing.T, path, value string) {
		in := GenerateResourceIn{Fields: mcpkit.Object{path: value}}
		o, err := in.skeleton(kind)
		require.NoError(t, err)
		if setField(o, s, kind.Kind, path, value) != nil {
			return
		}
		fill := filling{}
		fill.required("", s, o, 0)
		fill.find("", s, o)
		problems, _ := checked(kind, s, o)
		_ = fill.blame(kind, problems)
	})
}
