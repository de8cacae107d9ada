// Command demo asks a real cluster what a person on call would ask. Without a
// kubeconfig it builds and starts a cluster of its own, breaks a small shop in
// it, has an agent mend one fault, and leaves all running until demo stop.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/toolcrib/toolcrib/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var o demo.Options
	root := &cobra.Command{
		Use:           "demo",
		Short:         "Ask a real cluster real questions over MCP",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return demo.Run(cmd.Context(), o, os.Stdin, os.Stdout) },
	}
	root.Flags().StringVar(&o.Servers, "servers", "bin", "`folder` of the programs to show")
	root.Flags().BoolVar(&o.Embedded, "embedded", false, "use a cluster of its own even when there is a kubeconfig")
	root.Flags().BoolVar(&o.Interactive, "interactive", false, "decide yourself about what the agent would change, instead of ada, who says yes")
	root.PersistentFlags().BoolVar(&o.Simulated, "simulated", false, "a cluster without a real node, as where there can be none")
	root.PersistentFlags().StringVar(&o.Model, "model", "", "`model` of the provider whose key is in ANTHROPIC_API_KEY or OPENAI_API_KEY; one that fits if absent")
	root.PersistentFlags().StringVar(&o.Charts, "charts", "charts", "`folder` of the charts that put an agent into the demo's cluster")
	root.PersistentFlags().StringVar(&o.State, "state", "", "`folder` that remembers what runs; in the cache if absent")
	root.AddCommand(&cobra.Command{
		Use:   "stop",
		Short: "Stop the cluster and the servers that the demo left running",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return demo.Stop(cmd.Context(), o, os.Stdout) },
	}, &cobra.Command{
		Use:    "keep SERVERS",
		Short:  "Hold the demo's cluster and servers until told to stop",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Servers = args[0]
			return demo.Keep(cmd.Context(), o)
		},
	})
	return root
}
