// Command images makes the servers' container images and pushes them. See
// make images and make push.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/toolcrib/toolcrib/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "images",
		Short:         "Make the servers' container images and push them",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(buildCommand(), pushCommand())
	return root
}

func buildCommand() *cobra.Command {
	var r images.Release
	var out string
	cmd := &cobra.Command{
		Use:   "build BINARY...",
		Short: "Make one OCI archive per program from its binaries, one for each platform",
		Args:  cobra.MinimumNArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return build(cmd.OutOrStdout(), r, out, args) },
	}
	f := cmd.Flags()
	f.StringVar(&r.Version, "version", "", "`version` of the programs, and tag of the images")
	f.StringVar(&r.Revision, "revision", "", "`commit` the programs were built from")
	f.TimeVar(&r.Created, "created", time.Time{}, []string{time.RFC3339}, "when that was committed")
	f.StringVar(&out, "out", "bin/images", "`folder` for the archives")
	for _, name := range []string{"version", "revision", "created"} {
		_ = cmd.MarkFlagRequired(name) // it has just been defined
	}
	return cmd
}

func build(w io.Writer, r images.Release, out string, binaries []string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	programs := map[string][]string{}
	for _, b := range binaries {
		programs[filepath.Base(b)] = append(programs[filepath.Base(b)], b)
	}
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		image, err := images.Build(r, programs[name]...)
		if err != nil {
			return err
		}
		archive := filepath.Join(out, image.Name+".tar")
		if err := image.Write(archive); err != nil {
			return err
		}
		digest, err := image.Index.Digest()
		if err != nil {
			return err
		}
		fmt.Fprintln(w, archive, digest)
	}
	return nil
}

func pushCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "push REGISTRY ARCHIVE...",
		Short: "Push archives to a registry, such as registry.example.com/toolcrib, with docker's credentials",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, archive := range args[1:] {
				pushed, err := push(cmd.Context(), args[0], archive)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), pushed)
			}
			return nil
		},
	}
}

func push(ctx context.Context, registry, archive string) (pushed string, err error) {
	image, done, err := images.Open(archive)
	if err != nil {
		return "", err
	}
	pushed, err = image.Push(ctx, registry)
	return pushed, errors.Join(err, done())
}
