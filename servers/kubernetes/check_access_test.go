package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	authzv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// guild is a namespace with subjects whose rights are all different.
func guild(t testing.TB) string {
	t.Helper()
	ns := namespace(t)
	apply(t, ns, strings.ReplaceAll(`
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: bare}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: pods}
rules:
- {apiGroups: [""], resources: [pods, pods/log, "*/scale"], verbs: [get, list]}
- {apiGroups: [""], resources: [configmaps], resourceNames: [settings], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web-pods}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: pods}
subjects: [{kind: ServiceAccount, name: web, namespace: NS}, {kind: User, apiGroup: rbac.authorization.k8s.io, name: jane-NS}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-part, labels: {part-of: NS}}
rules:
- {apiGroups: [apps], resources: ["*"], verbs: ["*"]}
- {nonResourceURLs: [/debug/*], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-whole}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {part-of: NS}}]}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: crew}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NS-whole}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: crew-NS}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NS-accounts}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NS-part}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: "system:serviceaccounts:NS"}]`, "NS", ns))
	c := testClients(t)
	for _, name := range []string{ns + "-part", ns + "-whole"} {
		removed(t, rbacv1.SchemeGroupVersion.WithResource("clusterroles"), name)
	}
	removed(t, rbacv1.SchemeGroupVersion.WithResource("clusterrolebindings"), ns+"-accounts")
	within(t, "the roles to be aggregated", func() bool {
		r, err := c.typed.RbacV1().ClusterRoles().Get(t.Context(), ns+"-whole", metav1.GetOptions{})
		return err == nil && len(r.Rules) > 0
	})
	return ns
}

func access(t testing.TB, s *mcptest.Session, args map[string]any) CheckAccessOut {
	t.Helper()
	var out CheckAccessOut
	s.Call("k8s_check_access", args).Into(t, &out)
	return out
}

func TestCheckAccessNamesTheRule(t *testing.T) {
	t.Parallel()
	ns := guild(t)
	s := serve(t, granted(t, checkAccess.Rules...), mcpkit.AccessRead, nil)
	web := ns + "/web"
	for _, c := range []struct {
		args   map[string]any
		answer string
		rows   [][]string
	}{
		{map[string]any{"verb": "get", "resource_type": "po/log", "service_account": web},
			"yes: service account " + web + ` may get pods/log in namespace "` + ns + `"`,
			[][]string{{"RoleBinding " + ns + "/web-pods", "Role pods", "get,list on pods/log,pods,*/scale of core", "ServiceAccount " + web}}},
		{map[string]any{"verb": "update", "resource_type": "cm", "resource_name": "settings", "user": "jane-" + ns},
			"yes: user jane-" + ns + ` may update configmaps "settings" in namespace "` + ns + `"`,
			[][]string{{"RoleBinding " + ns + "/web-pods", "Role pods", "update,get on configmaps of core named settings", "User jane-" + ns}}},
		{map[string]any{"verb": "delete", "resource_type": "deploy", "group": "crew-" + ns},
			"yes: group crew-" + ns + ` may delete deployments.apps in namespace "` + ns + `"`,
			[][]string{{"RoleBinding " + ns + "/crew", "ClusterRole " + ns + "-whole (aggregated from " + ns + "-part)", "* on * of apps", "Group crew-" + ns}}},
		{map[string]any{"verb": "get", "resource_type": "/debug/pprof", "service_account": "bare"},
			"yes: service account " + ns + "/bare may get /debug/pprof",
			[][]string{{"ClusterRoleBinding " + ns + "-accounts", "ClusterRole " + ns + "-part", "get on /debug/*", "Group system:serviceaccounts:" + ns}}},
	} {
		c.args["namespace"] = ns
		out := access(t, s, c.args)
		require.Equal(t, c.answer, out.Answer)
		require.Equal(t, c.rows, out.Rows)
	}
}

func TestCheckAccessSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	ns := guild(t)
	s := serve(t, granted(t, checkAccess.Rules...), mcpkit.AccessRead, nil)
	notes := func(args map[string]any, answer string) string {
		out := access(t, s, args)
		require.Equal(t, answer, out.Answer)
		require.Empty(t, out.Rows)
		return strings.Join(out.Notes, "\n")
	}
	web := "service account " + ns + "/web"
	n := notes(map[string]any{"verb": "delete", "resource_type": "pods", "namespace": ns, "service_account": "web"},
		"no: "+web+` may not delete pods in namespace "`+ns+`"`)
	require.Contains(t, n, "on the same it may get, list\n")
	require.Contains(t, n, "ClusterRole admin")
	n = notes(map[string]any{"verb": "update", "resource_type": "configmaps", "namespace": ns, "service_account": ns + ":web"},
		"no: "+web+` may not update configmaps in namespace "`+ns+`"`)
	require.Contains(t, n, "it may for these objects alone: settings")
	n = notes(map[string]any{"verb": "list", "resource_type": "pods", "namespace": "*", "user": "system:serviceaccount:" + ns + ":web"},
		"no: "+web+" may not list pods in all namespaces")
	require.Contains(t, n, "it may in these namespaces: "+ns)
	n = notes(map[string]any{"verb": "lst", "resource_type": "pods", "namespace": ns, "user": "jan-" + ns},
		"no: user jan-"+ns+` may not lst pods in namespace "`+ns+`"`)
	require.Contains(t, n, "did you mean list?")
	require.Contains(t, n, "the nearest names in bindings are jane-"+ns)
	require.Contains(t, n, "a user's groups come with the credentials")
	n = notes(map[string]any{"verb": "call", "resource_type": "drills.shop.example", "resource_name": "cordless", "namespace": ns, "group": "nobody"},
		`no: group nobody may not call drills.shop.example "cordless" in namespace "`+ns+`"`)
	require.Contains(t, n, "the cluster serves no type drills.shop.example")
	require.Contains(t, access(t, s, map[string]any{"verb": "delete", "resource_type": "nodes", "group": masters}).Answer, "yes: ")

	requireRefused(t, s, "k8s_check_access", map[string]any{"verb": "get", "resource_type": "pods", "service_account": ns + "/wep"}, `not_found: no serviceaccounts "wep" in namespace "`+ns+`"; the nearest names are web`)
	requireRefused(t, s, "k8s_check_access", map[string]any{"verb": "get", "resource_type": "pds"}, `not_found: the cluster has no resource type "pds"`)
	requireRefused(t, s, "k8s_check_access", map[string]any{"verb": "get"}, `invalid: give verb and resource_type together`)
	requireRefused(t, s, "k8s_check_access", map[string]any{"verb": "get", "resource_type": "pods", "user": "a", "service_account": "b/c"}, `invalid: name one subject`)
	requireRefused(t, s, "k8s_check_access", map[string]any{"verb": "get", "resource_type": "pods", "user": "a", "who_can": true}, `invalid: who_can lists every subject`)
	requireRefused(t, s, "k8s_check_access", map[string]any{"verb": "get", "resource_type": "pods", "service_account": "a/b/c"}, `invalid: service_account is written namespace/name`)
}

