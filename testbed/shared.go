package testbed

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Shared is the cluster that all tests of a package share. It is started by the
// first of them that asks for it, so that those that need none run without.
type Shared struct {
	Options Options                               // progress goes to standard error if they say nothing
	Prepare func(context.Context, *Cluster) error // what every test finds in the cluster; may be nil

	once    sync.Once
	cluster *Cluster
}

// Cluster returns the cluster. Without it no test has anything to say, so its
// failure ends the run in one line.
func (s *Shared) Cluster() *Cluster {
	s.once.Do(func() {
		if s.Options.Progress == nil {
			s.Options.Progress = os.Stderr
		}
		c, err := Start(context.Background(), s.Options)
		OrExit("no test cluster", err)
		s.cluster = c
		if s.Prepare != nil {
			OrExit("prepare the test cluster", s.Prepare(context.Background(), c))
		}
	})
	return s.cluster
}

// Run is for TestMain: it runs the tests, stops the cluster if there is one, and
// then does what else is to be done at the end. It returns the exit code.
func (s *Shared) Run(m *testing.M, last ...func() error) int {
	code := m.Run()
	if s.cluster != nil {
		last = append([]func() error{s.cluster.Stop}, last...)
	}
	for _, do := range last {
		if err := do(); err != nil {
			fmt.Fprintln(os.Stderr, "at the end of the tests:", err)
			code = max(code, 1)
		}
	}
	return code
}

// OrExit ends the tests of a package in one line if what all of them need is not
// to be had.
func OrExit(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(1)
	}
}
