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

	"github.com/toolcrib/toolcrib/testbed/build"
)

// state is what a running keeper tells later commands.
type state struct {
	Pid        int       `json:"pid"`        // of the keeper
	Built      time.Time `json:"built"`      // when the newest of its servers was
	Kubeconfig string    `json:"kubeconfig"` // of kubernetes-mcp's read-only ServiceAccount
	Shop       bool      `json:"shop"`
	Why        string    `json:"why,omitempty"` // there is no shop
	Story      story     `json:"story"`

	Endpoints map[string]string `json:"endpoints"` // by server
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

// serves reports whether a running keeper has the programs as they are now, and
// the agent the model that it would have now.
func (s state) serves(servers string, o Options) bool {
	built, err := builtAt(servers)
	return err == nil && s.alive() && s.Built.Equal(built) && s.Story.Person != "" &&
		s.Shop != o.Simulated && s.Story.Thinker.same(thinkerFor(o, s.scenario()))
}

// startKeeper starts the process that holds everything, and follows what it
// does until questions can be asked; what it returns follows on until the agent
// is ready. The keeper outlives this process.
func (o Options) startKeeper(ctx context.Context, t *teller, servers string) (s state, rest func() (state, error), err error) {
	dir, err := o.place()
	if err != nil {
		return s, nil, err
	}
	self, err := keepBinary(dir)
	if err != nil {
		return s, nil, err
	}
	cmd := exec.Command(self, "keep", servers, "--state", dir, "--charts", o.Charts, "--model", o.Model, fmt.Sprintf("--simulated=%t", o.Simulated))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	progress, err := cmd.StdoutPipe()
	if err != nil {
		return s, nil, fmt.Errorf("start the keeper: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return s, nil, fmt.Errorf("start the keeper: %w", err)
	}
	lines := bufio.NewScanner(progress)
	follow := func() (state, error) {
		interrupted := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
		defer interrupted()
		for lines.Scan() {
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
	s, err = follow()
	return s, follow, err
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

// ready is the keeper's line when questions can be asked, and its last one, when
// the agent can be asked too.
const ready = "ready"

// Keep starts cluster, shop, monitoring and servers, says so on standard
// output, and holds them until ctx ends.
func Keep(ctx context.Context, o Options) error {
	out := os.Stdout
	err := o.keep(ctx, out)
	if err != nil {
		fmt.Fprintln(out, "error:", err)
	}
	return err
}

func (o Options) keep(ctx context.Context, out *os.File) error {
	cluster, s, err := o.startCluster(ctx, out)
	if err != nil {
		return err
	}
	defer cluster.Stop()
	stack, err := startMonitoring(ctx, cluster, out)
	if err != nil {
		return err
	}
	defer stack.Stop()
	servers := &serving{folder: o.Servers, cluster: cluster, out: out}
	defer servers.stop()
	if err := servers.all(ctx, stack, &s); err != nil {
		return err
	}
	s.Pid = os.Getpid()
	if s.Built, err = builtAt(o.Servers); err != nil {
		return err
	}
	path, err := o.write(s)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	fmt.Fprintln(out, ready)
	crib := &crib{cluster: cluster, charts: o.Charts, servers: o.Servers, out: out}
	defer crib.stop()
	if err := crib.open(ctx, thinkerFor(o, s.scenario()), s.Shop, &s.Story); err != nil {
		return err
	}
	if _, err := o.write(s); err != nil {
		return err
	}
	fmt.Fprintln(out, ready)
	_ = out.Close() // who reads it may go now
	<-ctx.Done()
	return nil
}

// scenario is the story's where no real model tells it.
func (s state) scenario() string {
	if s.Shop {
		return "crash-loop-fix"
	}
	return "service-fix"
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
	fmt.Fprintln(out, "stopped: the demo's cluster and servers are gone")
	return nil
}
