// Package served runs a built MCP server of this repository over HTTP, as an
// operator would, and says where it serves. It is for tests, benchmarks and the
// demo; the server ends with the process that started it.
package served

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/toolcrib/toolcrib/testbed/proc"
)

// Server is one running server.
type Server struct {
	URL string // of its MCP endpoint
	Log string // path of what it prints

	process *proc.Process
	group   *proc.Group
}

// Build builds a command of this repository into a new folder as it is released,
// static and without its symbols, and returns the program's path.
func Build(pkg string) (string, error) {
	dir, err := os.MkdirTemp("", "toolcrib-")
	if err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	path := filepath.Join(dir, filepath.Base(pkg))
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return path, nil
}

var listening = regexp.MustCompile(`msg=listening url="?(http://[^"\s]+)["\s]`)

// Start runs the program on a free loopback port and returns once it serves.
// What it prints, its record included unless args say otherwise, goes to a file
// in folder named for the program.
func Start(ctx context.Context, folder, program string, args ...string) (*Server, error) {
	group := &proc.Group{Logs: folder}
	p, err := group.Start(filepath.Base(program), program, append([]string{"--http=127.0.0.1:0"}, args...)...)
	if err != nil {
		return nil, err
	}
	s := &Server{Log: p.Log, process: p, group: group}
	err = proc.Until(ctx, p.Name+" to listen", 5*time.Millisecond, func(context.Context) (bool, error) {
		printed, err := os.ReadFile(p.Log)
		if m := listening.FindSubmatch(printed); m != nil {
			s.URL = string(m[1])
		}
		return s.URL != "", err
	}, p)
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends the server as its host would, and kills it when it does not end.
func (s *Server) Stop() { s.group.Stop(10 * time.Second) }

// Pid returns the server's process id.
func (s *Server) Pid() int { return s.process.Pid() }

// Exited is closed when the server has ended.
func (s *Server) Exited() <-chan struct{} { return s.process.Exited() }

// Err says how a server that has ended did so, and is nil while it runs.
func (s *Server) Err() error { return s.process.Err() }

var memoryLine = regexp.MustCompile(`(?m)^(VmRSS|VmHWM):\s+(\d+) kB$`)

// Memory returns the server's resident memory in bytes, now and at its peak.
func (s *Server) Memory() (now, peak int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
	if err != nil {
		return 0, 0, fmt.Errorf("memory of %s: %w", s.process.Name, err)
	}
	for _, m := range memoryLine.FindAllSubmatch(status, 2) {
		kb, err := strconv.Atoi(string(m[2]))
		if err != nil {
			return 0, 0, fmt.Errorf("memory of %s: %w", s.process.Name, err)
		}
		if string(m[1]) == "VmRSS" {
			now = kb << 10
		} else {
			peak = kb << 10
		}
	}
	return now, peak, nil
}
