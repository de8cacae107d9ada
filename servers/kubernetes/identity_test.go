package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/deputy"
)

// acting is a server that may act as callers, and may do nothing itself.
func acting(t testing.TB, callers mcpkit.Callers) (*Backend, *deputy.Deputy) {
	t.Helper()
	d := lockstest.Acting(t, cluster(), callers)
	b := over(d.Kubeconfig, "kubernetes-mcp/acting")
	b.cfg.Identity = mcpkit.IdentityCaller
	return b, d
}

// serveAs returns a session of caller with a server over b.
func serveAs(t testing.TB, b *Backend, access mcpkit.Access, caller mcpkit.Caller) *mcptest.Session {
	t.Helper()
	ts := toolset(b)
	smuggled := http.Header{"Impersonate-User": {"system:admin"}, "Impersonate-Group": {"system:masters"}, "Impersonate-Extra-Toolcrib.dev%2fagent": {"somebody"}}
	return mcptest.ConnectAs(t, ts, mcpkit.Options{Name: "kubernetes-mcp", Access: access, Gate: mcpkit.GateOff, CallTimeout: patience}, caller, smuggled)
}

// What moves between two answers to one question.
var (
	moving = regexp.MustCompile(`\b(\d+(ms|[smhd]))+\b|\d{4}-\d\d-\d\dT[0-9:.]+Z|\b\d+\b`)
	asker  = regexp.MustCompile(`this server|the caller`)
)

func settled(a mcptest.Answer) string {
	return asker.ReplaceAllString(moving.ReplaceAllString(a.Text, "#"), "X")
}

// Somebody who reads one namespace and somebody who may do everything are
// answered by one server as their own kubeconfigs would be.
func TestEveryReadToolAnswersAsItsCallersOwnKubeconfigWould(t *testing.T) {
	openShop(t)
	const ada, grace = "identity-ada@example.com", "identity-grace@example.com"
	deputy.Grant(t, cluster(), "shop", "view", "Group", "identity-viewers")
	deputy.Grant(t, cluster(), "", "cluster-admin", "User", grace)
	b, d := acting(t, mcpkit.Callers{Users: []string{ada, grace}, Groups: []string{"identity-viewers"}})
	for _, c := range []struct {
		mcpkit.Caller
		mayDelete string
	}{
		{mcpkit.Caller{Name: ada, Groups: []string{"identity-viewers"}}, "no"},
		{mcpkit.Caller{Name: grace}, "yes"},
	} {
		path, err := cluster().UserKubeconfig(t.Context(), c.Name, c.Groups...)
		require.NoError(t, err)
		own := serve(t, over(path, "own"), mcpkit.AccessRead, nil)
		acted := serveAs(t, b, mcpkit.AccessRead, c.Caller)
		for tool, args := range shopReads {
			t.Run(c.Name+"/"+tool, func(t *testing.T) {
				var want, got mcptest.Answer
				within(t, "the same answer", func() bool {
					want, got = own.Call(tool, args), acted.Call(tool, args)
					return want.IsError == got.IsError && settled(want) == settled(got)
				})
				if tool == "k8s_check_access" {
					require.Contains(t, got.Text, c.mayDelete+": the caller (user "+c.Name+")")
				}
			})
		}
	}
	for _, e := range d.RequireActedAs(t, ada, grace) {
		require.False(t, writes(e), "%s %s", e.Verb, e.RequestURI)
	}
}

func TestCallersSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	ns := box(t)
	apply(t, ns, `{apiVersion: v1, kind: Secret, metadata: {name: key}, stringData: {password: hunter2}}`)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: blue}}`)
	chief, clerk := "chief-"+ns, "clerk-"+ns
	deputy.Grant(t, cluster(), "", "cluster-admin", "User", chief)
	b, d := acting(t, mcpkit.Callers{Users: []string{chief, clerk}, Groups: []string{"system:unauthenticated"}})
	may := serveAs(t, b, mcpkit.AccessRead, mcpkit.Caller{Name: chief, Groups: []string{"system:authenticated"}})
	mayNot := serveAs(t, b, mcpkit.AccessRead, mcpkit.Caller{Name: clerk, Groups: []string{"system:authenticated"}})
	for _, q := range []struct {
		tool string
		args map[string]any
		want string
	}{
		{"k8s_get_resource_yaml", map[string]any{"resource_type": "secret", "resource_name": "key", "namespace": ns}, "may not get secrets"},
		{"k8s_get_resource_yaml", map[string]any{"resource_type": "cm", "resource_name": "settings", "namespace": ns}, "may not get configmaps"},
		{"k8s_get_resources", map[string]any{"resource_type": "cm", "namespace": ns}, "may not list configmaps"},
		{"k8s_get_pod_logs", map[string]any{"pod_name": "box", "namespace": ns}, "may not get pods"},
		{"k8s_describe_resource", map[string]any{"resource_type": "cm", "resource_name": "settings", "namespace": ns}, "may not get configmaps"},
	} {
		a := may.Call(q.tool, q.args)
		require.False(t, a.IsError, a.Text)
		requireRefused(t, mayNot, q.tool, q.args, "denied: "+clerk+" "+q.want)
	}
	question := map[string]any{"verb": "delete", "resource_type": "pods", "namespace": ns}
	require.Contains(t, may.Call("k8s_check_access", question).Text, "yes: the caller (user "+chief+") may delete pods")
	require.Contains(t, mayNot.Call("k8s_check_access", question).Text, "no: the caller (user "+clerk+") may not delete pods")

	// The types that chief and clerk were shown are not shown to who may see none.
	stranger := serveAs(t, b, mcpkit.AccessRead, mcpkit.Caller{Name: clerk, Groups: []string{"system:unauthenticated"}})
	requireRefused(t, stranger, "k8s_get_available_api_resources", nil, "denied: "+clerk+" may not list the resource types")
	requireRefused(t, stranger, "k8s_explain_resource", map[string]any{"resource_type": "pods"}, "denied: "+clerk+" may not list the resource types")
	d.RequireActedAs(t, chief, clerk)
}

// Every write tool, with nobody to ask first, acts as its caller: streams and
// evictions too.
func TestEveryWriteToolActsAsItsCaller(t *testing.T) {
	t.Parallel()
	ns, node, library := box(t), simulatedNode(t), newLibrary(t)
	podsOn(t, ns, node, "web")
	apply(t, ns, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: app}, spec: {replicas: 0, selector: {matchLabels: {app: app}}, template: {metadata: {labels: {app: app}}, spec: {containers: [{name: c, image: "toolcrib.test/busybox:1"}]}}}}`)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: b}}`)
	chief, clerk := "chief-"+ns, "clerk-"+ns
	deputy.Grant(t, cluster(), "", "cluster-admin", "User", chief)
	deputy.Grant(t, cluster(), ns, "view", "User", clerk)
	deputy.Grant(t, cluster(), "", "system:node-proxier", "User", clerk) // which may look at nodes
	b, d := acting(t, mcpkit.Callers{Users: []string{chief, clerk}})
	library.backend(b, library.host())
	may := serveAs(t, b, mcpkit.AccessWrite, mcpkit.Caller{Name: chief})
	mayNot := serveAs(t, b, mcpkit.AccessWrite, mcpkit.Caller{Name: clerk})

	settings := func(more ...any) map[string]any {
		args := map[string]any{"resource_type": "cm", "resource_name": "settings", "namespace": ns}
		for i := 0; i < len(more); i += 2 {
			args[more[i].(string)] = more[i+1]
		}
		return args
	}
	manifest := func(name string) string {
		return `{apiVersion: v1, kind: ConfigMap, metadata: {name: ` + name + `, namespace: ` + ns + `}}`
	}
	steps := []struct {
		tool string
		args map[string]any
	}{
		{"k8s_create_resource", map[string]any{"yaml_content": manifest("made"), "namespace": ns}},
		{"k8s_create_resource_from_url", map[string]any{"url": library.URL + "/app.yaml", "namespace": ns}},
		{"k8s_apply_manifest", map[string]any{"manifest": manifest("applied"), "namespace": ns}},
		{"k8s_label_resource", settings("labels", map[string]any{"l": "1"})},
		{"k8s_annotate_resource", settings("annotations", map[string]any{"n": "1"})},
		{"k8s_remove_label", settings("label_key", "l")},
		{"k8s_remove_annotation", settings("annotation_key", "n")},
		{"k8s_patch_resource", settings("patch", `{"data":{"a":"c"}}`)},
		{"k8s_patch_status", map[string]any{"resource_type": "deploy", "resource_name": "app", "namespace": ns, "patch": `{"status":{"collisionCount":1}}`}},
		{"k8s_scale", map[string]any{"name": "app", "namespace": ns, "replicas": 1}},
		{"k8s_rollout", map[string]any{"resource_type": "deployment", "resource_name": "app", "namespace": ns, "action": "restart"}},
		{"k8s_cordon_node", map[string]any{"name": node}},
		{"k8s_drain_node", map[string]any{"name": node}},
		{"k8s_uncordon_node", map[string]any{"name": node}},
		{"k8s_execute_command", inBox(ns, "echo", "hello")},
		{"k8s_delete_resource", settings()},
	}
	for _, step := range steps {
		if step.tool == "k8s_uncordon_node" { // nothing is cordoned yet
			continue
		}
		a := mayNot.Call(step.tool, step.args)
		require.True(t, a.IsError, "%s: %s", step.tool, a.Text)
		require.Contains(t, a.Text, "denied: ", step.tool)
		require.Contains(t, a.Text, clerk+" may not ", step.tool)
	}
	called := map[string]bool{}
	for _, step := range steps {
		a := may.Call(step.tool, step.args)
		require.False(t, a.IsError, "%s: %s", step.tool, a.Text)
		called[step.tool] = true
	}
	list, err := may.ListTools(t.Context(), nil)
	require.NoError(t, err)
	for _, tool := range list.Tools {
		require.True(t, called[tool.Name], "add a call of %s to steps", tool.Name)
	}
	asked := d.RequireActedAs(t, chief, clerk)
	for _, way := range []string{"exec", "eviction", "scale", "status"} {
		require.True(t, slices.ContainsFunc(asked, func(e testbed.AuditEvent) bool { return e.Subresource == way && e.Impersonated == chief }), way)
	}
}

// SPDY has a transport of its own, like the WebSocket before it.
func TestExecuteCommandOverSPDYActsAsItsCaller(t *testing.T) {
	t.Parallel()
	ns := box(t)
	clerk := "clerk-" + ns
	require.NoError(t, cluster().Apply(t.Context(), fmt.Appendf(nil, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: %[1]s}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}, {apiGroups: [""], resources: [pods/exec], verbs: [create]}]}`, clerk)))
	t.Cleanup(func() { _, _ = cluster().Kubectl(context.Background(), "delete", "clusterrole", clerk) })
	deputy.Grant(t, cluster(), ns, clerk, "User", clerk)
	b, d := acting(t, mcpkit.Callers{Users: []string{clerk}})
	a := serveAs(t, b, mcpkit.AccessWrite, mcpkit.Caller{Name: clerk}).Call("k8s_execute_command", inBox(ns, "echo", "over"))
	require.Contains(t, a.Text, "over")
	asked := d.RequireActedAs(t, clerk)
	require.True(t, slices.ContainsFunc(asked, func(e testbed.AuditEvent) bool {
		return e.Subresource == "exec" && e.Verb == "create" && e.Code == http.StatusSwitchingProtocols
	}))
}

