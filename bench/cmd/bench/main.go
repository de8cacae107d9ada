// Command bench measures kubernetes-mcp beside a raw request and a kubectl
// process, on a cluster of 1,000 nodes and 10,000 pods, and prints Markdown.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/toolcrib/toolcrib/bench"
	"github.com/toolcrib/toolcrib/testbed"
)

func main() {
	server := flag.String("server", "bin/kubernetes-mcp", "kubernetes-mcp to measure")
	rounds := flag.Int("rounds", 50, "measured rounds of each comparison")
	flag.Parse()
	if err := run(*server, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(server string, rounds int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cluster, err := testbed.Start(ctx, testbed.Options{Tier: testbed.Scale, Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	return bench.Report(ctx, os.Stdout, bench.Setup{
		Kubeconfig: cluster.Kubeconfig,
		Kubectl:    cluster.KubectlPath(),
		Server:     server,
		Rounds:     rounds,
		Namespace:  "scale-1",
		Selector:   "app=app-1",
	})
}
