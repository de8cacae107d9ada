// Command package packs charts as helm package does, each with the library it
// links to, and with the version of the images they run.
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/spf13/pflag"
	"helm.sh/helm/v3/pkg/action"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	log.SetOutput(io.Discard) // Helm remarks on each link it follows
	pack := action.NewPackage()
	flags := pflag.NewFlagSet("package", pflag.ContinueOnError)
	flags.StringVar(&pack.AppVersion, "app-version", "", "`version` of the images; the charts' own if absent")
	flags.StringVar(&pack.Destination, "destination", ".", "`folder` for the packages")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("name the charts to pack, such as charts/kubernetes")
	}
	if err := os.MkdirAll(pack.Destination, 0o755); err != nil {
		return err
	}
	for _, chart := range flags.Args() {
		path, err := pack.Run(chart, nil)
		if err != nil {
			return fmt.Errorf("pack %s: %w", chart, err)
		}
		fmt.Fprintln(out, path)
	}
	return nil
}