func TestWhatNoHeaderCanSayReachesTheAuditLog(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	b, d := acting(t, mcpkit.Callers{ServiceAccounts: []string{ns + "/default"}})
	account := "system:serviceaccount:" + ns + ":default"
	s := serveAs(t, b, mcpkit.AccessRead, mcpkit.Caller{Name: account, Groups: []string{"system:serviceaccounts"}})
	run := "r1\r\nImpersonate-User: system:admin\x00 é%" + strings.Repeat("x", 1000)
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{
		Meta: mcp.Meta{mcpkit.MetaRun: run, mcpkit.MetaAgent: "somebody else"},
		Name: "k8s_check_access", Arguments: map[string]any{"verb": "get", "resource_type": "pods", "namespace": ns},
	})
	require.NoError(t, err)
	require.Contains(t, res.Content[0].(*mcp.TextContent).Text, "no: the caller (service account "+ns+"/default) may not get pods")
	for _, e := range d.RequireActedAs(t, account) {
		require.Equal(t, []string{ns + "/default"}, e.Extra[mcpkit.MetaAgent])
		said := e.Extra[mcpkit.MetaRun][0]
		require.True(t, strings.HasPrefix(said, "r1%20Impersonate-User:%20system:admin%20%C3%A9%25xxx"), said)
		require.LessOrEqual(t, len(said), 256)
	}
}

