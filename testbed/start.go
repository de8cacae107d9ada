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

// start starts a cluster under a supervisor; a named one outlives this process.
func start(ctx context.Context, o Options, named *named) (*Cluster, error) {
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
	if named != nil {
		spec.Detach, spec.Keep = true, named.Keep
	}
	c := &Cluster{Dir: spec.Dir, Kubeconfig: filepath.Join(spec.Dir, supervisor.KubeconfigFile), programs: spec.Programs, runtime: spec.Runtime, tier: o.Tier}
	if err := c.supervise(ctx, spec, o.Progress); err != nil {
		return nil, errors.Join(fmt.Errorf("start a cluster with %s: %w", o.Tier, err), os.RemoveAll(spec.Dir))
	}
	return c, nil
}

// prepare builds and gathers all that the supervisor needs.
func prepare(ctx context.Context, o Options) (spec supervisor.Spec, err error) {
	spec = supervisor.Spec{Tier: string(o.Tier), APIServerArgs: o.APIServerArgs, CrashBackoffMax: o.CrashBackoffMax, Nodes: o.Nodes, Pods: o.Pods}
	if o.Tier == Scale && o.Nodes == 0 && o.Pods == 0 {
		spec.Nodes, spec.Pods = 1000, 10000
	}
	if spec.Programs, err = Build(ctx, o.Tier, o.Progress); err != nil {
		return spec, err
	}
	if spec.Dir, err = os.MkdirTemp("", "tc-"); err != nil { // short: sockets lie in there
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
		spec.Snapshot, err = snapshotFile(spec)
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
	stderr, err := os.Create(filepath.Join(spec.Dir, "supervisor.log")) // never our own: a test's caller would wait for it
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
	c.supervisor = cmd
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
			c.pid = e.Pid
			return nil
		}
		fmt.Fprintln(progress, e.Progress)
	}
	return cmp.Or(lines.Err(), errors.New("the supervisor ended while it started"))
}

// end asks the supervisor to take everything down and waits for it.
func (c *Cluster) end() error {
	c.lifeline.Close()
	ended := make(chan error, 1)
	go func() { ended <- c.supervisor.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(20 * time.Second):
		return errors.Join(errors.New("the supervisor did not end in 20s"), c.supervisor.Process.Kill())
	}
}
