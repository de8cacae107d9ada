// Package monitoring gives tests and the demo a real Prometheus and a real
// Alertmanager on loopback, with series, alerts and a past whose values are
// known beforehand, and a way to make an alert fire and see who was told.
//
// Prometheus scrapes and evaluates every second. Its jobs, each with one
// target of instance JOB-1, are
//
//	prometheus, alertmanager   themselves
//	node                       node_exporter on this machine
//	exporter                   series of known value, and gauges that tests set: testbed_queue_length{queue} of billing, mail and orders at first 0
//	shop                       today's part of the past below; a second target, shop-0, is dropped
//	sessions                   testbed_session_seconds{user, shard}, 20,000 series, every 3s
//	broken                     always down: it answers 500; scraped with secrets, each of which ends in s3cret
//	apiserver                  the API server of [Options.Kubeconfig], every 5s
//
// The series of exporter are told in testbed/backends/prometheus/exporter,
// those of shop and sessions in testbed/backends/prometheus/shop. Seeded, the
// shop's reach back 95 days in steps of five minutes, the native histogram two
// days, and the sessions' ten minutes; all lead up to now, so that nothing
// gapes between the past and what is scraped.
//
// files/rules.yml has the rules and files/alertmanager.yml the routes. All
// receivers end in the exporter, which keeps what it is told.
package monitoring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// Options say what to start. The zero value has no past and no API server.
type Options struct {
	Kubeconfig         string    // of a testbed cluster, whose API server is scraped with its user
	History            bool      // whether there is a past
	Protected          bool      // whether Prometheus and Alertmanager want TLS and a password
	PrometheusArgs     []string  // added to Prometheus's flags
	Rules              string    // beside the default ones; see [Stack.SetRules]
	AlertmanagerConfig string    // instead of the default; see [Stack.SetAlertmanagerConfig]
	Progress           io.Writer // told what happens; nothing is if nil
}

// Stack is a running Prometheus with all that belongs to it. A process that
// decodes it from JSON can use it too, but only the one that started it can
// stop it.
type Stack struct {
	Prometheus   string    // URL, without a slash at the end
	Alertmanager string    // URL, without a slash at the end
	Control      string    // URL of the exporter's control
	Dir          string    // of configuration, data and, in log, logs
	Epoch        time.Time // the last full hour before the start; the shop's times are told from it

	// How to get in if Protected is set; empty otherwise.
	CAFile, User, Password string

	procs *proc.Group
	jobs  int      // that Prometheus scrapes, of one target each
	lock  *os.File // of Dir, held while this process lives
}

// These are for a busy machine; an idle one starts in a few seconds and stops
// in a fraction of one.
const (
	startTimeout = 10 * time.Minute
	stopGrace    = 5 * time.Second
)

// Build builds all programs into the cache; the second time it only looks.
func Build(ctx context.Context, progress io.Writer) (build.Programs, error) {
	return build.Build(ctx, progress, build.Prometheus, build.Alertmanager, build.NodeExporter, build.Exporter, build.Seed)
}

// Start builds what is missing, starts everything and returns when every
// target has been scraped and Prometheus knows Alertmanager. The stack ends
// with [Stack.Stop] or with this process, however that ends.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	programs, err := Build(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not up after %s", startTimeout))
	defer cancel()
	began := time.Now()
	s := &Stack{Epoch: began.Truncate(time.Hour)}
	if err := s.start(ctx, o, programs); err != nil {
		return nil, fmt.Errorf("start monitoring: %w", errors.Join(err, s.Stop()))
	}
	fmt.Fprintf(o.Progress, "monitoring is up after %s\n", time.Since(began).Round(100*time.Millisecond))
	return s, nil
}

// Stop ends all processes and removes the folder.
func (s *Stack) Stop() error {
	if s.procs != nil {
		s.procs.Stop(stopGrace)
	}
	if s.Dir == "" {
		return nil
	}
	err := os.RemoveAll(s.Dir)
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}
