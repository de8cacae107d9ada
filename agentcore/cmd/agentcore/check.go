package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/live"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func checkCommand(p process) *cobra.Command {
	var s source
	var offline bool
	cmd := &cobra.Command{
		Use:   "check -f DIRECTORY [--agent NAME]",
		Short: "Say everything that is wrong with agents, without asking a model",
		Long: `Reads the YAML, resolves each agent, looks for the key of its model, and lists
the tools of its servers. Exit codes: 0 nothing is wrong, 1 something is, 2 usage
or YAML.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := s.load()
			if err != nil {
				return err
			}
			names := d.Agents()
			if s.agent != "" || len(names) == 0 {
				names = []string{s.agent}
			}
			wrong := 0
			for _, name := range names {
				n, err := check(cmd.Context(), p, d, name, offline)
				if err != nil {
					return err
				}
				wrong += n
			}
			if wrong > 0 {
				return &exit{exitFailed, fmt.Errorf("problems: %d", wrong)}
			}
			return nil
		},
	}
	s.add(cmd.Flags())
	cmd.Flags().BoolVar(&offline, "offline", false, "do not connect to the tool servers")
	return cmd
}

// check says what is wrong with one agent, and how many things are.
func check(ctx context.Context, p process, d *declared.Directory, name string, offline bool) (int, error) {
	from := declared.Sources{Environment: p.getenv}
	a, err := d.Agent(name, from)
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			fmt.Fprintln(p.out, line)
		}
		return strings.Count(err.Error(), "\n") + 1, nil
	}
	fmt.Fprintf(p.out, "%s/%s: model %s of %s, at most %d turns and %s a run, access %s, revision %s\n",
		a.Namespace, a.Name, a.Model.Spec.Model, a.Model.Spec.Provider, a.Limits.Turns, a.Limits.Duration, a.Limits.Access, a.Revision)
	for _, line := range a.Unserved {
		fmt.Fprintln(p.out, "  note:", line)
	}
	problems := keys(a, from)
	opened, err := live.Open(d, a, live.Options{Version: mcpkit.BuildVersion(), Sources: from})
	if err != nil {
		problems = append(problems, err.Error())
	} else {
		defer opened.Close()
	}
	if err == nil && !offline {
		tools, missing := opened.Tools.List(ctx)
		problems = append(problems, missing...)
		for _, t := range tools {
			fmt.Fprintf(p.out, "  %s (%s, of %s)\n", t.Name, t.Class, t.Server)
		}
	}
	for _, line := range problems {
		fmt.Fprintln(p.out, "  problem:", line)
	}
	return len(problems), ctx.Err()
}

// keys says what is wrong with the key of the model.
func keys(a declared.Agent, from declared.Sources) []string {
	var err error
	if s := a.Model.Spec; s.APIKeySecret != "" {
		_, err = a.Secrets.Secret(s.APIKeySecret, s.APIKeySecretKey)
	} else if key, _ := from.ProviderKey(s.Provider)(); key == "" && s.Provider != kagent.ProviderOllama && (s.OpenAI == nil || s.OpenAI.BaseURL == "") {
		err = errors.New("the ModelConfig names no Secret with the provider's key, and the environment holds none")
	}
	if err != nil {
		return []string{err.Error()}
	}
	return nil
}
