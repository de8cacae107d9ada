package main

import (
	"context"
	"io"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
)

func buildAll(ctx context.Context, args []string, _, stderr io.Writer) error {
	f := flags("build", "Builds Kubernetes, etcd, kwok, metrics-server, CoreDNS, Helm and a chart registry,\nand downloads a node's runtime from Debian. Takes minutes and 4 GB once; the second time it only looks.", stderr)
	tier := tierFlag(f)
	if err := parse(f, args); err != nil {
		return err
	}
	if _, err := testbed.Build(ctx, *tier, stderr); err != nil {
		return err
	}
	if _, err := build.Build(ctx, stderr, build.Registry, build.Helm, build.Helm4); err != nil {
		return err
	}
	if *tier != testbed.Node {
		return nil
	}
	_, err := build.Debian(ctx, stderr, build.Runtime...)
	return err
}
