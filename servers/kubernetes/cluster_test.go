package kubernetes

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/toolcrib/toolcrib/testbed"
)

var started *testbed.Cluster

// cluster is the one all tests share: one real node, started by the first test
// that asks for it. Without a cluster no test has anything to say, so its
// failure ends the run in one line.
var cluster = sync.OnceValue(func() *testbed.Cluster {
	c, err := testbed.Start(context.Background(), testbed.Options{
		Tier:            testbed.Node,
		CrashBackoffMax: 10 * time.Second,
		Progress:        os.Stderr,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "no test cluster:", err)
		os.Exit(1)
	}
	started = c
	return c
})

// kubeconfig is the test cluster's, as cluster-admin.
func kubeconfig() string { return cluster().Kubeconfig }

func TestMain(m *testing.M) {
	testbed.MostlyWaiting()
	code := m.Run()
	if started != nil {
		if err := started.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the test cluster:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
