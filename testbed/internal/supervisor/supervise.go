package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/toolcrib/toolcrib/testbed/internal/claim"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// startTimeout bounds a start on a busy machine; the first one with simulated
// pods fills a cluster and takes minutes.
const startTimeout = 20 * time.Minute

// errOver is why a cluster stops when nothing went wrong.
var errOver = errors.New("the cluster was stopped")

// supervisor is one cluster being run.
type supervisor struct {
	Spec
	procs  proc.Group
	events *json.Encoder
	lock   *os.File // held while this process lives
}

// Supervise runs the cluster that in describes until it is to stop, reporting
// on out. The error, if any, has been reported there.
func Supervise(in io.Reader, out io.Writer) error {
	s := &supervisor{events: json.NewEncoder(out)}
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&s.Spec); err != nil {
		return fmt.Errorf("read the cluster's spec: %w", err)
	}
	if err := s.claim(); err != nil {
		s.report(Event{Error: err.Error()})
		return err
	}
	ctx, over := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP) // a detached cluster outlives its reader
	go func() {
		<-signals
		over(errOver)
	}()
	if !s.Detach {
		go func() {
			_, _ = io.Copy(io.Discard, in) // any end of the input is an end
			over(errOver)
		}()
	}
	pid, err := s.start(ctx)
	if err != nil {
		s.report(Event{Error: err.Error()})
	} else {
		s.report(Event{Ready: true, Pid: pid})
		<-ctx.Done()
	}
	return errors.Join(err, s.stop())
}

// report tells the parent; one that is gone ends the input instead.
func (s *supervisor) report(e Event) { _ = s.events.Encode(e) }

func (s *supervisor) progress(format string, args ...any) {
	s.report(Event{Progress: fmt.Sprintf(format, args...)})
}

// start brings the cluster up and returns a process in its namespaces.
func (s *supervisor) start(ctx context.Context) (pid int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not up after %s", startTimeout))
	defer cancel()
	for _, dir := range []string{PKIDir, "log"} {
		if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
			return 0, err
		}
	}
	s.procs.Logs = s.path("log")
	if err := s.choosePorts(); err != nil {
		return 0, err
	}
	if err := s.makePKI(); err != nil {
		return 0, fmt.Errorf("make the cluster's certificates: %w", err)
	}
	if err := s.write(); err != nil {
		return 0, err
	}
	switch s.Tier {
	case ControlPlane:
		err = s.startControlPlane(ctx)
	case Node:
		return s.startNode(ctx)
	case Scale:
		err = s.startScale(ctx)
	default:
		err = fmt.Errorf("no tier %q", s.Tier)
	}
	if err != nil {
		return 0, err
	}
	return 0, s.writeKubeconfig(s.address())
}

// choosePorts finds free ports, except in a network of our own, where all are.
func (s *supervisor) choosePorts() error {
	if s.Tier == Node {
		s.Ports = Ports{API: 6443, Etcd: 2379, EtcdPeer: 2380, Kwok: 10247}
		return nil
	}
	ports, err := proc.FreePorts(4)
	if err != nil {
		return err
	}
	s.Ports = Ports{ports[0], ports[1], ports[2], ports[3]}
	return nil
}

// stop ends every process and removes what the cluster left, except for logs
// that are to be kept. The lock goes last: without it, all is done.
func (s *supervisor) stop() error {
	s.procs.Stop(500 * time.Millisecond) // an API server that has lost etcd would take a minute
	err := removeCgroups(s.cgroup())
	entries, unread := os.ReadDir(s.Dir)
	err = errors.Join(err, unread)
	for _, e := range entries {
		if kept := s.Keep && (e.Name() == "log" || e.Name() == LogFile); !kept && e.Name() != claim.File {
			err = errors.Join(err, os.RemoveAll(s.path(e.Name())))
		}
	}
	if s.Keep {
		return errors.Join(err, os.Remove(s.path(claim.File)))
	}
	return errors.Join(err, os.RemoveAll(s.Dir))
}
