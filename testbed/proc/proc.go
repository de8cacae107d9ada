// Package proc runs the processes of a backend so that none outlives the
// process that started them, not even one that is killed.
package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Group is a set of processes that belong together. Its zero value logs to the
// working directory.
type Group struct {
	Logs string   // folder of one log file per process
	Env  []string // added to every process's environment

	mu      sync.Mutex
	running []*Process
}

// Process is one started process.
type Process struct {
	Name string
	Log  string // path of what it prints

	cmd    *exec.Cmd
	exited chan struct{}
	err    error
}

// Start starts a program whose output goes to NAME.log.
func (g *Group) Start(name, path string, args ...string) (*Process, error) {
	return g.StartCmd(name, exec.Command(path, args...))
}

// StartCmd starts a prepared command, with the group's environment added and
// its output, where not set already, in NAME.log.
func (g *Group) StartCmd(name string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, Log: filepath.Join(g.Logs, name+".log"), cmd: cmd, exited: make(chan struct{})}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = log
	}
	cmd.Env = append(cmd.Environ(), g.Env...)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true // an interrupt at the terminal is for the parent alone
	if err := onLastingThread(cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = append(g.running, p)
	return p, nil
}

// onLastingThread runs f on the one thread that lives as long as the process:
// Linux sends the parent-death signal when the thread that forked ends.
func onLastingThread(f func() error) error {
	startThread()
	result := make(chan error)
	lasting <- func() { result <- f() }
	return <-result
}

var lasting = make(chan func())

var startThread = sync.OnceFunc(func() {
	go func() {
		runtime.LockOSThread()
		for f := range lasting {
			f()
		}
	}()
})

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err says how a process that should still run has ended, with the last lines
// of its log; it is nil while the process runs.
func (p *Process) Err() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended (%v): %s", p.Name, p.cmd.ProcessState, tail(p.Log))
	default:
		return nil
	}
}

// tail returns the end of a log, short enough for an error.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-2000), io.SeekStart) // a log that cannot be sought is read from its start
	}
	data, err := io.ReadAll(io.LimitReader(f, 2000))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], "\n")
}

// Stop sends SIGTERM to every process that still runs, the last started first,
// and SIGKILL to those that have not ended after the grace.
func (g *Group) Stop(grace time.Duration) {
	g.mu.Lock()
	running := g.running
	g.running = nil
	g.mu.Unlock()
	for i := len(running) - 1; i >= 0; i-- {
		_ = running[i].cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	}
	deadline := time.After(grace)
	for _, p := range running {
		select {
		case <-p.exited:
			continue
		case <-deadline:
			deadline = closed
		}
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

var closed = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// Until polls done every interval until it reports true, one of the processes
// it depends on ends, or ctx does. What done last complained of is part of the
// error then.
func Until(ctx context.Context, what string, interval time.Duration, done func(context.Context) (bool, error), on ...*Process) error {
	for {
		ok, last := done(ctx)
		if ok {
			return nil
		}
		for _, p := range on {
			if err := p.Err(); err != nil {
				return fmt.Errorf("wait for %s: %w", what, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, errors.Join(context.Cause(ctx), last))
		case <-time.After(interval):
		}
	}
}
