package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/toolcrib/toolcrib/testbed"
)

const defaultName = "dev"

func up(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := flags("up", `Starts a cluster in the background and prints how to use it:

  eval "$(testbed up)"

Tier control-plane runs no pods and needs no root; node has one real node and
needs root; scale has simulated nodes and pods, and fills itself once.`, stderr)
	tier := tierFlag(f)
	name := f.String("name", defaultName, "`name` of the cluster")
	o := testbed.Options{Progress: stderr}
	f.BoolVar(&o.Keep, "keep", false, "leave logs and audit log when the cluster is taken down")
	f.IntVar(&o.Nodes, "nodes", 0, "simulated nodes (scale: 1000 with 10000 pods unless given)")
	f.IntVar(&o.Pods, "pods", 0, "simulated pods")
	f.DurationVar(&o.CrashBackoffMax, "crash-backoff-max", 5*time.Minute, "longest wait before a crashed container restarts")
	if err := parse(f, args); err != nil {
		return err
	}
	o.Tier = *tier
	c, err := testbed.Find(*name)
	if errors.Is(err, testbed.ErrNoCluster) {
		began := time.Now()
		if c, err = testbed.Up(ctx, *name, o); err == nil {
			fmt.Fprintf(stderr, "cluster %s is up after %s; logs are in %s/log\n", *name, time.Since(began).Round(100*time.Millisecond), c.Dir)
		}
	}
	if err != nil {
		return err
	}
	if c.Tier() != o.Tier {
		return fmt.Errorf("cluster %s is up already, of tier %s; give another --name", *name, c.Tier())
	}
	fmt.Fprintf(stdout, "export KUBECONFIG=%s\n", c.Kubeconfig)
	return nil
}

// tierFlag defines --tier.
func tierFlag(f *flag.FlagSet) *testbed.Tier {
	tier := testbed.Node
	tiers := []testbed.Tier{testbed.ControlPlane, testbed.Node, testbed.Scale}
	f.Func("tier", "how much of a cluster: `control-plane, node or scale` (default node)", func(value string) error {
		if tier = testbed.Tier(value); !slices.Contains(tiers, tier) {
			return fmt.Errorf("want one of %v", tiers)
		}
		return nil
	})
	return &tier
}
