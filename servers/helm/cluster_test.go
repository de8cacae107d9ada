package helm

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

// What all tests share is started by the first that asks for it.
var (
	bed           = testbed.Shared{Options: testbed.Options{Tier: testbed.Node}} // one real node
	startedCharts *charts.Repository
	madeLabs      string // folder; empty if nobody asked for it
)

func cluster() *testbed.Cluster { return bed.Cluster() }

// published are the testbed's charts, for anybody who asks.
var published = sync.OnceValue(func() *charts.Repository {
	r, err := charts.Start(context.Background(), charts.Options{Progress: os.Stderr})
	testbed.OrExit("no chart repository", err)
	startedCharts = r
	return r
})

// programs are Helm's own, of both major versions.
var programs = sync.OnceValue(func() build.Programs {
	p, err := build.Build(context.Background(), os.Stderr, build.Helm, build.Helm4)
	testbed.OrExit("no helm", err)
	return p
})

func TestMain(m *testing.M) {
	testbed.MostlyWaiting()
	os.Exit(bed.Run(m,
		func() error { return os.RemoveAll(madeLabs) },
		func() error {
			if startedCharts == nil {
				return nil
			}
			return startedCharts.Stop()
		}))
}
