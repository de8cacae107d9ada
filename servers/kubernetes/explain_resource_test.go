package kubernetes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// strictType makes a custom type whose schema uses what schemas can say, and
// returns its group once its schema is published.
func strictType(t testing.TB, s *mcptest.Session, ns string) string {
	t.Helper()
	group := ns + ".example.com"
	removed(t, crds, "widgets."+group)
	apply(t, "", `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.`+group+`}
spec:
  group: `+group+`
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [size, color]
            x-kubernetes-validations: [{rule: "self.size < 10 || self.color == 'red'", message: "only red ones are large"}, {rule: "self.size != 7"}]
            properties:
              size: {type: integer, minimum: 1, maximum: 100, description: "How large it is. In metres."}
              color: {type: string, enum: [red, green]}
              code: {type: string, pattern: "^[a-z]{3}$", minLength: 3, maxLength: 3}
              port: {x-kubernetes-int-or-string: true}
              ratio: {type: number, minimum: 0, exclusiveMinimum: true}
              when: {type: string, format: date-time}
              mode: {type: string, default: fast}
              maybe: {type: string, nullable: true}
              tags: {type: array, minItems: 1, maxItems: 3, x-kubernetes-list-type: set, items: {type: string}}
              parts: {type: array, items: {type: object, required: [name], properties: {name: {type: string}, count: {type: integer}}}}
              extra: {type: object, x-kubernetes-preserve-unknown-fields: true}
              limits: {type: object, additionalProperties: {type: integer}}
              either:
                type: object
                properties: {a: {type: string}, b: {type: string}}
                oneOf: [{required: [a]}, {required: [b]}]
`)
	within(t, "the custom type's schema is published", func() bool {
		return !s.Call("k8s_explain_resource", map[string]any{"resource_type": "widgets." + group}).IsError
	})
	return group
}

func explain(t testing.TB, s *mcptest.Session, args map[string]any) ExplainResourceOut {
	t.Helper()
	var out ExplainResourceOut
	s.Call("k8s_explain_resource", args).Into(t, &out)
	return out
}

func TestExplainResource(t *testing.T) {
	t.Parallel()
	s := reading(t)
	out := explain(t, s, map[string]any{"resource_type": "deploy"})
	require.Equal(t, "Deployment", out.Kind)
	require.Equal(t, "apps/v1", out.APIVersion)
	require.Equal(t, []string{"field", "type", "description"}, out.Fields.Columns)
	require.Equal(t, []string{"spec", "object", "Specification of the desired behavior of the Deployment"}, out.Fields.Rows[0])
	require.Contains(t, out.Fields.Rows, []string{"  selector", "object; required", "Label selector for pods"})

	for _, args := range []map[string]any{
		{"resource_type": "deployments", "path": "spec.strategy", "depth": 3},
		{"resource_type": "deployments.apps", "path": ".spec['strategy']", "depth": 2},
	} {
		out = explain(t, s, args)
		require.Equal(t, "object", out.Type)
		require.Equal(t, [][]string{
			{"rollingUpdate", "object"}, {"  maxSurge", "integer or string"}, {"  maxUnavailable", "integer or string"},
			{"type", "string; one of Recreate, RollingUpdate"},
		}, out.Fields.Rows)
	}
	out = explain(t, s, map[string]any{"resource_type": "pods.spec.containers.imagePullPolicy"})
	require.Equal(t, "string; one of Always, IfNotPresent, Never", out.Type)
	require.Equal(t, "spec.containers.imagePullPolicy", out.Path)
	require.Contains(t, out.Description, "Defaults to Always if :latest tag is specified")
	require.Nil(t, out.Fields)
	out = explain(t, s, map[string]any{"resource_type": "pod", "path": "spec.containers[0].resources.limits.cpu"})
	require.Equal(t, "quantity", out.Type)
	out = explain(t, s, map[string]any{"resource_type": "crd", "path": "spec.versions.schema", "depth": 10})
	require.Contains(t, out.Fields.Rows, []string{"  allOf", "list of object; as openAPIV3Schema"})
}

