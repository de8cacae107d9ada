package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/shop"
)

// state is what a running keeper tells later commands.
type state struct {
	Pid        int       `json:"pid"`   // of the keeper
	Built      time.Time `json:"built"` // when the server it runs was
	Endpoint   string    `json:"endpoint"`
	Kubeconfig string    `json:"kubeconfig"` // of the read-only ServiceAccount
	Shop       bool      `json:"shop"`
	Why        string    `json:"why,omitempty"` // there is no shop
}

// place is the folder where a keeper leaves its state.
func (o Options) place() (string, error) {
	dir := o.State
	if dir == "" {
		cache, err := build.Cache()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(cache, "demo")
	}
	return dir, os.MkdirAll(dir, 0o700)
}

func (o Options) readState() (state, error) {
	var s state
	dir, err := o.place()
	if err != nil {
		return s, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(raw, &s)
}

// alive reports whether the keeper still runs.
func (s state) alive() bool { return s.Pid > 0 && syscall.Kill(s.Pid, 0) == nil }

// serves reports whether a running keeper has the server as it is now.
func (s state) serves(server string) bool {
	built, err := builtAt(server)
	return err == nil && s.alive() && s.Built.Equal(built)
}

func builtAt(server string) (time.Time, error) {
	info, err := os.Stat(server)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w; run make build first", err)
	}
	return info.ModTime(), nil
}

// startKeeper starts the process that holds cluster and server, and follows
// what it does until both are ready. The keeper outlives this process.
func (o Options) startKeeper(ctx context.Context, t *teller, server string) (state, error) {
	dir, err := o.place()
	if err != nil {
		return state{}, err
	}
	self, err := keepBinary(dir)
	if err != nil {
		return state{}, err
	}
	cmd := exec.Command(self, "keep", server, "--state", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	progress, err := cmd.StdoutPipe()
	if err != nil {
		return state{}, fmt.Errorf("start the keeper: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return state{}, fmt.Errorf("start the keeper: %w", err)
	}
	interrupted := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer interrupted()
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		if lines.Text() == ready {
			return o.readState()
		}
		t.step("%s", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		return state{}, fmt.Errorf("the cluster did not start: %w", err)
	}
	return state{}, errors.New("the cluster did not start")
}

// keepBinary copies the running demo into dir: go run deletes its own binary
// when it ends.
func keepBinary(dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("path of the demo: %w", err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		return "", fmt.Errorf("read the demo: %w", err)
	}
	kept := filepath.Join(dir, "keeper")
	if err := os.Remove(kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("replace %s: %w", kept, err)
	}
	return kept, os.WriteFile(kept, content, 0o700)
}

// ready is the keeper's last line.
const ready = "ready"

// Keep starts cluster, shop and server, says so on standard output, and holds
// them until ctx ends.
func Keep(ctx context.Context, o Options, server string) error {
	out := os.Stdout
	cluster, s, err := startCluster(ctx, out)
	if err != nil {
		fmt.Fprintln(out, "error:", err)
		return err
	}
	defer cluster.Stop()
	process, err := serveReadOnly(ctx, cluster, server, &s, out)
	if err != nil {
		fmt.Fprintln(out, "error:", err)
		return err
	}
	defer process.Stop()
	s.Pid = os.Getpid()
	if s.Built, err = builtAt(server); err != nil {
		return err
	}
	path, err := o.write(s)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	fmt.Fprintln(out, ready)
	_ = out.Close() // who reads it may go now
	<-ctx.Done()
	return nil
}

// startCluster prefers a real node with the shop in it, and falls back to
// simulated nodes where the machine gives none.
func startCluster(ctx context.Context, out io.Writer) (*testbed.Cluster, state, error) {
	cluster, err := testbed.Start(ctx, testbed.Options{Tier: testbed.Node, Progress: out, CrashBackoffMax: 20 * time.Second})
	if err != nil {
		if ctx.Err() != nil {
			return nil, state{}, err
		}
		simulated, second := testbed.Start(ctx, testbed.Options{Tier: testbed.Scale, Nodes: 3, Pods: 30, Progress: out})
		return simulated, state{Why: err.Error()}, second
	}
	fmt.Fprintln(out, "opening the shop, faults included")
	if err := openShop(ctx, cluster); err != nil {
		return nil, state{}, errors.Join(err, cluster.Stop())
	}
	return cluster, state{Shop: true}, nil
}

// openShop deploys the shop, rolls its frontend out once more, and waits until
// its faults show.
func openShop(ctx context.Context, c *testbed.Cluster) error {
	if err := c.Apply(ctx, shop.Manifests); err != nil {
		return err
	}
	for _, wait := range [][]string{
		{"deployment/frontend", "--for=condition=Available"},
		{"pod", "-l", "app=checkout", "--for=jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=1"},
		{"pod", "-l", "app=catalog", "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}"},
	} {
		if _, err := c.Kubectl(ctx, append([]string{"wait", "-n", shop.Namespace, "--timeout=60s"}, wait...)...); err != nil {
			return err
		}
	}
	if err := c.Apply(ctx, shop.Rollout); err != nil {
		return err
	}
	_, err := c.Kubectl(ctx, "rollout", "status", "-n", shop.Namespace, "deployment/frontend", "--timeout=60s")
	return err
}

func (o Options) write(s state) (string, error) {
	dir, err := o.place()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "state.json")
	raw, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("state: %w", err)
	}
	return path, os.WriteFile(path, raw, 0o600)
}

// Stop ends what an earlier demo left running, and waits until it is gone.
func Stop(ctx context.Context, o Options, out io.Writer) error {
	s, err := o.readState()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !s.alive() {
		fmt.Fprintln(out, "nothing is running")
		return nil
	}
	if err != nil {
		return err
	}
	if err := syscall.Kill(s.Pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", s.Pid, err)
	}
	for tick := time.NewTicker(100 * time.Millisecond); s.alive(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	fmt.Fprintln(out, "stopped: the demo's cluster and server are gone")
	return nil
}
