package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/toolcrib/toolcrib/testbed/internal/pki"
)

// ServiceAccount creates the ServiceAccount, and its namespace, where missing,
// binds the ClusterRoles to it in the whole cluster, and returns the path of a
// kubeconfig with a token of it.
func (c *Cluster) ServiceAccount(ctx context.Context, namespace, name string, clusterRoles ...string) (kubeconfig string, err error) {
	objects := fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[2]s, namespace: %[1]s}
`, namespace, name)
	for _, role := range clusterRoles {
		objects += fmt.Sprintf(`---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "%[1]s:%[2]s:%[3]s"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "%[3]s"}
subjects: [{kind: ServiceAccount, namespace: %[1]s, name: %[2]s}]
`, namespace, name, role)
	}
	if err := c.Apply(ctx, []byte(objects)); err != nil {
		return "", err
	}
	token, err := c.Kubectl(ctx, "create", "token", name, "--namespace", namespace, "--duration=24h")
	if err != nil {
		return "", err
	}
	server, ca, err := c.endpoint(ctx)
	if err != nil {
		return "", err
	}
	return c.writeKubeconfig(namespace+"-"+name, pki.TokenKubeconfig(server, ca, strings.TrimSpace(string(token))))
}

// UserKubeconfig returns the path of a kubeconfig with a client certificate
// for a user in groups. What the user may do is for RBAC to say.
func (c *Cluster) UserKubeconfig(ctx context.Context, user string, groups ...string) (path string, err error) {
	if c.external {
		return "", fmt.Errorf("issue a certificate for user %s: %w", user, errExternal)
	}
	authority, err := pki.ReadAuthority(filepath.Join(c.Dir, "pki"))
	if err != nil {
		return "", err
	}
	pair, err := authority.Client(user, groups...)
	if err != nil {
		return "", err
	}
	server, ca, err := c.endpoint(ctx)
	if err != nil {
		return "", err
	}
	return c.writeKubeconfig(user, pki.Kubeconfig(server, ca, pair))
}

// endpoint is where and how to trust the API server.
func (c *Cluster) endpoint(ctx context.Context) (server string, ca []byte, err error) {
	out, err := c.Kubectl(ctx, "config", "view", "--minify", "--flatten", "--raw", "--output=json")
	if err != nil {
		return "", nil, err
	}
	var view struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     []byte `json:"certificate-authority-data"`
			}
		}
	}
	if err := json.Unmarshal(out, &view); err != nil || len(view.Clusters) != 1 {
		return "", nil, fmt.Errorf("read kubeconfig %s: one cluster expected, %d found: %w", c.Kubeconfig, len(view.Clusters), err)
	}
	return view.Clusters[0].Cluster.Server, view.Clusters[0].Cluster.CA, nil
}

func (c *Cluster) writeKubeconfig(name string, content []byte) (string, error) {
	f, err := os.CreateTemp(c.Dir, strings.NewReplacer("/", "_", ":", "_").Replace(name)+"-*.kubeconfig")
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = f.Write(content)
	return f.Name(), err
}