// TestCheckAccessAgreesWithTheAuthorizer holds every answer against the API
// server's own.
func TestCheckAccessAgreesWithTheAuthorizer(t *testing.T) {
	t.Parallel()
	ns := guild(t)
	b, c := admin(t), testClients(t)
	groups := func(g ...string) []string { return append(g, "system:authenticated") }
	subjects := []struct {
		args map[string]any
		spec authzv1.SubjectAccessReviewSpec
	}{
		{map[string]any{"service_account": ns + "/web"}, authzv1.SubjectAccessReviewSpec{User: accountPrefix + ns + ":web", Groups: groups("system:serviceaccounts", "system:serviceaccounts:"+ns)}},
		{map[string]any{"user": "jane-" + ns}, authzv1.SubjectAccessReviewSpec{User: "jane-" + ns, Groups: groups()}},
		{map[string]any{"group": "crew-" + ns}, authzv1.SubjectAccessReviewSpec{Groups: groups("crew-" + ns)}},
		{map[string]any{"user": "system:anonymous"}, authzv1.SubjectAccessReviewSpec{User: "system:anonymous", Groups: []string{"system:unauthenticated"}}},
	}
	types := []struct{ arg, group, resource, sub string }{
		{"pods", "", "pods", ""}, {"pods/log", "", "pods", "log"}, {"pods/exec", "", "pods", "exec"}, {"configmaps", "", "configmaps", ""},
		{"deployments", "apps", "deployments", ""}, {"deployments/scale", "apps", "deployments", "scale"}, {"replicationcontrollers/scale", "", "replicationcontrollers", "scale"}, {"nodes", "", "nodes", ""},
	}
	session, yes := serve(t, b, mcpkit.AccessRead, nil), 0
	for _, who := range subjects {
		for _, what := range types {
			for _, verb := range []string{"get", "update"} {
				for _, where := range []string{ns, "*", "kube-system"} {
					for _, name := range []string{"", "settings"} {
						if name != "" && what.resource != "configmaps" {
							continue
						}
						args := map[string]any{"verb": verb, "resource_type": what.arg, "namespace": where, "resource_name": name}
						for k, v := range who.args {
							args[k] = v
						}
						review := &authzv1.SubjectAccessReview{Spec: who.spec}
						review.Spec.ResourceAttributes = &authzv1.ResourceAttributes{Verb: verb, Group: what.group, Version: "*", Resource: what.resource, Subresource: what.sub, Namespace: strings.TrimPrefix(where, "*"), Name: name}
						if what.resource == "nodes" {
							review.Spec.ResourceAttributes.Namespace = ""
						}
						got, err := c.typed.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
						require.NoError(t, err)
						want := "no: "
						if got.Status.Allowed {
							want, yes = "yes: ", yes+1
						}
						require.Truef(t, strings.HasPrefix(access(t, session, args).Answer, want), "%v: want %s", args, want)
					}
				}
			}
		}
	}
	require.Greater(t, yes, 20)
}

func TestCheckAccessListsWhoCan(t *testing.T) {
	t.Parallel()
	ns := guild(t)
	s := serve(t, granted(t, checkAccess.Rules...), mcpkit.AccessRead, nil)
	out := access(t, s, map[string]any{"verb": "get", "resource_type": "pods/log", "namespace": ns, "who_can": true})
	require.Equal(t, []string{"subject", "where", "binding", "role", "rule"}, out.Columns)
	require.Contains(t, out.Rows, []string{"ServiceAccount " + ns + "/web", ns, "RoleBinding " + ns + "/web-pods", "Role pods", "get,list on pods/log,pods,*/scale of core"})
	require.Contains(t, out.Rows, []string{"User jane-" + ns, ns, "RoleBinding " + ns + "/web-pods", "Role pods", "get,list on pods/log,pods,*/scale of core"})
	require.Contains(t, out.Rows, []string{"Group system:masters", "everywhere", "ClusterRoleBinding cluster-admin", "ClusterRole cluster-admin", "* on * of *"})
	require.True(t, strings.HasPrefix(out.Rows[0][0], "User ") || strings.HasPrefix(out.Rows[0][0], "Group "), out.Rows[0])
	out = access(t, s, map[string]any{"verb": "delete", "resource_type": "pods", "namespace": ns, "who_can": true})
	require.Regexp(t, `not counted: \d+ components of Kubernetes itself: .*cronjob-controller, .*job-controller`, strings.Join(out.Notes, "\n"))
	require.NotContains(t, fmt.Sprint(out.Rows), "cronjob-controller")
	out = access(t, s, map[string]any{"verb": "get", "resource_type": "pods/log", "namespace": ns, "who_can": true})
	require.Regexp(t, `^\d+ subjects may get pods/log in namespace "`+ns+`", and every member of group system:masters$`, out.Answer)

	out = access(t, s, map[string]any{"verb": "create", "resource_type": "selfsubjectreviews", "who_can": true})
	require.Contains(t, out.Notes, "open to many: Group system:authenticated")

	many := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "many"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "pods"}}
	for i := range accessRows + 10 {
		many.Subjects = append(many.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: fmt.Sprintf("user-%02d", i)})
	}
	_, err := testClients(t).typed.RbacV1().RoleBindings(ns).Create(t.Context(), many, metav1.CreateOptions{})
	require.NoError(t, err)
	out = access(t, s, map[string]any{"verb": "get", "resource_type": "pods", "namespace": ns, "who_can": true})
	require.Len(t, out.Rows, accessRows)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "rows: 50 of ")
}

