// Command testbed builds the programs that tests run against, and runs
// clusters of them for people: the same that tests start for themselves.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Testbed gives you a real Kubernetes cluster on loopback, built from source and
run without Docker. Nothing is installed, and nothing stays when it is down.

Usage:
  testbed build     build all programs into the cache, once
  testbed up        start a cluster that runs until you take it down
  testbed down      take a cluster down
  testbed status    list the running clusters
  testbed kubectl   run kubectl in a cluster: testbed kubectl get nodes
  testbed model     play a scenario as a model server

"testbed COMMAND --help" lists a command's flags. The cache is ~/.cache/toolcrib;
TOOLCRIB_CACHE names another folder.
`

// command is one word after testbed.
type command func(ctx context.Context, args []string, stdout, stderr io.Writer) error

var commands = map[string]command{
	"build": buildAll, "up": up, "down": down, "status": status, "kubectl": kubectl, "model": playModel,
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(stdout, usage)
		return 0
	}
	c, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "testbed: no command %q; see testbed help\n", args[0])
		return 2
	}
	err := c(ctx, args[1:], stdout, stderr)
	var exit exitCode
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.Is(err, errUsage):
		return 2
	}
	fmt.Fprintln(stderr, "testbed:", err)
	return 1
}

// errUsage stands for what the flag package has told already.
var errUsage = errors.New("bad usage")

// exitCode is that of a program run for the user, which has said why itself.
type exitCode int

// Error implements error.
func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// flags returns the flag set of a command with its help text.
func flags(name, help string, stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "Usage: testbed %s [flags]\n\n%s\n\nFlags:\n", name, help)
		f.PrintDefaults()
	}
	return f
}

// parse takes flags alone: no command has further arguments.
func parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%s takes no argument %q; see testbed %s --help", f.Name(), f.Arg(0), f.Name())
	}
	return nil
}
