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
	Servers     string // folder of the programs' binaries
	Charts      string // folder of the charts
	Embedded    bool   // a cluster of the demo's own even when there is a kubeconfig
	Interactive bool   // whoever runs the demo decides about what the agent would change
	Simulated   bool   // no real node, as on machines that can have none
	Model       string // of the provider whose key the environment holds; one that does if empty
	State       string // folder that remembers what runs; in the testbed's cache if empty
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
	if o.Charts, err = filepath.Abs(o.Charts); err != nil {
		return fmt.Errorf("path of the charts: %w", err)
	}
	if kubeconfig := userKubeconfig(); kubeconfig != "" && !o.Embedded {
		return o.own(ctx, t, servers, kubeconfig, in)
	}
	return o.embedded(ctx, t, servers, in)
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
func (o Options) own(ctx context.Context, t *teller, servers, kubeconfig string, in *os.File) error {
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
	server := filepath.Join(servers, kubernetes)
	process, err := served.Start(ctx, logs, server, "--record="+os.DevNull)
	if err != nil {
		return err
	}
	defer process.Stop()
	if err := t.ask(ctx, map[string]string{kubernetes: process.URL}, anyQuestions); err != nil {
		return err
	}
	if err := t.atHome(ctx, thinkerFor(o, "crash-loop"), filepath.Join(servers, agentcore), logs, process.URL); err != nil {
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
// when they do not run yet, and then has an agent mend it.
func (o Options) embedded(ctx context.Context, t *teller, servers string, in io.Reader) error {
	s, rest, err := o.running(ctx, t, servers)
	if err != nil {
		return err
	}
	questions := slices.Concat(shopQuestions, alertQuestions, releaseQuestions)
	if !s.Shop {
		t.say("This cluster has no real node (%s), so there are no pods to break and no releases; the questions are the general ones.", s.Why)
		questions = slices.Concat(anyQuestions, alertQuestions)
	}
	if err := t.ask(ctx, s.Endpoints, questions); err != nil {
		return err
	}
	t.say("")
	if s, err = rest(); err != nil {
		return err
	}
	if !o.Interactive {
		in = nil
	}
	if err := t.tell(ctx, s, in); err != nil {
		return err
	}
	t.attach(s, filepath.Join(servers, kubernetes))
	return nil
}

// running is the demo's cluster, and what returns once its agent is ready too.
func (o Options) running(ctx context.Context, t *teller, servers string) (s state, rest func() (state, error), err error) {
	s, err = o.readState()
	if err == nil && s.serves(servers, o) {
		t.step("the demo's cluster is running already; what was mended in it breaks again")
		return s, func() (state, error) { return s, nil }, s.breakAgain(ctx)
	}
	if err := Stop(ctx, o, io.Discard); err != nil {
		return s, nil, err
	}
	return o.startKeeper(ctx, t, servers)
}
