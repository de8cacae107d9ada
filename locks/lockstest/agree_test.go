package lockstest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
)

var cluster *testbed.Cluster

func TestMain(m *testing.M) {
	os.Exit(testbed.Main(m, testbed.Options{Progress: os.Stderr}, func(c *testbed.Cluster) { cluster = c }))
}

type none struct{}

func TestAgree(t *testing.T) {
	ts := mcpkit.NewToolset()
	for i := range 10 {
		mcpkit.Read(ts, mcpkit.Tool{Name: fmt.Sprintf("shelf_get_%d", i), Title: "Get", Description: "Gets."},
			func(context.Context, none) (none, error) { return none{}, nil })
	}
	lockstest.Agree(t, cluster, ts)
}
