// Package bench measures each server beside what it replaces, a locked server
// beside an open one, and an agent beside its conversation by hand, on the same
// backend in the same run: a raw HTTP request, a command-line program, the
// official server. So what it reports are ratios and not the speed of a machine.
// Of the controller it measures how it bears many objects. It refuses to compare
// answers that do not hold the same facts.
package bench

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
)

// Options say how to measure.
type Options struct {
	Bin      string    // folder of the built servers
	Rounds   int       // measured rounds per comparison
	Progress io.Writer // told what happens before anything can be measured
}

func (o Options) program(name string) string { return filepath.Join(o.Bin, name) }

// Server is one that can be measured.
type Server struct {
	Name    string
	Measure func(context.Context, io.Writer, Options) error
}

// Servers are all of them, in the order of the page.
var Servers = []Server{{"kubernetes", Kubernetes}, {"prometheus", Prometheus}, {"helm", Helm}, {"locks", Locks}, {"agentcore", Agentcore}, {"controller", Controller}}

// Page measures servers and writes one markdown page to w.
func Page(ctx context.Context, w io.Writer, o Options, servers ...Server) error {
	fmt.Fprintf(w, "# Benchmarks\n\n`make bench` measures each server beside what it replaces, and a locked server beside an open one, on the same backend in the same run: read the ratios, not the milliseconds. One run on %d cores, as printed.\n", runtime.NumCPU())
	for _, s := range servers {
		if err := s.Measure(ctx, w, o); err != nil {
			return fmt.Errorf("measure %s: %w", s.Name, err)
		}
	}
	return nil
}
