package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/charts"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// releases are a cluster with thirty releases made by helm itself, and the
// repository their charts came from:
//
//	shop/web       web 1.0.0, then 1.1.0 with another page, then 1.2.0 with three replicas; scaled to five by hand since
//	shop/orders    with-hooks 1.0.0 with a greeting of its own, whose hooks were skipped
//	data/warehouse slow 1.0.0, then 1.1.0, which failed because nothing got ready
//	ops/locked     with-hooks 1.0.0, pending: helm was killed while a hook ran
//	team-a, team-b 13 each, of web 1.0.0 and cache 1.2.0 in turn
//
// No pod runs in it.
type releases struct {
	cluster *testbed.Cluster
	charts  *charts.Repository
	program string // helm
	dir     string // of helm's own files
}

// chartSource is what the repository is called.
const chartSource = "charts"

func startReleases(ctx context.Context, progress io.Writer) (*releases, error) {
	r := &releases{}
	if err := r.start(ctx, progress); err != nil {
		return nil, fmt.Errorf("prepare releases: %w", errors.Join(err, r.stop()))
	}
	return r, nil
}

func (r *releases) start(ctx context.Context, progress io.Writer) (err error) {
	programs, err := build.Build(ctx, progress, build.Helm)
	if err != nil {
		return err
	}
	r.program = programs["helm"]
	if r.dir, err = os.MkdirTemp("", "toolcrib-bench-"); err != nil {
		return err
	}
	if r.charts, err = charts.Start(ctx, charts.Options{Progress: progress}); err != nil {
		return err
	}
	if r.cluster, err = testbed.Start(ctx, testbed.Options{Progress: progress}); err != nil {
		return err
	}
	fmt.Fprintln(progress, "installing thirty releases")
	for _, line := range strings.Split(strings.TrimSpace(r.script()), "\n") {
		if _, err := r.helm(strings.Fields(line)...).run(ctx); err != nil {
			return err
		}
	}
	if err := r.fail(ctx); err != nil {
		return err
	}
	if err := r.lock(ctx); err != nil {
		return err
	}
	_, err = r.cluster.Kubectl(ctx, "scale", "deployment/web", "--namespace=shop", "--replicas=5")
	return err
}

// script is what helm is asked to do, a command in each line.
func (r *releases) script() string {
	lines := []string{
		"repo add " + chartSource + " " + r.charts.URL(charts.Plain),
		"install web charts/web --version 1.0.0 -n shop --create-namespace",
		"upgrade web charts/web --version 1.1.0 -n shop --set page=Sale",
		"upgrade web charts/web --version 1.2.0 -n shop --set page=Sale --set replicas=3",
		"install orders charts/with-hooks --version 1.0.0 -n shop --no-hooks --set greeting=welcome",
		"install warehouse charts/slow --version 1.0.0 -n data --create-namespace",
	}
	for i := range 26 {
		chart := []string{"web --version 1.0.0", "cache --version 1.2.0"}[i%2]
		namespace := []string{"team-a", "team-b"}[i/13]
		lines = append(lines, fmt.Sprintf("install app-%02d charts/%s -n %s --create-namespace", i, chart, namespace))
	}
	return strings.Join(lines, "\n")
}

// fail leaves warehouse failed: what it waits for never comes.
func (r *releases) fail(ctx context.Context) error {
	_, err := r.helm("upgrade", "warehouse", "charts/slow", "--version=1.1.0", "--namespace=data", "--wait", "--timeout=1s").run(ctx)
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		return fmt.Errorf("an upgrade that cannot work ended with %w", err)
	}
	return nil
}

// lock leaves locked pending: helm is killed in the middle of the install.
func (r *releases) lock(ctx context.Context) error {
	cut, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := r.helm("install", "locked", "charts/with-hooks", "--version=1.0.0", "--namespace=ops", "--create-namespace").run(cut)
		ended <- err
	}()
	ctx, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	err := proc.Until(ctx, "locked to be pending", 50*time.Millisecond, func(ctx context.Context) (bool, error) {
		out, err := r.helm("list", "--namespace=ops", "--pending", "--short").run(ctx)
		return strings.TrimSpace(out) == "locked", err
	})
	cancel()
	<-ended
	return err
}

// helm is a run of helm with these arguments.
func (r *releases) helm(args ...string) command {
	return command{r.program, []string{
		"KUBECONFIG=" + r.cluster.Kubeconfig,
		"HELM_CACHE_HOME=" + filepath.Join(r.dir, "cache"),
		"HELM_CONFIG_HOME=" + filepath.Join(r.dir, "config"),
		"HELM_DATA_HOME=" + filepath.Join(r.dir, "data"),
	}, args}
}

// kubectl is a run of kubectl with these arguments.
func (r *releases) kubectl(args ...string) command {
	return command{r.cluster.KubectlPath(), []string{"KUBECONFIG=" + r.cluster.Kubeconfig}, args}
}

// repositories is the file in which helm keeps its repositories.
func (r *releases) repositories() string { return filepath.Join(r.dir, "config", "repositories.yaml") }

func (r *releases) stop() (err error) {
	if r.cluster != nil {
		err = r.cluster.Stop()
	}
	if r.charts != nil {
		err = errors.Join(err, r.charts.Stop())
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}
