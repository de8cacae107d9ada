// Package deputy makes servers that act as their callers and may do nothing
// themselves, and proves by the API server's audit log that they did. It is for
// tests of servers with --identity=caller.
package deputy

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed"
)

// Deputy is the ServiceAccount of such a server.
type Deputy struct {
	Kubeconfig string // with its token

	user    string
	cluster *testbed.Cluster
	since   testbed.AuditMark
}

var namespaced = regexp.MustCompile(`(?m)^  namespace: (\S+)$`)

// New makes the ServiceAccount "server" in a namespace and grants it the
// ClusterRole and the Roles, all of one name, that a server needs to act as its
// callers, and nothing else.
func New(t testing.TB, c *testbed.Cluster, namespace, role string, roles []byte) *Deputy {
	t.Helper()
	for _, found := range namespaced.FindAllSubmatch(roles, -1) {
		roles = fmt.Appendf(roles, `---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: %[1]s, namespace: %[2]s},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[1]s}, subjects: [{kind: ServiceAccount, namespace: %[3]s, name: server}]}
`, role, found[1], namespace)
	}
	require.NoError(t, c.Apply(t.Context(), roles))
	kubeconfig, err := c.ServiceAccount(t.Context(), namespace, "server", role)
	require.NoError(t, err)
	since, err := c.AuditMark()
	require.NoError(t, err)
	t.Cleanup(func() {
		_, _ = c.Kubectl(context.Background(), "delete", "clusterrolebinding/"+namespace+":server:"+role, "clusterrole/"+role)
	})
	return &Deputy{kubeconfig, "system:serviceaccount:" + namespace + ":server", c, since}
}

// Asked returns what the API server recorded of the deputy's requests since it
// was made.
func (d *Deputy) Asked(t testing.TB) []testbed.AuditEvent {
	t.Helper()
	all, err := d.cluster.Audit(d.since)
	require.NoError(t, err)
	var asked []testbed.AuditEvent
	for _, e := range all {
		if e.User == d.user {
			asked = append(asked, e)
		}
	}
	return asked
}

// RequireActedAs requires of every request of the deputy that it was made as one
// of the callers and says to which call it belongs, and returns them.
func (d *Deputy) RequireActedAs(t testing.TB, callers ...string) []testbed.AuditEvent {
	t.Helper()
	asked := d.Asked(t)
	require.NotEmpty(t, asked)
	for _, e := range asked {
		require.Contains(t, callers, e.Impersonated, "%s %s", e.Verb, e.RequestURI)
		require.NotEmpty(t, e.Extra["toolcrib.dev/agent"], "%s %s", e.Verb, e.RequestURI)
		require.Len(t, e.Extra["toolcrib.dev/call"], 1, "%s %s", e.Verb, e.RequestURI)
	}
	return asked
}

// Grant binds a ClusterRole to a user or a group for the time of a test: in a
// namespace, or everywhere if that is empty.
func Grant(t testing.TB, c *testbed.Cluster, namespace, clusterRole, kind, name string) {
	t.Helper()
	id := strings.ReplaceAll(name, "@", "-") + "-" + clusterRole
	binding, in := "ClusterRoleBinding", ""
	if namespace != "" {
		binding, in = "RoleBinding", ", namespace: "+namespace
	}
	require.NoError(t, c.Apply(t.Context(), fmt.Appendf(nil, `{apiVersion: rbac.authorization.k8s.io/v1, kind: %s, metadata: {name: %s%s},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}]}`,
		binding, id, in, clusterRole, kind, name)))
	t.Cleanup(func() {
		_, _ = c.Kubectl(context.Background(), "delete", binding, id, "--namespace="+namespace)
	})
}
