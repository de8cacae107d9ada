package kubernetes

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func validated(t testing.TB, s *mcptest.Session, manifest string) ValidateManifestOut {
	t.Helper()
	var out ValidateManifestOut
	s.Call("k8s_validate_manifest", map[string]any{"manifest": manifest}).Into(t, &out)
	require.Equal(t, out.Valid, out.Problems == nil)
	return out
}

// accepted asks the API server itself, strictly and without keeping anything.
func accepted(t testing.TB, ns string, o *unstructured.Unstructured) error {
	t.Helper()
	b, c := admin(t), testClients(t)
	kind, err := b.resolveKind(t.Context(), o.GroupVersionKind())
	require.NoError(t, err)
	into := c.in(kind, "")
	if kind.Namespaced {
		into = c.in(kind, ns)
	}
	_, err = into.Create(t.Context(), o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	return err
}

// requireSameVerdict holds our verdict on a manifest, problems given as
// "path: text", against the API server's on the same.
func requireSameVerdict(t *testing.T, s *mcptest.Session, ns, manifest string, problems ...string) {
	t.Helper()
	out := validated(t, s, manifest)
	var got []string
	if out.Problems != nil {
		for _, row := range out.Problems.Rows {
			got = append(got, row[1]+": "+row[2])
		}
	}
	require.Equal(t, problems, got, manifest)
	var o unstructured.Unstructured
	require.NoError(t, yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(manifest)), 4096).Decode(&o.Object))
	if err := accepted(t, ns, &o); len(problems) == 0 {
		require.NoError(t, err, manifest)
	} else {
		require.Error(t, err, manifest)
	}
}

func TestValidateManifestFindsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	requireSameVerdict(t, s, ns, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: toolcrib.test/busybox:1
        imagePullPolicy: Always
        ports: [{containerPort: 80, name: http}]
        resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}
        livenessProbe: {httpGet: {port: http}, periodSeconds: 5}
        env: [{name: A, value: ""}, {name: B, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
`)
	requireSameVerdict(t, s, ns, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: Web_1, annotations: {a b: c}}
spec:
  replicas: "3"
  stratgy: {type: Recreate}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: wbe}}
    spec:
      containers:
      - image: x
        imagePullPolicy: Sometimes
        ports: {containerPort: 80}
        resources: {limits: {cpu: lots, memory: true}}
        livenessProbe: {httpGet: {port: true, path: 5}}
        args: [a, 5]
        terminationMessagePath:
`,
		`spec.replicas: must be an integer, not a string; take the quotes off`,
		`spec.stratgy: unknown field; did you mean strategy?`,
		`spec.template.spec.containers[0].name: is required`,
		`spec.template.spec.containers[0].args[1]: must be a string, not an integer; put quotes around it`,
		`spec.template.spec.containers[0].imagePullPolicy: should be one of [Always IfNotPresent Never]`,
		`spec.template.spec.containers[0].livenessProbe.httpGet.path: must be a string, not an integer; put quotes around it`,
		`spec.template.spec.containers[0].livenessProbe.httpGet.port: must be an integer or a string, not a boolean`,
		`spec.template.spec.containers[0].ports: must be a list of object, not an object; write it as a list, each item after a dash`,
		`spec.template.spec.containers[0].resources.limits.cpu: "lots" is not a quantity such as 500m or 2Gi`,
		`spec.template.spec.containers[0].resources.limits.memory: must be a quantity such as 500m or 2Gi, not a boolean`,
		`metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com'`,
		`metadata.annotations: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc'`,
		`spec.template.metadata.labels: must match spec.selector (app=web); they are "app=wbe"`,
	)
	requireSameVerdict(t, s, ns, `{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b}}`)
	for manifest, problem := range map[string]string{
		`{apiVersion: v1, kind: ConfigMap, metadata: {labels: {a: b}}}`:                                       `metadata.name: Required value: name or generateName is required`,
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: 5}}`:                                `data.a: must be a string, not an integer; put quotes around it`,
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, binaryData: {a: "%%"}}`:                       `binaryData.a: must be of type byte: "%%"`,
		`{apiVersion: v1, kind: Namespace, metadata: {name: a.b}}`:                                            `metadata.name: Invalid value: "a.b": must not contain dots`,
		`{apiVersion: batch/v1, kind: Job, metadata: {name: x}, spec: {}}`:                                    `spec.template: is required`,
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: "a:b"}, rules: [{}]}`: `rules[0].verbs: is required`,
		`{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: 99999999999}]}}`:          `spec.ports[0].port: Checked value must be of type integer with format int32 in spec.ports[0].port`,
		`{apiVersion: v1, kind: Event, metadata: {name: x}, involvedObject: {}, lastTimestamp: yesterday}`:    `lastTimestamp: must be of type date-time: "yesterday"`,
	} {
		requireSameVerdict(t, s, ns, manifest, problem)
	}
}

func TestValidateManifestOfCustomTypes(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	group := strictType(t, s, ns)
	widget := func(spec string) string {
		return `{apiVersion: ` + group + `/v1, kind: Widget, metadata: {name: w}, spec: ` + spec + `}`
	}
	requireSameVerdict(t, s, ns, widget(`{size: 3, color: red, code: abc, port: http, ratio: 0.5, when: "2026-01-02T15:04:05Z", maybe: null, mode: null,
		tags: [a, b], parts: [{name: x}], extra: {any: [1, {x: y}]}, limits: {a: 1}, either: {a: x}}`))
	require.Equal(t, []string{"1 Widget/w: 2 CEL rules of Widget; k8s_explain_resource shows them"}, validated(t, s, widget(`{size: 3, color: red}`)).NotChecked)
	requireSameVerdict(t, s, ns, widget(`{size: 0, color: blue, code: ab1, port: 1.5, ratio: 0, when: noon, code2: x, tags: [], parts: [{count: x}], limits: {a: b}, either: {}, extra: 5}`),
		`spec.code: should match '^[a-z]{3}$'`,
		`spec.code2: unknown field; did you mean code?`,
		`spec.color: should be one of [red green]`,
		`spec.either: must validate one and only one schema (oneOf). Found none valid`,
		`spec.either: spec.either.a is required`,
		`spec.extra: must be an object, not an integer`,
		`spec.limits.a: must be an integer, not a string: "b"`,
		`spec.parts[0].name: is required`,
		`spec.parts[0].count: must be an integer, not a string: "x"`,
		`spec.port: must be an integer or a string, not a number`,
		`spec.ratio: should be greater than 0`,
		`spec.size: should be greater than or equal to 1`,
		`spec.tags: should have at least 1 items`,
		`spec.when: must be of type date-time: "noon"`,
	)
	requireSameVerdict(t, s, ns, widget(`{size: 3, color: null, tags: [a, b, a]}`),
		`spec.color: must be a string, not null`,
		`spec.tags[2]: is the same as [0], and the list holds each only once`,
	)
	requireSameVerdict(t, s, ns, widget(`x`), `spec: must be an object, not a string: "x"`)
}

func TestValidateManifestTakesSeveralDocuments(t *testing.T) {
	t.Parallel()
	s := reading(t)
	out := validated(t, s, `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}}
