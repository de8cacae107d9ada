package supervisor

import (
	"bufio"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/template"
	"time"

	"github.com/toolcrib/toolcrib/testbed/proc"
)

//go:embed files/containerd.toml files/cni.conflist files/kubelet.yaml files/proxy.yaml files/Corefile
var nodeFiles embed.FS

// startNode starts the namespaces and, from in there, the node; then it makes
// the API server reachable from outside. It returns the first process inside.
func (s *supervisor) startNode(ctx context.Context) (pid int, err error) {
	if err := makeCgroups(s.cgroup()); err != nil {
		return 0, fmt.Errorf("a real node needs root and cgroups: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	cmd := exec.Command(s.Programs["toolcrib-testbed"], "init", s.Dir)
	cmd.Stdout = w
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID}
	init, err := s.procs.StartCmd("init", cmd)
	w.Close()
	if err != nil {
		return 0, fmt.Errorf("a real node needs root and private namespaces: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	if err := s.relay(r); err != nil {
		return 0, errors.Join(context.Cause(ctx), err, init.Err())
	}
	address, err := forward(init.Pid(), fmt.Sprintf("%s:%d", loopback, s.Ports.API))
	if err != nil {
		return 0, err
	}
	return init.Pid(), s.writeKubeconfig("https://" + address)
}

// relay passes the node's progress on until it is ready.
func (s *supervisor) relay(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("read the node's report %q: %w", lines.Text(), err)
		}
		switch {
		case e.Error != "":
			return errors.New(e.Error)
		case e.Ready:
			return nil
		}
		s.report(e)
	}
	return cmp.Or(lines.Err(), errors.New("the node ended while it started"))
}

// RunNode starts everything that runs inside the node's namespaces and never
// returns without an error, which it has reported on out.
func RunNode(dir string, out io.Writer) error {
	spec, err := readSpec(dir)
	if err != nil {
		return err
	}
	s := &supervisor{Spec: spec, events: json.NewEncoder(out)}
	s.procs.Logs = s.path("log")
	s.procs.Env = s.Runtime.Env()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.runNode(ctx); err != nil {
		s.report(Event{Error: err.Error()})
		return err
	}
	s.report(Event{Ready: true})
	select {} // until the namespaces end
}

func (s *supervisor) runNode(ctx context.Context) error {
	if err := s.writeNodeFiles(); err != nil {
		return err
	}
	containerd, err := s.procs.Start("containerd", s.Runtime.Path("usr/bin/containerd"), "-c", Root+"/containerd.toml")
	if err != nil {
		return err
	}
	imported := make(chan error, 1)
	go func() { imported <- s.importImages(ctx, containerd) }()
	if err := s.startControlPlane(ctx); err != nil {
		return err
	}
	if err := <-imported; err != nil {
		return err
	}
	kubelet, err := s.procs.Start("kubelet", s.Programs["kubelet"], "--config", Root+"/kubelet.yaml", "--kubeconfig", s.kubeconfig("kubelet"),
		"--hostname-override", nodeName, "--node-ip", NodeIP, "--root-dir", Root+"/kubelet", "--cert-dir", Root+"/kubelet-certs")
	if err != nil {
		return err
	}
	proxy, err := s.procs.Start("kube-proxy", s.Programs["kube-proxy"], "--config", Root+"/proxy.yaml")
	if err != nil {
		return err
	}
	if err := s.startAddons(ctx); err != nil {
		return err
	}
	if err := s.awaitNode(ctx, kubelet, proxy); err != nil {
		return err
	}
	if s.Nodes == 0 {
		return nil
	}
	return s.simulate(ctx)
}

func (s *supervisor) importImages(ctx context.Context, containerd *proc.Process) error {
	up := func(context.Context) (bool, error) {
		c, err := net.Dial("unix", Socket)
		if err != nil {
			return false, err
		}
		return true, c.Close()
	}
	if err := proc.Until(ctx, "containerd", 20*time.Millisecond, up, containerd); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, s.Runtime.Path("usr/bin/ctr"), "-a", Socket, "-n", "k8s.io", "images", "import", s.Images)
	cmd.Env = append(os.Environ(), s.Runtime.Env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import the node's images: %w: %s", err, out)
	}
	return nil
}

// awaitNode waits until the node takes pods.
func (s *supervisor) awaitNode(ctx context.Context, on ...*proc.Process) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	began := time.Now()
	ready := func(ctx context.Context) (bool, error) {
		var node struct {
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}
		if err := client.Get(ctx, "/api/v1/nodes/"+nodeName, &node); err != nil {
			return false, err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == "Ready" {
				return c.Status == "True", errors.New(c.Message)
			}
		}
		return false, errors.New("it has no condition Ready")
	}
	if err := proc.Until(ctx, "the node", 50*time.Millisecond, ready, on...); err != nil {
		return err
	}
	s.progress("node ready after %s", time.Since(began).Round(10*time.Millisecond))
	return nil
}

// writeNodeFiles fills in the configuration of every program of the node.
func (s *supervisor) writeNodeFiles() error {
	values := struct {
		Dir, Root, Cgroup, CNI, Pause, Node, NodeIP string
		CrashBackoffMax                             time.Duration
	}{s.Dir, Root, s.cgroup(), s.Runtime.Path("usr/lib/cni"), PauseImage, nodeName, NodeIP, cmp.Or(s.CrashBackoffMax, 5*time.Minute)}
	templates, err := template.ParseFS(nodeFiles, "files/*")
	if err != nil {
		return err
	}
	for name, at := range map[string]string{
		"containerd.toml": "containerd.toml", "cni.conflist": "cni/10-toolcrib.conflist",
		"kubelet.yaml": "kubelet.yaml", "proxy.yaml": "proxy.yaml", "Corefile": "Corefile",
	} {
		path := filepath.Join(Root, at)
		if err := writeFile(path, ""); err != nil {
			return err
		}
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := errors.Join(templates.ExecuteTemplate(f, name, values), f.Close()); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return writeFile(filepath.Join(Root, "resolv.conf"), "")
}
