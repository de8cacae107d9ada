package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/testbed/proc"
)

// command is one run of a program.
type command struct {
	program string
	env     []string // added to ours
	args    []string
}

// run returns what the command prints to its output.
func (c command) run(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, exit.Stderr)
	}
	return string(out), err
}

// process is a contender that runs commands to their end, one after another.
func process(name string, commands ...command) contender {
	return contender{name, func(ctx context.Context) (int, error) {
		n := 0
		for _, c := range commands {
			out, err := c.run(ctx)
			if err != nil {
				return 0, err
			}
			n += len(out)
		}
		return n, nil
	}}
}

// resident is the memory of a running process, in bytes.
func resident(p *proc.Process) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return 0, fmt.Errorf("memory of %s: %w", p.Name, err)
	}
	for line := range strings.Lines(string(status)) {
		var kb int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("memory of %s: its status says nothing", p.Name)
}

// processorTime is what a running process has taken of the processors, in steps
// of a hundredth of a second. Other processes do not add to it as they do to the
// time on the clock.
func processorTime(p *proc.Process) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.Name, err)
	}
	_, after, _ := strings.Cut(string(stat), ") ") // the name before it may hold anything
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, fmt.Errorf("processor time of %s: its status says nothing", p.Name)
	}
	var user, system int
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.Name, err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}
