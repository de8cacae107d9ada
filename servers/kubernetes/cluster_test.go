package kubernetes

import (
	"os"
	"testing"
	"time"

	"github.com/toolcrib/toolcrib/testbed"
)

// bed is one real node.
var bed = testbed.Shared{Options: testbed.Options{Tier: testbed.Node, CrashBackoffMax: 10 * time.Second}}

func cluster() *testbed.Cluster { return bed.Cluster() }

// kubeconfig is the test cluster's, as cluster-admin.
func kubeconfig() string { return cluster().Kubeconfig }

func TestMain(m *testing.M) {
	testbed.MostlyWaiting()
	os.Exit(bed.Run(m))
}
