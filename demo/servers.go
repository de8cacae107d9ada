package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/monitoring"
	"github.com/toolcrib/toolcrib/testbed/served"
	"github.com/toolcrib/toolcrib/testbed/shop"
)

// The servers the demo shows, by the names of their binaries.
const (
	kubernetes = "kubernetes-mcp"
	helm       = "helm-mcp"
	prometheus = "prometheus-mcp"
)

// builtAt is when the newest of the programs in folder was built.
func builtAt(folder string) (newest time.Time, err error) {
	for _, name := range []string{kubernetes, helm, prometheus, agentcore, controller} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			return time.Time{}, fmt.Errorf("%w; run make build first", err)
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest, nil
}

// serving starts servers in read mode, each under a ServiceAccount that has
// exactly the role the server prints for itself.
type serving struct {
	folder  string // of the binaries
	cluster *testbed.Cluster
	out     io.Writer
	running []*served.Server
}

func (s *serving) stop() {
	for _, server := range s.running {
		server.Stop()
	}
}

// start runs one server and returns its endpoint.
func (s *serving) start(ctx context.Context, name string, args ...string) (string, error) {
	server, err := served.Start(ctx, s.cluster.Dir, filepath.Join(s.folder, name), append([]string{"--record=" + os.DevNull}, args...)...)
	if err != nil {
		return "", err
	}
	s.running = append(s.running, server)
	return server.URL, nil
}

// all starts every server the demo has something to ask of.
func (s *serving) all(ctx context.Context, stack *monitoring.Stack, st *state) error {
	fmt.Fprintln(s.out, "starting the servers, read only, each under its own ServiceAccount")
	st.Endpoints = map[string]string{}
	account, err := s.account(ctx, kubernetes, "ClusterRoleBinding", "")
	if err != nil {
		return err
	}
	st.Kubeconfig = account
	if st.Endpoints[kubernetes], err = s.start(ctx, kubernetes, "--kubeconfig", account); err != nil {
		return err
	}
	if st.Endpoints[prometheus], err = s.start(ctx, prometheus, "--prometheus-url", stack.Prometheus, "--alertmanager-url", stack.Alertmanager); err != nil {
		return err
	}
	if !st.Shop {
		return nil
	}
	if account, err = s.account(ctx, helm, "RoleBinding", shop.Namespace); err != nil { // releases are Secrets: this namespace's alone
		return err
	}
	st.Endpoints[helm], err = s.start(ctx, helm, "--kubeconfig", account)
	return err
}

// account gives a server its role, in the whole cluster or one namespace, and
// returns a kubeconfig of its ServiceAccount.
func (s *serving) account(ctx context.Context, name, binding, namespace string) (kubeconfig string, err error) {
	role := name + "-read"
	rules, err := exec.CommandContext(ctx, filepath.Join(s.folder, name), "rbac", "--access=read", "--name="+role).Output()
	if err != nil {
		return "", fmt.Errorf("print the read role of %s: %w", name, err)
	}
	if err := s.cluster.Apply(ctx, rules); err != nil {
		return "", err
	}
	if kubeconfig, err = s.cluster.ServiceAccount(ctx, "toolcrib", name); err != nil {
		return "", err
	}
	return kubeconfig, s.cluster.Apply(ctx, fmt.Appendf(nil, `
apiVersion: rbac.authorization.k8s.io/v1
kind: %s
metadata: {name: %s, namespace: %q}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}
subjects: [{kind: ServiceAccount, namespace: toolcrib, name: %s}]
`, binding, role, namespace, role, name))
}