func TestExplainResourceOfCustomTypes(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	group := strictType(t, s, ns)
	out := explain(t, s, map[string]any{"resource_type": "widgets." + group, "path": "spec"})
	require.Equal(t, group+"/v1", out.APIVersion)
	require.Equal(t, []string{"only red ones are large", "self.size != 7"}, out.Rules)
	rows := map[string]string{}
	for _, row := range out.Fields.Rows {
		rows[row[0]] = row[1]
	}
	require.Equal(t, map[string]string{
		"size":   "integer; required; at least 1; at most 100",
		"color":  "string; required; one of red, green",
		"code":   "string; at least 3 characters; at most 3 characters; matching ^[a-z]{3}$",
		"port":   "integer or string",
		"ratio":  "number; at least 0 exclusive",
		"when":   "time",
		"mode":   "string; default fast",
		"maybe":  "string",
		"tags":   "list of string; at least 1 items; at most 3 items",
		"parts":  "list of object",
		"extra":  "object",
		"limits": "map of integer",
		"either": "object",
	}, rows)
	require.Contains(t, out.Fields.Rows, []string{"size", "integer; required; at least 1; at most 100", "How large it is"})
	requireRefused(t, s, "k8s_explain_resource", map[string]any{"resource_type": "widgets." + group, "path": "spec.extra.any"},
		"not_found: Widget.spec.extra takes any fields; its schema names none")

	open := oddType(t, s, namespace(t))
	within(t, "the schema is published", func() bool {
		a := s.Call("k8s_explain_resource", map[string]any{"resource_type": "odd2." + open, "path": "spec.anything"})
		return strings.HasPrefix(a.Text, `not_found: Odd2 has no field "spec"`) || strings.HasPrefix(a.Text, "not_found: Odd2 takes any fields")
	})
}

func TestExplainResourceNamesTheNearestField(t *testing.T) {
	t.Parallel()
	s := reading(t)
	for path, want := range map[string]string{
		"spec.template.spec.contianers": `not_found: Deployment.spec.template.spec has no field "contianers"; the nearest are containers`,
		"spec.replicas.x":               "not_found: Deployment.spec.replicas is a integer and has no fields",
		"zzzzzzzz":                      `not_found: Deployment has no field "zzzzzzzz"; it has apiVersion, kind, metadata, spec, status`,
		"spec..x":                       `invalid: "spec..x" is not a path to a field: a key is empty`,
		"spec.x[":                       `invalid: "spec.x[" is not a path to a field: a bracket is not closed`,
		"spec.x[-1]":                    `invalid: "spec.x[-1]" is not a path to a field: "-1" is not an index from 0 to 99`,
		"spec.":                         `invalid: "spec." is not a path to a field: it ends in a dot`,
	} {
		requireRefused(t, s, "k8s_explain_resource", map[string]any{"resource_type": "deploy", "path": path}, want)
	}
	requireRefused(t, s, "k8s_explain_resource", map[string]any{"resource_type": "deploymint"}, `not_found: the cluster has no resource type "deploymint"; the nearest are deployments.apps`)
}

func TestExplainResourceIsCutToTheBudget(t *testing.T) {
	t.Parallel()
	a := reading(t).Call("k8s_explain_resource", map[string]any{"resource_type": "pod", "depth": 10})
	var out ExplainResourceOut
	a.Into(t, &out)
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "rows shown; give the path of the part you need, or less depth")
}

// Schemas need no grant, only an identity.
func TestExplainResourceNeedsAnIdentity(t *testing.T) {
	t.Parallel()
	own := serve(t, granted(t, explainResource.Rules...), mcpkit.AccessRead, nil)
	require.Equal(t, "integer", explain(t, own, map[string]any{"resource_type": "deploy", "path": "spec.replicas"}).Type)
	nobody := serve(t, over(tokenKubeconfig(t, "not-a-token"), "kubernetes-mcp/test"), mcpkit.AccessRead, nil)
	requireRefused(t, nobody, "k8s_explain_resource", map[string]any{"resource_type": "deploy"}, "denied: the cluster rejects this server's credentials")
}

func FuzzFieldPath(f *testing.F) {
	for _, seed := range []string{"spec.containers[0].image", "metadata.labels['a.b/c']", `a\.b`, "[]", "a[*]", "['']", ".", "$.a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		steps, err := parseFieldPath(path)
		if err != nil {
			require.ErrorContains(t, err, "invalid: ")
			return
		}
		way := ""
		for _, s := range steps {
			if s.item {
				require.Less(t, s.index, maxListIndex+1)
				continue
			}
			require.NotEmpty(t, s.key)
			way = joined(way, s.key)
		}
	})
}
