// Command controller binds kagent.dev Agents to their models and tool servers
// on a Kubernetes cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"github.com/toolcrib/toolcrib/controller"
	"k8s.io/client-go/rest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "controller:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "rbac" {
		return controller.WriteRoles(os.Stdout)
	}
	var o controller.Options
	_, err := rest.InClusterConfig()
	flags := pflag.NewFlagSet("controller", pflag.ContinueOnError)
	o.Bind(flags, err == nil)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no command; the only one is rbac, which prints the roles that the controller needs", flags.Arg(0))
	}
	return controller.Run(ctx, o)
}
