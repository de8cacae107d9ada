package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/testbed/served"
	"golang.org/x/term"
)

// Options say what to show.
type Options struct {
	Servers  string // folder of the servers' binaries
	Embedded bool   // a cluster of the demo's own even when there is a kubeconfig
	State    string // folder that remembers what runs; in the testbed's cache if empty
}

// Run holds the demo's conversation on out.
func Run(ctx context.Context, o Options, in *os.File, out *os.File) error {
	t := &teller{out: out, colour: term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == ""}
	servers, err := filepath.Abs(o.Servers)
	if err != nil {
		return fmt.Errorf("path of %s: %w", o.Servers, err)
	}
	if _, err := builtAt(servers); err != nil {
		return err
	}
	if kubeconfig := userKubeconfig(); kubeconfig != "" && !o.Embedded {
		return own(ctx, t, filepath.Join(servers, kubernetes), kubeconfig, in)
	}
	return o.embedded(ctx, t, servers)
}

// userKubeconfig is the kubeconfig kubectl would use, empty when there is none.
func userKubeconfig() string {
	if path := os.Getenv("KUBECONFIG"); path != "" {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	path := filepath.Join(home, ".kube", "config")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// own asks the read-only questions of the cluster a person already has.
func own(ctx context.Context, t *teller, server, kubeconfig string, in *os.File) error {
	t.say("There is a kubeconfig: %s", kubeconfig)
	t.say("The demo can ask that cluster a few questions. It only reads, as you, and changes nothing.")
	t.say("(make demo DEMO=--embedded uses a cluster of its own instead.)")
	if term.IsTerminal(int(in.Fd())) && !agreed(t, in) {
		return errors.New("nothing was asked")
	}
	logs, err := os.MkdirTemp("", "toolcrib-demo-")
	if err != nil {
		return fmt.Errorf("folder for logs: %w", err)
	}
	defer os.RemoveAll(logs)
	process, err := served.Start(ctx, logs, server, "--record="+os.DevNull)
	if err != nil {
		return err
	}
	defer process.Stop()
	if err := t.ask(ctx, map[string]string{kubernetes: process.URL}, anyQuestions); err != nil {
		return err
	}
	t.say("\nTo use it from your own client:\n\n  claude mcp add toolcrib -- %s", server)
	return nil
}

func agreed(t *teller, in io.Reader) bool {
	fmt.Fprint(t.out, "Ask it? [Y/n] ")
	line, err := bufio.NewReader(in).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return err == nil && (answer == "" || answer == "y" || answer == "yes")
}

// embedded asks about the shop in a cluster of the demo's own, starting both
// when they do not run yet.
func (o Options) embedded(ctx context.Context, t *teller, servers string) error {
	s, err := o.readState()
	if err == nil && s.serves(servers) {
		t.step("the demo's cluster is running already")
	} else {
		if err := Stop(ctx, o, io.Discard); err != nil {
			return err
		}
		if s, err = o.startKeeper(ctx, t, servers); err != nil {
			return err
		}
	}
	questions := slices.Concat(shopQuestions, alertQuestions, releaseQuestions)
	if !s.Shop {
		t.say("This machine gives no real node (%s), so there are no pods to break and no releases; the questions are the general ones.", s.Why)
		questions = slices.Concat(anyQuestions, alertQuestions)
	}
	if err := t.ask(ctx, s.Endpoints, questions); err != nil {
		return err
	}
	t.attach(s, filepath.Join(servers, kubernetes))
	return nil
}
