package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/served"
)

// serveReadOnly starts the server in read mode under a ServiceAccount that has
// exactly the role the server prints for itself.
func serveReadOnly(ctx context.Context, c *testbed.Cluster, path string, s *state, out io.Writer) (*served.Server, error) {
	fmt.Fprintln(out, "starting kubernetes-mcp, read only, under its own ServiceAccount")
	const role = "toolcrib-read"
	rules, err := exec.CommandContext(ctx, path, "rbac", "--access=read", "--name="+role).Output()
	if err != nil {
		return nil, fmt.Errorf("print the read role: %w", err)
	}
	if err := c.Apply(ctx, rules); err != nil {
		return nil, err
	}
	if s.Kubeconfig, err = c.ServiceAccount(ctx, "toolcrib", "kubernetes-mcp", role); err != nil {
		return nil, err
	}
	process, err := served.Start(ctx, c.Dir, path, "--record="+os.DevNull, "--kubeconfig", s.Kubeconfig)
	if err != nil {
		return nil, err
	}
	s.Endpoint = process.URL
	return process, nil
}
