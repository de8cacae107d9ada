package lockstest

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/deputy"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

var made sync.Map // clients, by kubeconfig

// client is one of the cluster's administrator, which all tests share.
func client(t testing.TB, c *testbed.Cluster) kubernetes.Interface {
	t.Helper()
	if known, ok := made.Load(c.Kubeconfig); ok {
		return known.(kubernetes.Interface)
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	require.NoError(t, err)
	config.QPS = -1
	one, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	made.Store(c.Kubeconfig, one)
	return one
}

// Namespace makes a namespace for one test, complete with what controllers put
// there, and removes it afterwards.
func Namespace(t testing.TB, c *testbed.Cluster) string {
	t.Helper()
	api := client(t, c).CoreV1()
	ns, err := api.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = api.Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}) })
	require.Eventually(t, func() bool {
		_, account := api.ServiceAccounts(ns.Name).Get(t.Context(), "default", metav1.GetOptions{})
		_, authority := api.ConfigMaps(ns.Name).Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		return account == nil && authority == nil
	}, 5*time.Minute, 100*time.Millisecond, "its pods find what each of them mounts")
	return ns.Name
}

// Server makes a ServiceAccount "server" that has exactly the rules, in one
// namespace or in all if that is empty, and returns its kubeconfig and its own
// namespace, whose name is no other server's.
func Server(t testing.TB, c *testbed.Cluster, only string, rules ...mcpkit.Rule) (kubeconfig, home string) {
	t.Helper()
	home = Namespace(t, c)
	_, err := client(t, c).CoreV1().ServiceAccounts(home).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "server"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	Role(t, c, home, rules...)
	Bind(t, c, home, home, only)
	return Kubeconfig(t, c, Token(t, c, home, "server", "")), home
}

// Role makes a ClusterRole of rules for the time of a test.
func Role(t testing.TB, c *testbed.Cluster, name string, rules ...mcpkit.Rule) {
	t.Helper()
	api := client(t, c).RbacV1().ClusterRoles()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
	raw, err := json.Marshal(rules)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &role.Rules))
	_, err = api.Create(t.Context(), role, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = api.Delete(context.Background(), name, metav1.DeleteOptions{}) })
}

// Bind gives the ServiceAccount "server" of namespace home a ClusterRole, in one
// namespace or in all if that is empty, and returns once that counts.
func Bind(t testing.TB, c *testbed.Cluster, home, role, only string) {
	t.Helper()
	api := client(t, c).RbacV1()
	named := metav1.ObjectMeta{Name: home + ":" + role}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
	to := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: home, Name: "server"}}
	var err error
	if only != "" {
		_, err = api.RoleBindings(only).Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: named, RoleRef: ref, Subjects: to}, metav1.CreateOptions{})
	} else {
		_, err = api.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: named, RoleRef: ref, Subjects: to}, metav1.CreateOptions{})
		t.Cleanup(func() {
			_ = api.ClusterRoleBindings().Delete(context.Background(), named.Name, metav1.DeleteOptions{})
		})
	}
	require.NoError(t, err)
	require.NoError(t, c.AwaitGrants(t.Context()))
}

// Token is a new token of a ServiceAccount, for the API server if audience is
// empty.
func Token(t testing.TB, c *testbed.Cluster, namespace, account, audience string) string {
	t.Helper()
	request := &authv1.TokenRequest{}
	if audience != "" {
		request.Spec.Audiences = []string{audience}
	}
	token, err := client(t, c).CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, request, metav1.CreateOptions{})
	require.NoError(t, err)
	return token.Status.Token
}

// Kubeconfig writes a kubeconfig for the cluster with a token, be it a good one
// or not, and returns its path.
func Kubeconfig(t testing.TB, c *testbed.Cluster, token string) string {
	t.Helper()
	raw, err := clientcmd.LoadFromFile(c.Kubeconfig)
	require.NoError(t, err)
	here := raw.Contexts[raw.CurrentContext]
	raw.AuthInfos = map[string]*clientcmdapi.AuthInfo{"server": {Token: token}}
	here.AuthInfo = "server"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*raw, path))
	return path
}

// Acting makes the ServiceAccount of a server that may act as the callers, and
// may do nothing itself.
func Acting(t testing.TB, c *testbed.Cluster, callers mcpkit.Callers) *deputy.Deputy {
	t.Helper()
	home := Namespace(t, c)
	var roles bytes.Buffer
	require.NoError(t, callers.WriteRoles(&roles, home+"-callers"))
	return deputy.New(t, c, home, home+"-callers", roles.Bytes())
}

// Witnessed returns what the API server recorded during f of the requests of
// whoever calls itself by the User-Agent.
func Witnessed(t testing.TB, c *testbed.Cluster, userAgent string, f func()) []testbed.AuditEvent {
	t.Helper()
	mark, err := c.AuditMark()
	require.NoError(t, err)
	f()
	all, err := c.Audit(mark)
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(e testbed.AuditEvent) bool { return !strings.HasPrefix(e.UserAgent, userAgent) })
}
