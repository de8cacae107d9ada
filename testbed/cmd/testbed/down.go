package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/toolcrib/toolcrib/testbed"
)

func down(_ context.Context, args []string, _, stderr io.Writer) error {
	f := flags("down", "Takes a cluster down and returns when nothing of it is left.", stderr)
	name := f.String("name", defaultName, "`name` of the cluster")
	all := f.Bool("all", false, "take down every named cluster")
	if err := parse(f, args); err != nil {
		return err
	}
	var clusters []*testbed.Cluster
	var err error
	if *all {
		clusters, err = testbed.Clusters()
	} else {
		var c *testbed.Cluster
		c, err = testbed.Find(*name)
		clusters = append(clusters, c)
	}
	if err != nil {
		return err
	}
	for _, c := range clusters {
		stopped := c.Stop()
		if stopped == nil {
			fmt.Fprintf(stderr, "cluster %s is down\n", c.Name())
		}
		err = errors.Join(err, stopped)
	}
	return err
}
