package kubernetes

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

const describedPod = `
apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec:
  nodeSelector: {no.such/node: "yes"}
  containers:
  - name: main
    image: toolcrib.test/busybox:1
    env: [{name: DB_PASSWORD, value: heliotrope}, {name: MODE, value: fast}]
`

func TestDescribeResource(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, describedPod)
	var a DescribeResourceOut
	within(t, "the scheduler has said something", func() bool {
		s.Call("k8s_describe_resource", map[string]any{"resource_type": "po", "resource_name": "web-0", "namespace": ns}).Into(t, &a)
		return a.Events != "<none>"
	})
	require.Contains(t, a.Description, "Name:  web-0\nNamespace:  "+ns+"\n")
	require.Contains(t, a.Description, "      MODE:  fast\n")
	require.Contains(t, a.Description, "      DB_PASSWORD:  redacted:")
	require.NotContains(t, a.Description, "heliotrope")
	require.NotContains(t, a.Description, "Events:")
	require.Contains(t, a.Events, "Warning  FailedScheduling")
	require.Empty(t, a.NotLookedAt)
	require.False(t, a.Truncated)
}

// kubectl's own text shows a ConfigMap as it is; what is a secret in it goes
// and the rest, spaces and all, stays.
func TestDescribeResourceRedactsConfigMaps(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: app}, data: {app.ini: "dsn = postgres://shop:heliotrope@db/orders\nwide =      value\n"}}`)
	var out DescribeResourceOut
	s.Call("k8s_describe_resource", map[string]any{"resource_type": "cm", "resource_name": "app", "namespace": ns}).Into(t, &out)
	require.Contains(t, out.Description, "wide =      value\n")
	require.Contains(t, out.Description, "postgres://redacted:")
	require.NotContains(t, out.Description, "heliotrope")
}

func TestDescribeResourceOfCustomTypes(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	group := oddType(t, s, ns)
	apply(t, ns, `{apiVersion: `+group+`/v9, kind: Odd2, metadata: {name: one}, spec: {ok: true, deep: {er: [1, {x: y}]}}}`)
	var out DescribeResourceOut
	s.Call("k8s_describe_resource", map[string]any{"resource_type": "odd2." + group, "resource_name": "one", "namespace": ns}).Into(t, &out)
	require.Contains(t, out.Description, "Kind:  Odd2\n")
	require.Contains(t, out.Description, "  Ok:  true")
	require.Equal(t, "<none>", out.Events)
}

func TestDescribeResourceNotFoundAndDenied(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, describedPod)
	args := map[string]any{"resource_type": "po", "resource_name": "web-1", "namespace": ns}
	requireRefused(t, s, "k8s_describe_resource", args, `not_found: no pods "web-1" in namespace "`+ns+`"; the nearest names are web-0`)
	args["resource_name"] = "web-0"

	own := serve(t, granted(t, describeResource.Rules...), mcpkit.AccessRead, nil)
	var out DescribeResourceOut
	own.Call("k8s_describe_resource", args).Into(t, &out)
	require.Empty(t, out.NotLookedAt)

	noEvents := serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil)
	noEvents.Call("k8s_describe_resource", args).Into(t, &out)
	require.Equal(t, []string{"/api/v1/namespaces/" + ns + "/events: denied"}, out.NotLookedAt)

	args["resource_type"] = "secrets"
	require.Contains(t, requireRefused(t, own, "k8s_describe_resource", args, "denied: system:serviceaccount:"), `:server may not get secrets "web-0"`)
}

func TestDescribeResourceKeepsTheEventsWhenCut(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	configMaps(t, ns, 1, func(int) map[string]string {
		return map[string]string{"log": strings.Repeat("a line\n", 10_000)}
	})
	a := s.Call("k8s_describe_resource", map[string]any{"resource_type": "cm", "resource_name": "cm-00000", "namespace": ns})
	var out DescribeResourceOut
	a.Into(t, &out)
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "lines shown; read single fields with k8s_get_resource_yaml")
	require.Equal(t, "<none>", out.Events)
}

// A describer takes no context; its requests end with the call all the same.
func TestDescribeResourceEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, describedPod)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	b := over(proxied(t, func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			cancel()
			<-r.Context().Done()
			close(ended)
		}
	}), "kubernetes-mcp/test")
	_, err := b.describeResource(ctx, DescribeResourceIn{Ref{"pods", "web-0", ns}})
	<-ended
	require.ErrorIs(t, err, context.Canceled)
}
