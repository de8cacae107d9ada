package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/charts"
	"github.com/toolcrib/toolcrib/testbed/monitoring"
	"github.com/toolcrib/toolcrib/testbed/proc"
	"github.com/toolcrib/toolcrib/testbed/shop"
)

// startCluster prefers a real node with the shop in it, and falls back to
// simulated nodes where the machine gives none.
func (o Options) startCluster(ctx context.Context, out io.Writer) (*testbed.Cluster, state, error) {
	if o.Simulated {
		return startSimulated(ctx, out, "as you wished")
	}
	cluster, err := testbed.Start(ctx, testbed.Options{Tier: testbed.Node, Progress: out, CrashBackoffMax: 20 * time.Second})
	if err != nil {
		if ctx.Err() != nil {
			return nil, state{}, err
		}
		return startSimulated(ctx, out, err.Error())
	}
	fmt.Fprintln(out, "opening the shop, faults included")
	if err := openShop(ctx, cluster, out); err != nil {
		return nil, state{}, errors.Join(err, cluster.Stop())
	}
	return cluster, state{Shop: true}, nil
}

// startSimulated has nodes that only say that they run pods, and a Service that
// leads to none of them.
func startSimulated(ctx context.Context, out io.Writer, why string) (*testbed.Cluster, state, error) {
	cluster, err := testbed.Start(ctx, testbed.Options{Tier: testbed.Scale, Nodes: 1, Progress: out})
	if err != nil {
		return nil, state{}, err
	}
	if err := cluster.Apply(ctx, openPayments(shop.Manifests)); err != nil {
		return nil, state{}, errors.Join(err, cluster.Stop())
	}
	return cluster, state{Why: why}, nil
}

// openShop deploys the shop, rolls its frontend out once more, and waits until
// its faults show.
func openShop(ctx context.Context, c *testbed.Cluster, out io.Writer) error {
	if err := c.Apply(ctx, shop.Manifests); err != nil {
		return err
	}
	if err := openStorefront(ctx, c, out); err != nil {
		return err
	}
	for _, wait := range [][]string{
		{"deployment/frontend", "--for=condition=Available"},
		crashed,
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

// openPayments are those of the shop's manifests that can be broken without a
// node: a Service, and the Deployment that it misses.
func openPayments(manifests []byte) []byte {
	var out strings.Builder
	for d := range strings.SplitSeq(string(manifests), "\n---") {
		if strings.Contains(d, "kind: Namespace") || strings.Contains(d, "metadata: {name: payments") {
			out.WriteString("---\n" + d + "\n")
		}
	}
	return []byte(out.String())
}

// crashed is what checkout must be for the story.
var crashed = []string{"pod", "-l", "app=checkout", "--for=jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=1"}

// breakAgain gives the shop its faults back, one of which the agent may have
// mended.
func (s state) breakAgain(ctx context.Context) error {
	apply := []string{"apply", "--server-side", "--force-conflicts", "-f", "-"}
	if !s.Shop {
		return s.kubectl(ctx, openPayments(shop.Manifests), apply...)
	}
	// What runs well would go on beside what does not: it goes first.
	if err := s.kubectl(ctx, nil, "delete", "deployment", "checkout", "-n", shop.Namespace, "--ignore-not-found", "--cascade=foreground", "--timeout=60s"); err != nil {
		return err
	}
	if err := s.kubectl(ctx, shop.Manifests, apply...); err != nil {
		return err
	}
	return s.kubectl(ctx, nil, append([]string{"wait", "-n", shop.Namespace, "--timeout=60s"}, crashed...)...)
}

// kubectl runs kubectl as who may do everything.
func (s state) kubectl(ctx context.Context, stdin []byte, args ...string) error {
	cmd := exec.CommandContext(ctx, s.Story.Kubectl, append([]string{"--kubeconfig", s.Story.Admin}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", args[0], err, out)
	}
	return nil
}

// openStorefront installs a release as a person would, upgrades it, and then
// changes it by hand, as a person should not.
func openStorefront(ctx context.Context, c *testbed.Cluster, out io.Writer) error {
	programs, err := build.Build(ctx, out, build.Helm)
	if err != nil {
		return err
	}
	for _, step := range []struct{ version, page string }{{"1.0.0", "Welcome"}, {"1.2.0", "Winter sale"}} {
		archive := filepath.Join(c.Dir, charts.Chart{Name: "web", Version: step.version}.FileName())
		content, err := charts.Chart{Name: "web", Version: step.version}.Archive()
		if err != nil {
			return err
		}
		if err := os.WriteFile(archive, content, 0o600); err != nil {
			return fmt.Errorf("write a chart: %w", err)
		}
		cmd := exec.CommandContext(ctx, programs["helm"], "upgrade", "--install", "storefront", archive,
			"--kubeconfig", c.Kubeconfig, "--namespace", shop.Namespace,
			"--set", "page="+step.page, "--set", "auth.adminPassword=not-for-your-eyes")
		if printed, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("install storefront %s: %w: %s", step.version, err, printed)
		}
	}
	_, err = c.Kubectl(ctx, "scale", "-n", shop.Namespace, "deployment/storefront", "--replicas=1")
	return err
}

// startMonitoring watches the cluster, and lets one queue of the shop fill up
// until somebody is told.
func startMonitoring(ctx context.Context, c *testbed.Cluster, out io.Writer) (*monitoring.Stack, error) {
	stack, err := monitoring.Start(ctx, monitoring.Options{Kubeconfig: c.Kubeconfig, History: true, Progress: out})
	if err != nil {
		return nil, err
	}
	err = stack.Set(ctx, "testbed_queue_length", 250, "queue", "orders")
	if err == nil {
		err = proc.Until(ctx, "a notification of QueueFull", 100*time.Millisecond, func(ctx context.Context) (bool, error) {
			sent, err := stack.Notifications(ctx)
			told := func(n monitoring.Notification) bool { return n.Receiver == "shop-orders" }
			return slices.ContainsFunc(sent, told), err
		})
	}
	if err != nil {
		return nil, errors.Join(err, stack.Stop())
	}
	return stack, nil
}
