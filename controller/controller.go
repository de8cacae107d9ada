// Package controller makes running agents of kagent.dev objects: it finds out
// what tools a RemoteMCPServer has, whether a ModelConfig can be used, and runs
// each Agent as a Deployment of its own. It asks them when an AgentTrigger says
// so, and clears away the runs and approvals that are over. One folder reconciles one kind. It
// refuses to copy Secrets or to list them, to grant an agent any tool, and to
// speak to a tool server in any way but MCP.
package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/identity"
	"github.com/toolcrib/toolcrib/controller/index"
	"k8s.io/apimachinery/pkg/runtime"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// shutdownTimeout is how long reconciles that are under way may take to end.
const shutdownTimeout = 20 * time.Second

// Run reconciles until ctx ends.
func Run(ctx context.Context, o Options) error {
	m, err := newManager(ctx, o)
	if err != nil {
		return err
	}
	return m.Start(ctx)
}

// newManager is everything that Run starts.
func newManager(ctx context.Context, o Options) (manager.Manager, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	log, err := o.logger()
	if err != nil {
		return nil, err
	}
	prices, err := o.prices()
	if err != nil {
		return nil, err
	}
	monitoring, err := o.monitoring()
	if err != nil {
		return nil, err
	}
	restConfig, err := o.restConfig()
	if err != nil {
		return nil, err
	}
	restConfig.UserAgent = "toolcrib-controller"
	restConfig.QPS = -1 // the API server's own priority and fairness holds us back
	logger := logr.FromSlogHandler(log.Handler())
	ctrl.SetLogger(logger)
	m, err := manager.New(restConfig, manager.Options{
		Scheme:                        Scheme(),
		Logger:                        logger,
		Cache:                         cacheOptions(o.WatchNamespaces),
		Client:                        clientOptions(),
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              "toolcrib-controller",
		LeaderElectionNamespace:       o.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		Metrics:                       server.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:        o.ProbesAddress,
		GracefulShutdownTimeout:       new(shutdownTimeout),
		Controller:                    config.Controller{MaxConcurrentReconciles: o.Workers, SkipNameValidation: new(true)},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare to reconcile: %w", err)
	}
	errs := []error{
		m.AddHealthzCheck("ping", healthz.Ping),
		m.AddReadyzCheck("ping", healthz.Ping),
		index.Add(ctx, m.GetFieldIndexer()),
	}
	common := shared{options: o, prices: prices, monitoring: monitoring, identity: identity.New(m.GetClient(), clock.RealClock{})}
	for _, k := range kinds {
		errs = append(errs, k.setup(m, common))
	}
	return m, errors.Join(errs...)
}

// Scheme knows every kind that the controller reads or writes.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kubernetes.AddToScheme, kagent.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err) // the types contradict each other: no build of ours gets that far
		}
	}
	return s
}
