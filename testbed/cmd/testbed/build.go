package main

import (
	"context"
	"io"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/monitoring"
)

func buildAll(ctx context.Context, args []string, _, stderr io.Writer) error {
	f := flags("build", `Builds Kubernetes, etcd, kwok, metrics-server, CoreDNS, Helm, a chart registry,
Prometheus, Alertmanager and node_exporter, and downloads a node's runtime from
Debian. Takes minutes and 5 GB once; the second time it only looks.`, stderr)
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
	if _, err := monitoring.Build(ctx, stderr); err != nil {
		return err
	}
	if *tier != testbed.Node {
		return nil
	}
	_, err := build.Debian(ctx, stderr, build.Runtime...)
	return err
}
