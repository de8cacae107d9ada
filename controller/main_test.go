package controller_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/toolcrib/toolcrib/controller"
	"github.com/toolcrib/toolcrib/controller/controllertest"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/proc"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	cluster *testbed.Cluster
	admin   client.Client
	account *rest.Config // the controller's own
	// alertsAddress is where the controller receives alerts.
	alertsAddress string
)

// The simulated node makes every pod ready that finds room on it.
func TestMain(m *testing.M) {
	var end func() error
	code := testbed.Main(m, testbed.Options{Tier: testbed.Scale, Nodes: 1}, func(c *testbed.Cluster) {
		cluster = c
		var err error
		if end, err = begin(); err != nil {
			panic(err)
		}
	})
	if err := end(); err != nil {
		fmt.Fprintln(os.Stderr, "controller:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// begin installs types and roles and runs the controller as its own
// ServiceAccount, which has exactly those roles. What it returns ends it.
func begin() (end func() error, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // the first time the cluster is built
	defer cancel()
	if account, err = install(ctx); err != nil {
		return nil, err
	}
	ports, err := proc.FreePorts(1)
	if err != nil {
		return nil, err
	}
	alertsAddress = fmt.Sprintf("127.0.0.1:%d", ports[0])
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- controller.Run(running, controller.Options{
			Config: account, MetricsAddress: "0", ProbesAddress: "0", AlertsAddress: alertsAddress, ApprovalRetention: 7 * 24 * time.Hour, LogLevel: "error", Workers: 8,
			AgentImage: "toolcrib.test/agentcore:1", PricesFile: "testdata/prices.yaml",
			AgentMonitoring: "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]",
		})
	}()
	return func() error { stop(); return <-ended }, nil
}

// install prepares the cluster and returns how the controller reaches it.
func install(ctx context.Context) (*rest.Config, error) {
	kubeconfig, err := controllertest.Install(ctx, cluster, "../charts")
	if err != nil {
		return nil, err
	}
	own, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	if err != nil {
		return nil, err
	}
	own.QPS = -1
	if admin, err = client.New(own, client.Options{Scheme: controller.Scheme()}); err != nil {
		return nil, err
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}
