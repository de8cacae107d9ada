package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/toolcrib/toolcrib/testbed"
)

// kubectl passes all arguments on, except a leading --name=NAME.
func kubectl(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	name := defaultName
	if len(args) > 0 {
		if value, ok := strings.CutPrefix(args[0], "--name="); ok {
			name, args = value, args[1:]
		}
	}
	c, err := testbed.Find(name)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, c.KubectlPath(), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitCode(exit.ExitCode())
	}
	return err
}