func TestCheckAccessOfThisServer(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil)
	out := access(t, s, map[string]any{"verb": "list", "resource_type": "pods", "namespace": ns})
	require.Regexp(t, `^yes: this server \(service account test-\w+/server\) may list pods in namespace "`+ns+`"$`, out.Answer)
	require.Regexp(t, `^the API server says: RBAC: allowed by ClusterRoleBinding "test-[\w:-]+" of ClusterRole "test-\w+" to ServiceAccount "server/test-\w+"$`, out.Notes[0])
	require.Contains(t, strings.Join(out.Notes, "\n"), "not looked at: ")
	out = access(t, s, map[string]any{"verb": "delete", "resource_type": "pods", "namespace": ns})
	require.Regexp(t, `^no: this server .* may not delete pods`, out.Answer)
	out = access(t, s, map[string]any{"namespace": ns})
	require.Regexp(t, `^this server \(.*\) may, in namespace `+ns+`:$`, out.Answer)
	require.Contains(t, out.Rows, []string{"get,list", "pods", "core", ""})

	out = access(t, s, map[string]any{"verb": "get", "resource_type": "pods", "namespace": ns, "user": "jane"})
	require.Equal(t, `not known: whether user jane may get pods in namespace "`+ns+`"`, out.Answer)
	requireRefused(t, s, "k8s_check_access", map[string]any{"verb": "get", "resource_type": "pods", "who_can": true}, "denied: ")
	out = access(t, reading(t), map[string]any{"verb": "delete", "resource_type": "/anything"})
	require.Contains(t, out.Answer, "yes: this server (user ")
}

func TestCheckAccessOfOneNamespace(t *testing.T) {
	t.Parallel()
	ns := guild(t)
	b := granted(t)
	c, err := b.open()
	require.NoError(t, err)
	who, err := b.self(t.Context(), c)
	require.NoError(t, err)
	apply(t, ns, `
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: viewer}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin},
 subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: "`+who.user+`"}]}`)
	s := serve(t, b, mcpkit.AccessRead, nil)
	out := access(t, s, map[string]any{"verb": "get", "resource_type": "pods", "namespace": ns, "user": "jane-" + ns})
	require.Contains(t, out.Answer, "yes: ")
	require.Equal(t, "Role pods", out.Rows[0][1])
	require.Contains(t, strings.Join(out.Notes, "\n"), "not looked at: ")
}

func TestCheckAccessListsEverything(t *testing.T) {
	t.Parallel()
	ns := guild(t)
	s := serve(t, granted(t, checkAccess.Rules...), mcpkit.AccessRead, nil)
	out := access(t, s, map[string]any{"service_account": ns + "/web", "namespace": ns})
	require.Equal(t, "service account "+ns+"/web may, in namespace "+ns+":", out.Answer)
	require.Contains(t, out.Rows, []string{"get,list", "pods,pods/log,*/scale", "core", "", "RoleBinding " + ns + "/web-pods"})
	require.Contains(t, out.Rows, []string{"get,update", "configmaps", "core", "settings", "RoleBinding " + ns + "/web-pods"})
	require.Contains(t, out.Rows, []string{"*", "*", "apps", "", "ClusterRoleBinding " + ns + "-accounts"})
	apply(t, ns, `
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: dangling}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: gone},
 subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: "joe-`+ns+`"}]}`)
	out = access(t, s, map[string]any{"user": "joe-" + ns, "namespace": ns})
	require.Contains(t, out.Notes, "a binding names Role gone, which does not exist")
}

func FuzzAccountName(f *testing.F) {
	for _, s := range []string{"shop/web", "shop:web", "web", "", "/", "a/b/c", "a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ns, name, err := accountName(s, "default")
		if err != nil {
			require.True(t, isKind(err, mcpkit.Invalid))
			return
		}
		require.NotEmpty(t, ns)
		require.NotEmpty(t, name)
		require.NotContains(t, name, "/")
	})
}