- {apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: two}}
---
{apiVersion: v1, kind: Servce, metadata: {name: three}}
---
- four
---
{kind: 5, apiVersion: v1}
---
{kind: Pod, apiVersion: a/b/c}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gizmos.nowhere.example.com}
spec:
  group: nowhere.example.com
  scope: Namespaced
  names: {plural: gizmos, kind: Gizmo}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
{apiVersion: nowhere.example.com/v1, kind: Gizmo, metadata: {name: eight}}
`)
	require.Equal(t, 8, out.Objects)
	require.Equal(t, [][]string{
		{"2 Deployment/two", "kind", "the cluster has no Deployment in apiVersion apps/v1beta1; it has one in apps/v1"},
		{"3 Servce/three", "kind", `the cluster has no resource type "Servce"; the nearest are services`},
		{"4", "", "must be an object with apiVersion and kind, not a list"},
		{"5", "kind", "is required, as a string"},
		{"6 Pod", "apiVersion", "must be GROUP/VERSION, such as apps/v1, or v1"},
	}, out.Problems.Rows)
	require.Equal(t, []string{"8 Gizmo/eight: its type is only defined in this manifest"}, out.NotChecked)

	requireRefused(t, s, "k8s_validate_manifest", map[string]any{"manifest": " \n---\n"}, "invalid: manifest holds no object")
	requireRefused(t, s, "k8s_validate_manifest", map[string]any{"manifest": "a: [b"}, "invalid: manifest is not YAML: ")
	requireRefused(t, s, "k8s_validate_manifest", map[string]any{"manifest": "kind: a\nkind: b"}, `invalid: manifest, line 2: key "kind" is given twice`)
}

func TestValidateManifestNeverEchoesASecret(t *testing.T) {
	t.Parallel()
	a := reading(t).Call("k8s_validate_manifest", map[string]any{"manifest": `
{apiVersion: v1, kind: Secret, metadata: {name: db}, data: {color: "heliotrope!"}, stringData: {size: 5}, type: 7, immutable: "heliotrope", nope: heliotrope}`})
	require.Contains(t, a.Text, "data.color\tis not what the schema asks for: base64")
	require.Contains(t, a.Text, "stringData.size\tmust be a string, not an integer")
	require.Contains(t, a.Text, "nope\tunknown field")
	require.NotContains(t, a.Text+string(a.JSON), "heliotrope")
}

// What the cluster runs is valid: nothing is found where nothing is wrong.
func TestValidateManifestOfWhatIsThere(t *testing.T) {
	t.Parallel()
	b := admin(t)
	c := testClients(t)
	types, _, err := b.allTypes(t.Context(), false)
	require.NoError(t, err)
	api, err := b.schemas(t.Context())
	require.NoError(t, err)
	seen := 0
	for _, kind := range types {
		if !kind.can("list") || !kind.can("create") || groupRank(kind.GroupVersion().String()) == addOnGroup {
			continue
		}
		objects, err := c.dynamic.Resource(kind.GroupVersionResource).List(t.Context(), metav1.ListOptions{Limit: 100})
		require.NoError(t, err)
		s, err := api.of(t.Context(), kind)
		require.NoError(t, err)
		for _, o := range objects.Items {
			var plain map[string]any
			raw, err := json.Marshal(o.Object)
			require.NoError(t, err)
			require.NoError(t, yaml.Unmarshal(raw, &plain))
			problems, _ := checked(kind, s, o.Object)
			require.Empty(t, problems, "%s %s", kind, o.GetName())
			seen++
		}
	}
	require.Greater(t, seen, 100)
}

func TestValidateManifestIsCutToTheBudget(t *testing.T) {
	t.Parallel()
	a := reading(t).Call("k8s_validate_manifest", map[string]any{"manifest": strings.Repeat("---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: 5, b: 6, c: 7}}\n", 100)})
	var out ValidateManifestOut
	a.Into(t, &out)
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "of 300 rows shown; validate fewer documents at once")
}

func TestValidateManifestNeedsAnIdentityAndWritesNothing(t *testing.T) {
	t.Parallel()
	manifest := map[string]any{"manifest": "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}"}
	own := serve(t, granted(t, validateManifest.Rules...), mcpkit.AccessRead, nil)
	require.False(t, own.Call("k8s_validate_manifest", manifest).IsError)
	nobody := serve(t, over(tokenKubeconfig(t, "not-a-token"), "kubernetes-mcp/test"), mcpkit.AccessRead, nil)
	requireRefused(t, nobody, "k8s_validate_manifest", manifest, "denied: the cluster rejects this server's credentials")
}

func FuzzSchemaCheck(f *testing.F) {
	b := admin(f)
	t, err := b.resolve(f.Context(), "deployments.apps")
	require.NoError(f, err)
	api, err := b.schemas(f.Context())
	require.NoError(f, err)
	s, err := api.of(f.Context(), t)
	require.NoError(f, err)
	for _, seed := range []string{
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {selector: {matchLabels: {a: b}}, template: {spec: {containers: [{name: x}]}}}}`,
		`{metadata: 5, spec: [1, {a: null}]}`, `{metadata: {labels: {a: {}}}, spec: {selector: 5, template: {metadata: {labels: 5}}}}`, `a: &a [*a]`, `{spec: {replicas: 1e300}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(tt *testing.T, manifest string) {
		parsed, err := parseDocuments("manifest", manifest)
		if err != nil {
			return
		}
		for i, v := range flattened(parsed) {
			_ = labelOf(i, v)
			if o, ok := v.(map[string]any); ok {
				problems, _ := checked(t, s, o)
				require.LessOrEqual(tt, len(problems), maxProblems)
			}
			_, _, _ = identified(v)
		}
	})
}
