package testbed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/testbed/internal/kubeapi"
	"github.com/toolcrib/toolcrib/testbed/internal/pki"
	"github.com/toolcrib/toolcrib/testbed/internal/supervisor"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// grantKinds are a pair for the cluster and one for a namespace, with their
// paths. Each pair grants a user of its own what nobody else asks for.
var grantKinds = []struct{ path, object string }{
	{"/apis/rbac.authorization.k8s.io/v1/clusterroles/", `"kind": "ClusterRole", "rules": [{"apiGroups": ["toolcrib.test"], "resources": ["grants"], "verbs": ["use"]}]`},
	{"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/", `"kind": "ClusterRoleBinding",
		"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "NAME"},
		"subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "NAME-cluster"}]`},
	{"/apis/rbac.authorization.k8s.io/v1/namespaces/kube-public/roles/", `"kind": "Role", "rules": [{"apiGroups": ["toolcrib.test"], "resources": ["grants"], "verbs": ["use"]}]`},
	{"/apis/rbac.authorization.k8s.io/v1/namespaces/kube-public/rolebindings/", `"kind": "RoleBinding",
		"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "NAME"},
		"subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "NAME-namespace"}]`},
}

// AwaitGrants returns once the API server heeds all that has been granted so far.
// It learns of grants as any controller does, in their order and a moment after
// they were made: so the last one of each kind is waited for. On an existing
// cluster it waits for nothing.
func (c *Cluster) AwaitGrants(ctx context.Context) (err error) {
	if c.external {
		return nil
	}
	client, err := c.unrecorded()
	if err != nil {
		return err
	}
	name := "toolcrib-" + strings.ToLower(rand.Text())
	defer func() {
		for _, k := range grantKinds {
			err = errors.Join(err, client.Delete(context.WithoutCancel(ctx), k.path+name))
		}
		client.Close()
	}()
	for _, k := range grantKinds {
		object := `{"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "NAME"}, ` + k.object + "}"
		if err := client.Apply(ctx, k.path+name, []byte(strings.ReplaceAll(object, "NAME", name))); err != nil {
			return err
		}
	}
	heeded := func(ctx context.Context) (bool, error) {
		for _, user := range []string{name + "-cluster", name + "-namespace"} {
			if ok, err := allowed(ctx, client, user); err != nil || !ok {
				return false, err
			}
		}
		return true, nil
	}
	return proc.Until(ctx, "what was granted", 5*time.Millisecond, heeded)
}

// allowed reports whether the API server lets a user use grants.
func allowed(ctx context.Context, client *kubeapi.Client, user string) (bool, error) {
	var answer struct{ Status struct{ Allowed bool } }
	review := fmt.Appendf(nil, `{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": %q,
		"resourceAttributes": {"group": "toolcrib.test", "resource": "grants", "verb": "use", "namespace": "kube-public"}}}`, user)
	err := client.Post(ctx, "/apis/authorization.k8s.io/v1/subjectaccessreviews", review, &answer)
	return answer.Status.Allowed, err
}

// unrecorded is a client whose requests are not in the audit log.
func (c *Cluster) unrecorded() (*kubeapi.Client, error) {
	server, ca, pair, err := pki.ReadKubeconfig(c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	for file, to := range map[string]*[]byte{"testbed.crt": &pair.Cert, "testbed.key": &pair.Key} {
		if *to, err = os.ReadFile(filepath.Join(c.Dir, supervisor.PKIDir, file)); err != nil {
			return nil, err
		}
	}
	return kubeapi.New(server, ca, pair)
}
