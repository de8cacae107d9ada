package testbed

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/image"
	"github.com/toolcrib/toolcrib/testbed/internal/supervisor"
)

// Build builds what a tier needs into the cache; the second time it only
// looks.
func Build(ctx context.Context, tier Tier, progress io.Writer) (build.Programs, error) {
	binaries := []build.Binary{build.Supervisor, build.Etcd, build.Kube}
	switch tier {
	case Node:
		binaries = append(binaries, build.Pause, build.Kwok, build.MetricsServer, build.CoreDNS)
	case Scale:
		binaries = append(binaries, build.Kwok)
	}
	return build.Build(ctx, progress, binaries...)
}

// start starts a cluster under a supervisor; a detached one outlives this
// process.
func start(ctx context.Context, o Options, detach bool) (*Cluster, error) {
	o.Tier = cmp.Or(o.Tier, ControlPlane)
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Tier == Node && os.Geteuid() != 0 {
		return nil, errors.New("a real node needs root: run as root, or name a cluster in " + KubeconfigVariable)
	}
	spec, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	spec.Detach = detach
	c := &Cluster{
		Dir: spec.Dir, Kubeconfig: filepath.Join(spec.Dir, supervisor.KubeconfigFile),
		state: state{Dir: spec.Dir, Tier: o.Tier, Programs: spec.Programs, Runtime: spec.Runtime, Started: time.Now()},
	}
	if err := c.supervise(ctx, spec, o.Progress); err != nil {
		err = fmt.Errorf("start a cluster of tier %s: %w", o.Tier, err)
		if o.Keep {
			return nil, fmt.Errorf("%w (logs: %s)", err, spec.Dir)
		}
		return nil, errors.Join(err, os.RemoveAll(spec.Dir))
	}
	return c, nil
}

// prepare builds and gathers all that the supervisor needs.
func prepare(ctx context.Context, o Options) (spec supervisor.Spec, err error) {
	spec = supervisor.Spec{Tier: string(o.Tier), APIServerArgs: o.APIServerArgs, CrashBackoffMax: o.CrashBackoffMax, Nodes: o.Nodes, Pods: o.Pods, Keep: o.Keep}
	if o.Tier == Scale && o.Nodes == 0 && o.Pods == 0 {
		spec.Nodes, spec.Pods = 1000, 10000
	}
	if spec.Programs, err = Build(ctx, o.Tier, o.Progress); err != nil {
		return spec, err
	}
	if spec.Dir, err = os.MkdirTemp("", supervisor.DirPattern); err != nil { // short: sockets lie in there
		return spec, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(spec.Dir))
		}
	}()
	switch o.Tier {
	case Node:
		if spec.Runtime, err = build.Debian(ctx, o.Progress, build.Runtime...); err != nil {
			return spec, err
		}
		spec.Images = filepath.Join(spec.Dir, "images.tar")
		err = writeNodeImages(ctx, spec)
	case Scale:
		var cache string
		cache, err = build.Cache()
		spec.Snapshot = filepath.Join(cache, "snapshots", spec.SnapshotName())
	}
	return spec, err
}

// writeNodeImages makes the images that every real node has.
func writeNodeImages(ctx context.Context, spec supervisor.Spec) error {
	busybox := spec.Runtime.Path("bin/busybox")
	list, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("list busybox's programs: %w", err)
	}
	links := map[string]string{}
	for _, name := range fields(list) {
		if name != "busybox" {
			links["bin/"+name] = "busybox"
		}
	}
	f, err := os.Create(spec.Images)
	if err != nil {
		return err
	}
	return errors.Join(image.Write(f,
		image.Image{Name: supervisor.PauseImage, Files: map[string]string{"bin/pause": spec.Programs["pause"]}, Entrypoint: []string{"/bin/pause"}},
		image.Image{Name: supervisor.BusyboxImage, Files: map[string]string{"bin/busybox": busybox}, Links: links, Cmd: []string{"/bin/sh"}},
	), f.Close())
}

// supervise starts the supervisor, tells it what to run and follows it until
// the cluster is ready.
func (c *Cluster) supervise(ctx context.Context, spec supervisor.Spec, progress io.Writer) error {
	stderr, err := os.Create(filepath.Join(spec.Dir, supervisor.LogFile)) // never our own: a test's caller would wait for it
	if err != nil {
		return err
	}
	defer stderr.Close()
	cmd := exec.Command(spec.Programs["toolcrib-testbed"])
	cmd.Stderr = stderr
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is for us alone
	if c.lifeline, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.child, c.state.Supervisor = cmd, cmd.Process.Pid
	stop := context.AfterFunc(ctx, func() { c.lifeline.Close() }) // it stops and reports why
	defer stop()
	if err := json.NewEncoder(c.lifeline).Encode(spec); err != nil {
		return errors.Join(err, c.end())
	}
	if err := c.follow(out, progress); err != nil {
		_ = c.end() // its own exit says the same again
		return errors.Join(context.Cause(ctx), err)
	}
	return nil
}

// follow passes progress on until the cluster is ready.
func (c *Cluster) follow(out io.Reader, progress io.Writer) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e supervisor.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("read the supervisor's report %q: %w", lines.Text(), err)
		}
		switch {
		case e.Error != "":
			return errors.New(e.Error)
		case e.Ready:
			c.state.Node = e.Pid
			return nil
		}
		fmt.Fprintln(progress, e.Progress)
	}
	return cmp.Or(lines.Err(), errors.New("the supervisor ended while it started"))
}

// stopTimeout is for a machine that is very busy; a stop takes a second.
const stopTimeout = 3 * time.Minute

// end asks the supervisor, our child, to take everything down and waits for it.
func (c *Cluster) end() error {
	c.lifeline.Close()
	_ = c.child.Process.Signal(syscall.SIGTERM) // one that is detached heeds no lifeline
	ended := make(chan error, 1)
	go func() { ended <- c.child.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the supervisor did not end in %s", stopTimeout), c.child.Process.Kill())
	}
}
