// Command testbed builds and runs the clusters that tests use.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
)

func main() {
	if err := buildAll(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

func buildAll(ctx context.Context) error {
	if _, err := testbed.Build(ctx, testbed.Node, os.Stderr); err != nil {
		return err
	}
	_, err := build.Debian(ctx, os.Stderr, build.Runtime...)
	return err
}
