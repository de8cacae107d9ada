// Command toolcrib-testbed runs one cluster for the process that started it.
// It is not for people: see cmd/testbed.
package main

import (
	"fmt"
	"os"

	"github.com/toolcrib/toolcrib/testbed/internal/supervisor"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "toolcrib-testbed:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 0:
		return supervisor.Supervise(os.Stdin, os.Stdout)
	case len(args) == 2 && args[0] == "init":
		return supervisor.Init(args[1])
	case len(args) == 2 && args[0] == "node":
		return supervisor.RunNode(args[1], os.Stdout)
	}
	return fmt.Errorf("unknown arguments %q: this program is started by the testbed", args)
}
