package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/toolcrib/toolcrib/testbed"
)

func status(_ context.Context, args []string, stdout, stderr io.Writer) error {
	if err := parse(flags("status", "Lists the running clusters.", stderr), args); err != nil {
		return err
	}
	clusters, err := testbed.Clusters()
	if err != nil {
		return err
	}
	if len(clusters) == 0 {
		fmt.Fprintln(stderr, "no cluster is up")
		return nil
	}
	w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTIER\tAGE\tKUBECONFIG")
	for _, c := range clusters {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name(), c.Tier(), time.Since(c.Started()).Round(time.Second), c.Kubeconfig)
	}
	return w.Flush()
}
