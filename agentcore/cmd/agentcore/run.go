package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/live"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/agentcore/terminal"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
	"golang.org/x/term"
)

// asking is one question on a terminal.
type asking struct {
	process
	source
	directory string // of runs
	resume    string
	json      bool

	question string
	data     string // that comes with it
	screen   *terminal.Screen
}

func runCommand(p process) *cobra.Command {
	a := asking{process: p}
	cmd := &cobra.Command{
		Use:   "run -f DIRECTORY [--agent NAME] QUESTION [-]",
		Short: "Ask an agent, without any cluster",
		Long: `Asks the agent that is declared in a directory. The answer goes to standard
output as the model writes it, what is called on the way to standard error.
Before each write you are asked; without a terminal nothing is written that
somebody must decide about. A - after the question stands for standard input,
which the model gets as data, not as instructions, and without secrets; alone
it is the question itself.

` + exitHelp,
		Example: `  agentcore run -f agent/ "Why is web in namespace shop not healthy?"
  journalctl -u web --since -1h | agentcore run -f agent/ "What went wrong?" -
  agentcore run -f agent/ --resume helper-3q7x2vbn4k`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd.Context(), args) },
	}
	a.source.add(cmd.Flags())
	cmd.Flags().StringVar(&a.directory, "runs", "", "`directory` that keeps the records of runs; agentcore/runs in your state directory if absent")
	cmd.Flags().StringVar(&a.resume, "resume", "", "`name` of a run that was broken off, to go on with it")
	cmd.Flags().BoolVar(&a.json, "json", false, "write one JSON object per event to standard output, and nothing else there")
	return cmd
}

func (a *asking) run(ctx context.Context, args []string) error {
	if err := a.read(args); err != nil {
		return err
	}
	d, err := a.load()
	if err != nil {
		return err
	}
	from := declared.Sources{Environment: a.getenv}
	agent, err := a.resolve(d, from)
	if err != nil {
		return err
	}
	for _, line := range agent.Unserved {
		fmt.Fprintln(a.errs, "note:", line)
	}
	store, claim, err := a.claim(ctx, agent)
	if err != nil {
		return err
	}
	name := claim.Run().Name
	a.screen = &terminal.Screen{Out: a.out, Errs: a.errs, JSON: a.json}
	opened, err := live.Open(d, agent, a.options(from, name))
	if err != nil {
		return usage(err)
	}
	defer opened.Close()
	opened.Spent = func(ctx context.Context) (run.Spent, error) { return store.Spent(ctx, name) }
	q := run.Question{Run: name, Text: claim.Run().Spec.Prompt, Data: claim.Run().Spec.Data}
	state, err := opened.Run(ctx, q, claim, a.screen.Observer(name, ""))
	err = errors.Join(err, claim.Release(context.WithoutCancel(ctx)))
	if !state.Over() {
		return a.interrupted(name, err)
	}
	a.screen.Ended(name, &state, agent.Prices.Cost)
	return ended(state)
}

// read finds out what is asked.
func (a *asking) read(args []string) error {
	last := len(args) - 1
	piped := last >= 0 && args[last] == "-"
	a.question = strings.Join(args, " ")
	if piped && last > 0 {
		a.question = strings.Join(args[:last], " ")
	}
	switch {
	case a.resume != "" && len(args) > 0:
		return usagef("a run that goes on has its question already; leave out %q, or --resume", a.question)
	case a.resume != "":
		return nil
	case piped:
		text, err := io.ReadAll(io.LimitReader(a.in, mostQuestion+1))
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		a.data, a.in = strings.TrimSpace(string(text)), nil
		if last == 0 {
			a.question, a.data = a.data, ""
		}
	}
	switch {
	case a.question == "":
		return usagef("ask something: agentcore run -f DIRECTORY \"QUESTION\", or - to read it from standard input")
	case len(a.question) > mostQuestion:
		return usagef("the question is longer than %d KiB; ask less at once", mostQuestion>>10)
	case len(a.data) > mostQuestion:
		return usagef("standard input is longer than %d KiB; give the part that matters, such as its end by tail -c 60000", mostQuestion>>10)
	}
	a.question, a.data = run.WithoutSecrets(a.question), run.WithoutSecrets(a.data) // they are kept
	return nil
}

