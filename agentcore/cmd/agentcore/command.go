package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Exit codes.
const (
	exitFailed      = 1 // an error ended the run, or the program could not go on
	exitUsage       = 2 // the command line or the YAML must change
	exitStopped     = 3 // a limit ended the run; the answer is what was known by then
	exitCancelled   = 4 // Ctrl-C ended the run
	exitInterrupted = 5 // the program was told to end; the run can go on
)

const exitHelp = `Exit codes: 0 answered, 1 failed, 2 usage, 3 stopped by a limit, 4 cancelled,
5 told to end before the run was over (go on with --resume).`

// exit is how the program ends, and why, if that must be said.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string { return fmt.Sprint(e.err) }

func (e *exit) Unwrap() error { return e.err }

func usage(err error) error { return &exit{exitUsage, err} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// command is the command line.
func command(p process) *cobra.Command {
	root := &cobra.Command{
		Use:               "agentcore",
		Short:             "Runs a declared agent: on a terminal, or as a server in a cluster.",
		Version:           mcpkit.BuildVersion(),
		Args:              cobra.NoArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say what to do: run, check, serve or version; see agentcore --help")
		},
	}
	root.SetArgs(p.args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.errs)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usagef("%w; see %s --help", err, cmd.CommandPath()) })
	root.AddCommand(runCommand(p), checkCommand(p), serveCommand(p), &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.out, "agentcore", mcpkit.BuildVersion())
			return err
		},
	})
	for _, c := range root.Commands() {
		c.Flags().SortFlags = false
	}
	return root
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%q is one word too many; see %s --help", args[0], cmd.CommandPath())
	}
	return nil
}

// source is which agent is meant, and where it is declared.
type source struct {
	paths []string
	agent string
}

func (s *source) add(f *pflag.FlagSet) {
	f.StringArrayVarP(&s.paths, "filename", "f", nil, "`directory` or file with the agent's YAML; may be given more than once")
	f.StringVar(&s.agent, "agent", "", "`[NAMESPACE/]NAME` of the agent; the only one, or the one that no other uses as a tool, if absent")
}

func (s *source) load() (*declared.Directory, error) {
	if len(s.paths) == 0 {
		return nil, usagef("say where the agent is declared: -f DIRECTORY")
	}
	d, err := declared.Load(s.paths...)
	if err != nil {
		return nil, usagef("the YAML is not right:\n%w", indented(err))
	}
	return d, nil
}

func (s *source) resolve(d *declared.Directory, from declared.Sources) (declared.Agent, error) {
	a, err := d.Agent(s.agent, from)
	if err != nil {
		return a, usagef("the agent cannot be run:\n%w", indented(err))
	}
	return a, nil
}

// indentedError shows an error of several lines below another.
type indentedError struct{ error }

func (e indentedError) Error() string {
	return "  " + strings.ReplaceAll(e.error.Error(), "\n", "\n  ")
}

func (e indentedError) Unwrap() error { return e.error }

func indented(err error) error { return indentedError{err} }
