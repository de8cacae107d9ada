// Command agentcore runs one declared agent: on a terminal, or as a server in a
// cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/toolcrib/toolcrib/agentcore/run"
)

func main() {
	ctx, stop := untilTold()
	code := execute(ctx, process{args: os.Args[1:], in: os.Stdin, out: os.Stdout, errs: os.Stderr, getenv: os.Getenv})
	stop()
	os.Exit(code)
}

// process is what a program has of its surroundings.
type process struct {
	args      []string
	in        io.Reader
	out, errs io.Writer
	getenv    func(string) string
}

// untilTold is a context that ends when somebody presses Ctrl-C, or with
// run.ErrHandover as its cause when the process is told to end. The second
// signal ends the process at once.
func untilTold() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		cause := context.Canceled
		if <-signals != os.Interrupt {
			cause = run.ErrHandover
		}
		signal.Stop(signals)
		cancel(cause)
	}()
	return ctx, func() { cancel(nil) }
}

func execute(ctx context.Context, p process) int {
	err := command(p).ExecuteContext(ctx)
	coded, ok := errors.AsType[*exit](err)
	if !ok && err != nil {
		coded = &exit{exitFailed, err}
	}
	if coded == nil {
		return 0
	}
	if coded.err != nil {
		fmt.Fprintf(p.errs, "agentcore: %v\n", coded.err)
	}
	return coded.code
}