func TestServerThatMayNotActAsItsCallerSaysSo(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	b, _ := acting(t, mcpkit.Callers{Users: []string{"somebody-" + ns}})
	for _, caller := range []mcpkit.Caller{
		{Name: "else-" + ns},
		{Name: "somebody-" + ns, Groups: []string{"system:masters"}},
		{Name: "somebody-" + ns, Extra: map[string][]string{"scopes.example.com/Only": {"read"}}},
		{Name: "system:serviceaccount:" + ns + ":default"},
	} {
		a := serveAs(t, b, mcpkit.AccessRead, caller).Call("k8s_get_resources", map[string]any{"resource_type": "cm", "namespace": ns})
		require.True(t, a.IsError, a.Text)
		if len(caller.Extra) > 0 {
			require.Equal(t, `denied: the caller cannot be acted for: its extra "scopes.example.com/Only" is not in lower case`, a.Text)
			continue
		}
		require.Contains(t, a.Text, "denied: this server may not act as its caller to list the resource types: ")
		require.Contains(t, a.Text, "rbac --identity=caller prints the rules")
	}
}

// Kubernetes 1.36 can hold a server that acts as somebody to some verbs (KEP-5284):
// one that only reads then only reads, whatever its caller may do.
func TestConstrainedImpersonationHoldsTheServerToItsVerbs(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: b}}`)
	chief, home := "chief-"+ns, namespace(t)
	deputy.Grant(t, cluster(), "", "cluster-admin", "User", chief)
	d := deputy.New(t, cluster(), home, home, fmt.Appendf(nil, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %s}
rules:
- {apiGroups: [authentication.k8s.io], resources: [users], resourceNames: [%s], verbs: ["impersonate:user-info"]}
- {apiGroups: [authentication.k8s.io], resources: [userextras/toolcrib.dev/agent, userextras/toolcrib.dev/run, userextras/toolcrib.dev/call], verbs: ["impersonate:user-info"]}
- {apiGroups: [""], resources: [configmaps], verbs: ["impersonate-on:user-info:get", "impersonate-on:user-info:list"]}
- {nonResourceURLs: [/api, /apis], verbs: ["impersonate-on:user-info:get"]}
`, home, chief))
	b := over(d.Kubeconfig, "kubernetes-mcp/acting")
	b.cfg.Identity = mcpkit.IdentityCaller
	settings := map[string]any{"resource_type": "cm", "resource_name": "settings", "namespace": ns}
	a := serveAs(t, b, mcpkit.AccessRead, mcpkit.Caller{Name: chief}).Call("k8s_get_resource_yaml", settings)
	require.Contains(t, a.Text, "a: b")
	a = serveAs(t, b, mcpkit.AccessWrite, mcpkit.Caller{Name: chief}).Call("k8s_delete_resource", settings)
	require.Contains(t, a.Text, "denied: this server may not act as its caller to ")
	for _, e := range d.Asked(t) {
		require.True(t, e.Impersonated == chief || e.Code == http.StatusForbidden, "%s %s", e.Verb, e.RequestURI)
	}
	require.Equal(t, `"b"`, at(t, "cm", ns, "settings", "data.a"))
}

// What belongs to no call is not asked at all, rather than as the server.
func TestNothingIsAskedOutsideACall(t *testing.T) {
	t.Parallel()
	b, d := acting(t, mcpkit.Callers{Users: []string{"anybody"}})
	for _, ctx := range []context.Context{t.Context(), context.WithoutCancel(t.Context())} {
		_, _, err := b.allTypes(ctx, false)
		require.ErrorContains(t, err, "denied: this server asks the cluster as its callers alone")
		_, err = b.schemas(ctx)
		require.ErrorContains(t, err, "denied: this server asks the cluster as its callers alone")
	}
	c, err := b.open()
	require.NoError(t, err)
	_, err = c.typed.Discovery().ServerVersion()
	require.ErrorContains(t, err, "denied: this server asks the cluster as its callers alone")
	require.Empty(t, d.Asked(t))
}
