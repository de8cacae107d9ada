package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/toolcrib/toolcrib/testbed"
)

// server is a running kubernetes-mcp.
type server struct {
	cmd      *exec.Cmd
	endpoint string
}

var listening = regexp.MustCompile(`msg=listening url="?(http://[^" ]+)`)

// startServer runs kubernetes-mcp on a free loopback port. Its log goes to log.
func startServer(ctx context.Context, path string, log io.Writer, args ...string) (*server, error) {
	cmd := exec.CommandContext(ctx, path, append([]string{"--http=127.0.0.1:0", "--record=" + os.DevNull}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	last := ""
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			go func() { // keeps the log from filling the pipe
				_, _ = io.Copy(io.Discard, stderr)
			}()
			return &server{cmd, m[1]}, nil
		}
		last = lines.Text()
		fmt.Fprintln(log, last)
	}
	return nil, fmt.Errorf("%s ended before it listened: %w: %s", path, cmd.Wait(), last)
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// serveReadOnly starts the server in read mode under a ServiceAccount that has
// exactly the role the server prints for itself.
func serveReadOnly(ctx context.Context, c *testbed.Cluster, path string, s *state, out io.Writer) (*server, error) {
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
	log, err := os.Create(filepath.Join(c.Dir, "kubernetes-mcp.log"))
	if err != nil {
		return nil, fmt.Errorf("log of the server: %w", err)
	}
	process, err := startServer(ctx, path, log, "--kubeconfig", s.Kubeconfig)
	if err != nil {
		return nil, err
	}
	s.Endpoint = process.endpoint
	return process, nil
}
