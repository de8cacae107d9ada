// Package testbed gives tests and the demo real Kubernetes clusters, on a
// machine that has no more than Go: everything is built from source once, runs
// on loopback, and ends with the process that started it. It knows no version
// of Kubernetes' client, so any module can use it. It is no place for fakes.
package testbed

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/toolcrib/toolcrib/testbed/internal/supervisor"
)

// Tier is how much of a cluster there is.
type Tier string

// The tiers, from cheap to dear.
const (
	// ControlPlane has the API server, controllers and scheduler: enough for
	// everything that does not run a pod. It needs no root.
	ControlPlane Tier = supervisor.ControlPlane
	// Node adds one real node with pods, Services, DNS and metrics. It needs
	// root, and fails without.
	Node Tier = supervisor.Node
	// Scale has simulated nodes and pods, in numbers. It needs no root.
	Scale Tier = supervisor.Scale
)

// BusyboxImage is on every real node: Debian's busybox with a link for each of
// its programs in /bin.
const BusyboxImage = supervisor.BusyboxImage

// Options say what to start. The zero value is a control plane.
type Options struct {
	Tier            Tier
	Nodes, Pods     int           // simulated; Scale has 1,000 and 10,000 if both are zero, Node can have nodes beside its own
	APIServerArgs   []string      // added to the API server's flags
	CrashBackoffMax time.Duration // longest wait before a crashed container restarts, from 1s; 5m if zero
	Keep            bool          // leave the logs in Cluster.Dir at the end
	Progress        io.Writer     // told what happens; nothing is if nil
}

// KubeconfigVariable names the environment variable that makes [Start] hand
// out an existing cluster.
const KubeconfigVariable = "TOOLCRIB_KUBECONFIG"

// Start starts a cluster, building what is missing first, and returns when it
// is ready to use. The cluster ends with [Cluster.Stop] or with this process,
// however that ends. When TOOLCRIB_KUBECONFIG is set, Start returns the
// cluster of that kubeconfig instead.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if path := os.Getenv(KubeconfigVariable); path != "" {
		return existing(path)
	}
	return start(ctx, o, false)
}

// MostlyWaiting is for TestMain: where tests wait for a cluster rather than
// compute, more of the parallel ones run at once than there are processors,
// unless -test.parallel says how many.
func MostlyWaiting() {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))) // the flag is there, and a number fits
	}
}

// Main is for TestMain: it starts a cluster, hands it to use, runs the tests
// and stops the cluster, also when the tests are interrupted. It returns the
// exit code.
func Main(m *testing.M, o Options, use func(*Cluster)) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	c, err := Start(ctx, o)
	cancel() // from here on an interrupt ends the process, and the cluster with it
	if err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		return 1
	}
	use(c)
	code := m.Run()
	if err := c.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		return max(code, 1)
	}
	return code
}

// errExternal explains what an existing cluster cannot do.
var errExternal = errors.New("not on the cluster of " + KubeconfigVariable + ": only the testbed's own has it")
