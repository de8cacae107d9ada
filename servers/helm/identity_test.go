package helm

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

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
	b := over(t, d.Kubeconfig, "helm-mcp/acting")
	b.cfg.Identity = mcpkit.IdentityCaller
	return b, d
}

// serveAs returns a session of a user with a server over b that asks nobody
// before it writes.
func serveAs(t testing.TB, b *Backend, access mcpkit.Access, user string) *mcptest.Session {
	t.Helper()
	ts := toolset(b)
	return mcptest.ConnectAs(t, ts, mcpkit.Options{Name: "helm-mcp", Access: access, Gate: mcpkit.GateOff}, mcpkit.Caller{Name: user}, nil)
}

// passed is what differs between two servers' answers to one question: the time,
// and the salt of fingerprints.
var passed = regexp.MustCompile(`\(\d+(ms|[smh])\)|\d{4}-\d\d-\d\dT[0-9:]+Z|redacted:[0-9a-f]{8}`)

// Somebody who may read a namespace without its Secrets, somebody who may do
// all there and somebody who may do everything are answered by one server as
// their own kubeconfigs would be.
func TestEveryReadToolAnswersAsItsCallersOwnKubeconfigWould(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "web", "web", "1.0.0")
	clerk, owner, chief := "clerk-"+ns, "owner-"+ns, "chief-"+ns
	deputy.Grant(t, cluster(), ns, "view", "User", clerk)
	deputy.Grant(t, cluster(), ns, "admin", "User", owner)
	deputy.Grant(t, cluster(), "", "cluster-admin", "User", chief)
	b, d := acting(t, mcpkit.Callers{Users: []string{clerk, owner, chief}})
	for _, user := range []string{chief, clerk, owner, clerk} {
		path, err := cluster().UserKubeconfig(t.Context(), user)
		require.NoError(t, err)
		own := session(t, over(t, path, "own"), mcpkit.AccessRead, nil)
		acted := serveAs(t, b, mcpkit.AccessRead, user)
		for tool, args := range releaseReads(ns) {
			if tool == "helm_list_releases" {
				args = map[string]any{"namespace": ns}
			}
			want, got := own.Call(tool, args), acted.Call(tool, args)
			require.Equal(t, passed.ReplaceAllString(want.Text, ""), passed.ReplaceAllString(got.Text, ""), "%s %s", user, tool)
			if _, ofRelease := args["name"]; ofRelease || tool == "helm_list_releases" {
				require.Equal(t, user == clerk, got.IsError, got.Text)
			}
			if got.IsError {
				require.Contains(t, got.Text, "denied: "+clerk+` may not list the Secrets in which Helm keeps releases in namespace "`+ns+`"`)
			}
		}
	}
	for _, e := range d.RequireActedAs(t, clerk, owner, chief) {
		require.False(t, writes(e), "%s %s", e.Verb, e.RequestURI)
	}
}

// Helm's own clients, its hooks, its waits and its records all act as the caller.
func TestEveryClusterWriteActsAsItsCaller(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	clerk, owner := "clerk-"+ns, "owner-"+ns
	deputy.Grant(t, cluster(), ns, "admin", "User", owner)
	deputy.Grant(t, cluster(), ns, "view", "User", clerk)
	b, d := acting(t, mcpkit.Callers{Users: []string{clerk, owner}})
	may, mayNot := serveAs(t, b, mcpkit.AccessWrite, owner), serveAs(t, b, mcpkit.AccessWrite, clerk)
	of := func(more ...any) map[string]any {
		args := map[string]any{"name": "zoo", "namespace": ns}
		for i := 0; i < len(more); i += 2 {
			args[more[i].(string)] = more[i+1]
		}
		return args
	}
	for _, step := range []struct {
		tool string
		args map[string]any
	}{
		{"helm_install", of("chart", "shop/with-hooks", "version", "1.0.0")},
		{"helm_upgrade", of("chart", "shop/with-hooks", "version", "1.0.0", "values", map[string]any{"note": "again"})},
		{"helm_rollback", of("revision", 1)},
		{"helm_uninstall", of()},
	} {
		a := mayNot.Call(step.tool, step.args)
		require.True(t, a.IsError, a.Text)
		require.Contains(t, a.Text, "denied: ", step.tool)
		require.Contains(t, a.Text, clerk+" may not ", step.tool)
		a = may.Call(step.tool, step.args)
		require.False(t, a.IsError, "%s: %s", step.tool, a.Text)
	}
	asked := d.RequireActedAs(t, clerk, owner)
	for _, made := range []string{"secrets", "jobs"} {
		require.True(t, slices.ContainsFunc(asked, func(e testbed.AuditEvent) bool {
			return e.Resource == made && e.Verb == "create" && e.Impersonated == owner && e.Code == 201
		}), made)
	}
	require.False(t, slices.ContainsFunc(asked, func(e testbed.AuditEvent) bool {
		return writes(e) && e.Impersonated == clerk && e.Code < 400 && !strings.Contains(e.RequestURI, "dryRun=All")
	}))
}

func TestServerThatMayNotActAsItsCallerSaysSo(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	b, _ := acting(t, mcpkit.Callers{Users: []string{"somebody-" + ns}})
	s := serveAs(t, b, mcpkit.AccessRead, "else-"+ns)
	for tool, args := range map[string]map[string]any{
		"helm_list_releases": {"namespace": ns},
		"helm_template":      {"chart": "shop/web"},
	} {
		a := s.Call(tool, args)
		require.True(t, a.IsError, a.Text)
		require.Contains(t, a.Text, "denied: this server may not act as its caller to ", tool)
	}
}

// What belongs to no call is not asked at all, rather than as the server.
func TestNothingIsAskedOutsideACall(t *testing.T) {
	t.Parallel()
	b, d := acting(t, mcpkit.Callers{Users: []string{"anybody"}})
	const refused = "denied: this server asks the cluster as its callers alone"
	err := b.eachRecord(t.Context(), "default", "", nil, nil)
	require.ErrorContains(t, err, refused)
	cfg, err := b.configuration(context.WithoutCancel(t.Context()), "default")
	require.NoError(t, err)
	require.ErrorContains(t, cfg.KubeClient.IsReachable(), refused)
	_, err = cfg.Releases.History("web")
	require.ErrorContains(t, err, refused)
	c, err := b.open()
	require.NoError(t, err)
	require.Nil(t, c.shared, "types that callers would share")
	require.Empty(t, d.Asked(t))
}
