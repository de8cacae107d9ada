package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
