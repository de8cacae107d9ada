package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/image"
	"github.com/toolcrib/toolcrib/testbed/internal/netns"
	"github.com/toolcrib/toolcrib/testbed/internal/supervisor"
)

// Cluster is a running cluster.
type Cluster struct {
	Kubeconfig string // path; its user may do everything
	Dir        string // of state and logs; what is put there goes with the cluster

	state    state
	child    *exec.Cmd      // the supervisor, if this process started it
	lifeline io.WriteCloser // of child: closed, it stops the cluster
	external bool
}

// existing is the cluster of a kubeconfig that somebody else looks after.
func existing(kubeconfig string) (*Cluster, error) {
	kubeconfig, err := filepath.Abs(kubeconfig)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(kubeconfig); err != nil {
		return nil, fmt.Errorf("%s: %w", KubeconfigVariable, err)
	}
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		return nil, fmt.Errorf("%s is set: %w", KubeconfigVariable, err)
	}
	dir, err := os.MkdirTemp("", "toolcrib-")
	if err != nil {
		return nil, err
	}
	return &Cluster{Kubeconfig: kubeconfig, Dir: dir, state: state{Programs: build.Programs{"kubectl": kubectl}}, external: true}, nil
}

// External reports whether the cluster is that of TOOLCRIB_KUBECONFIG, which
// has no audit log and whose images and version are not ours.
func (c *Cluster) External() bool { return c.external }

// Stop takes the cluster down and returns when nothing of it is left.
func (c *Cluster) Stop() error {
	if c.external {
		return os.RemoveAll(c.Dir)
	}
	end := c.end
	if c.child == nil {
		end = c.state.end
	}
	if err := end(); err != nil {
		return fmt.Errorf("stop the cluster in %s: %w", c.Dir, err)
	}
	return c.state.forget()
}

// Kubectl runs kubectl as the administrator and returns its standard output.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) ([]byte, error) {
	return c.kubectl(ctx, nil, args...)
}

// Apply applies YAML or JSON manifests server-side and takes over what others
// own of them. What they grant is in effect when it returns, but on an existing
// cluster.
func (c *Cluster) Apply(ctx context.Context, manifests []byte) error {
	_, err := c.kubectl(ctx, manifests, "apply", "--server-side", "--force-conflicts", "-f", "-")
	if err != nil || !bytes.Contains(manifests, []byte("rbac.authorization.k8s.io/v1")) {
		return err
	}
	return c.AwaitGrants(ctx)
}

// KubectlPath is the kubectl that goes with the cluster.
func (c *Cluster) KubectlPath() string { return c.state.Programs["kubectl"] }

func (c *Cluster) kubectl(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.KubectlPath(), append([]string{"--kubeconfig", c.Kubeconfig}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// Load puts an image on the real node, as if it had been pulled. Pods that use
// it need imagePullPolicy IfNotPresent or Never when its tag is latest.
func (c *Cluster) Load(ctx context.Context, i image.Image) error {
	var archive bytes.Buffer
	if err := image.Write(&archive, i); err != nil {
		return err
	}
	if err := c.load(ctx, &archive); err != nil {
		return fmt.Errorf("load image %s: %w", i.Name, err)
	}
	return nil
}

// LoadArchive puts the images of an OCI archive on the real node, as [Cluster.Load]
// does, under the names that the archive gives them.
func (c *Cluster) LoadArchive(ctx context.Context, path string) error {
	archive, err := os.Open(path)
	if err != nil {
		return err
	}
	defer archive.Close()
	if err := c.load(ctx, archive); err != nil {
		return fmt.Errorf("load images of %s: %w", path, err)
	}
	return nil
}

func (c *Cluster) load(ctx context.Context, archive io.Reader) error {
	if c.state.Node == 0 {
		return c.noNode()
	}
	socket := fmt.Sprintf("/proc/%d/root%s", c.state.Node, supervisor.Socket)
	cmd := exec.CommandContext(ctx, c.state.Runtime.Path("usr/bin/ctr"), "-a", socket, "-n", "k8s.io", "images", "import", "-")
	cmd.Env = append(os.Environ(), c.state.Runtime.Env()...)
	cmd.Stdin = archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// Dial connects over TCP to the IP and port of a pod or Service, from the real
// node. It fits http.Transport's DialContext.
func (c *Cluster) Dial(_ context.Context, _, address string) (net.Conn, error) {
	if c.state.Node == 0 {
		return nil, fmt.Errorf("dial %s: %w", address, c.noNode())
	}
	return netns.Dial(c.state.Node, address)
}

// Listen listens over TCP on a free port of the real node, where pods reach what
// runs outside of the cluster.
func (c *Cluster) Listen(context.Context) (net.Listener, error) {
	if c.state.Node == 0 {
		return nil, fmt.Errorf("listen for pods: %w", c.noNode())
	}
	return netns.Listen(c.state.Node, net.JoinHostPort(supervisor.NodeIP, "0"))
}

func (c *Cluster) noNode() error {
	if c.external {
		return errExternal
	}
	return errors.New("the cluster has no real node: start it with tier Node")
}

func fields(out []byte) []string { return strings.Fields(string(out)) }