// mostQuestion is the longest question, and the most data with it, in bytes.
const mostQuestion = 64 << 10

// claim takes the run that is asked for, a new one or one that goes on.
func (a *asking) claim(ctx context.Context, agent declared.Agent) (*runs.Directory, runs.Claim, error) {
	path, err := a.runsDirectory()
	if err != nil {
		return nil, nil, err
	}
	store, err := runs.OpenDirectory(agent, path)
	if err != nil {
		return nil, nil, err
	}
	name := a.resume
	if name == "" {
		r, err := store.Create(ctx, v1alpha1.AgentRun{Spec: v1alpha1.AgentRunSpec{Prompt: a.question, Data: a.data}})
		if err != nil {
			return nil, nil, err
		}
		name = r.Name
	}
	claim, err := store.Claim(ctx, name, "")
	switch {
	case errors.Is(err, runs.ErrNotFound):
		return nil, nil, usagef("--resume: there is no run %q of agent %s/%s in %s", name, agent.Namespace, agent.Name, path)
	case errors.Is(err, runs.ErrOver):
		return nil, nil, usagef("--resume: run %s is over; its record is in %s", name, path)
	case errors.Is(err, runs.ErrTaken):
		return nil, nil, usagef("--resume: another process works on run %s", name)
	}
	return store, claim, err
}

// runsDirectory is where the records are, by the XDG Base Directory
// Specification if nothing is said.
func (a *asking) runsDirectory() (string, error) {
	if a.directory != "" {
		return a.directory, nil
	}
	state := a.getenv("XDG_STATE_HOME")
	if home := a.getenv("HOME"); state == "" && home != "" {
		state = filepath.Join(home, ".local", "state")
	}
	if !filepath.IsAbs(state) {
		return "", usagef("say where the records of runs go: --runs DIRECTORY")
	}
	return filepath.Join(state, "agentcore", "runs"), nil
}

func (a *asking) options(from declared.Sources, name string) live.Options {
	o := live.Options{
		Version: mcpkit.BuildVersion(), Sources: from,
		Inner: func(agent string) run.Observer { return a.screen.Observer(name, agent) },
		Retrying: func(why error, wait time.Duration) {
			fmt.Fprintf(a.errs, "the model is asked again in %s: %v\n", wait.Round(100*time.Millisecond), why)
		},
	}
	if in, ok := a.in.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		person := &terminal.Person{In: in, Screen: a.screen}
		o.Ask, o.Gate = person.Ask, run.Terminal{Ask: person.Ask}
	}
	return o
}

// interrupted is how a run ends that is not over.
func (a *asking) interrupted(name string, err error) error {
	again := "agentcore run"
	for _, path := range a.paths {
		again += " -f " + quoted(path)
	}
	if a.agent != "" {
		again += " --agent " + a.agent
	}
	if a.directory != "" {
		again += " --runs " + quoted(a.directory)
	}
	code := exitFailed
	if errors.Is(err, run.ErrHandover) || errors.Is(err, context.Canceled) {
		code, err = exitInterrupted, errors.New("told to end")
	}
	return &exit{code, fmt.Errorf("%w; to go on: %s --resume %s", cmp.Or(err, errors.New("the run is not over")), again, name)}
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if !strings.ContainsFunc(word, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+=:,@%", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// ended is the exit code of a run that is over.
func ended(s run.State) error {
	switch s.Phase {
	case v1alpha1.RunCompleted:
		return nil
	case v1alpha1.RunStopped:
		return &exit{exitStopped, nil}
	case v1alpha1.RunCancelled:
		return &exit{exitCancelled, nil}
	}
	return &exit{exitFailed, nil}
}
