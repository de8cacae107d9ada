package helm

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

// What all tests share is started by the first that asks for it. Without it no
// test has anything to say, so its failure ends the run in one line.
var (
	startedCluster *testbed.Cluster
	startedCharts  *charts.Repository
	madeLabs       string // folder; empty if nobody asked for it
)

// cluster has one real node.
var cluster = sync.OnceValue(func() *testbed.Cluster {
	c, err := testbed.Start(context.Background(), testbed.Options{Tier: testbed.Node, Progress: os.Stderr})
	orExit("no test cluster", err)
	startedCluster = c
	return c
})

// published are the testbed's charts, for anybody who asks.
var published = sync.OnceValue(func() *charts.Repository {
	r, err := charts.Start(context.Background(), charts.Options{Progress: os.Stderr})
	orExit("no chart repository", err)
	startedCharts = r
	return r
})

// programs are Helm's own, of both major versions.
var programs = sync.OnceValue(func() build.Programs {
	p, err := build.Build(context.Background(), os.Stderr, build.Helm, build.Helm4)
	orExit("no helm", err)
	return p
})

func orExit(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(1)
	}
}

func TestMain(m *testing.M) {
	testbed.MostlyWaiting()
	code := m.Run()
	if madeLabs != "" {
		if err := os.RemoveAll(madeLabs); err != nil {
			fmt.Fprintln(os.Stderr, "remove the charts of the lab:", err)
			code = max(code, 1)
		}
	}
	if startedCharts != nil {
		if err := startedCharts.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the chart repository:", err)
			code = max(code, 1)
		}
	}
	if startedCluster != nil {
		if err := startedCluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the test cluster:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
