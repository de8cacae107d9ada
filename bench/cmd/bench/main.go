// Command bench measures the servers beside what they replace and prints one
// page of Markdown.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"

	"github.com/toolcrib/toolcrib/bench"
)

func main() {
	o := bench.Options{Progress: os.Stderr}
	flag.StringVar(&o.Bin, "bin", "bin", "folder of the servers to measure")
	flag.IntVar(&o.Rounds, "rounds", 50, "measured rounds of each comparison")
	only := flag.String("only", "", "what to measure: kubernetes, prometheus, helm, locks, agentcore or controller; all if absent")
	flag.Parse()
	debug.SetGCPercent(400) // so that our own garbage falls on no contender
	if err := run(o, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o bench.Options, only string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if only == "" {
		return bench.Page(ctx, os.Stdout, o, bench.Servers...)
	}
	i := slices.IndexFunc(bench.Servers, func(s bench.Server) bool { return s.Name == only })
	if i < 0 {
		return fmt.Errorf("--only %s: there is no such server", only)
	}
	return bench.Page(ctx, os.Stdout, o, bench.Servers[i])
}
