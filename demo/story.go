package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// asked is the AgentRun that ada makes.
const asked = `apiVersion: toolcrib.dev/v1alpha1
kind: AgentRun
metadata:
  generateName: ask-
  namespace: agents
spec:
  agent: troubleshooter
  requestedBy: ada
  prompt: %q
`

// agentRun is what the story tells of one.
type agentRun struct {
	Metadata struct{ Name string }
	Status   struct {
		Phase   string
		Message string
		Events  []event
	}
}

type event struct {
	Type, Tool, Call, Text, Reason, Approval string
	Error                                    bool
	Calls                                    []struct{ ID, Tool, Arguments string }
}

// tale is one run as it is told.
type tale struct {
	*teller
	story
	run   string
	told  int               // events
	calls map[string]string // arguments by id
	in    *bufio.Reader     // a person who decides; ada says yes by herself if nil
}

// tell has ada ask the agent to find the fault and mend it, and decide about
// what it would change.
func (t *teller) tell(ctx context.Context, s state, in io.Reader) error {
	prompt, mended := "A pod of the shop does not stay up. Find out why, and mend it.", "kubectl -n shop get deployment checkout"
	if !s.Shop {
		prompt, mended = "Customers cannot pay. Find out why, and mend it.", "kubectl -n shop get service payments -o wide"
	}
	t.say("\n%s\n", t.paint(bold, "The agent's story"))
	t.say("It runs %s. %s", s.Story.Where, s.Story.Thinker.what())
	w := &tale{teller: t, story: s.Story, calls: map[string]string{}}
	if in != nil {
		w.in = bufio.NewReader(in)
	} else {
		t.say("Here ada says yes as soon as the agent asks. (make demo DEMO=--interactive leaves it to you.)")
	}
	t.say("\n%s", t.paint(bold, "? "+prompt))
	if err := w.ask(ctx, prompt); err != nil {
		return err
	}
	phase, err := w.follow(ctx)
	if err != nil {
		return err
	}
	t.say("")
	for _, line := range []string{
		"kubectl -n agents get agentruns",
		"kubectl -n toolcrib get approvals",
		mended,
		"kubectl -n agents get agentrun " + w.run + ` -o jsonpath='{range .status.events[*]}{.time}{"\t"}{.type}{"\t"}{.tool}{"\n"}{end}'`,
	} {
		if err := w.show(ctx, line); err != nil {
			return err
		}
	}
	if phase != "Completed" {
		return fmt.Errorf("the run %s ended as %s", w.run, phase)
	}
	return nil
}

// ask makes the AgentRun, as ada.
func (w *tale) ask(ctx context.Context, prompt string) error {
	manifest := fmt.Sprintf(asked, prompt)
	w.command("kubectl create -f - <<EOF\n" + manifest + "EOF")
	out, err := w.shell(ctx, "kubectl create -o name -f -", manifest)
	if err != nil {
		return err
	}
	w.say("  %s created", out)
	_, w.run, _ = strings.Cut(out, "/")
	return nil
}

// follow tells what happens until the run is over, and how that ends.
func (w *tale) follow(ctx context.Context) (phase string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.Kubectl, "--kubeconfig", w.Person, "-n", "agents", "get", "agentrun", w.run, "--watch", "-o", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("watch the run: %w", err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	for seen := json.NewDecoder(out); ; {
		var r agentRun
		if err := seen.Decode(&r); err != nil {
			return "", errors.Join(fmt.Errorf("watch the run: %w", err), ctx.Err())
		}
		for w.told < len(r.Status.Events) {
			e := r.Status.Events[w.told]
			w.told++
			if err := w.happens(ctx, e); err != nil {
				return "", err
			}
		}
		switch r.Status.Phase {
		case "Completed", "Stopped", "Failed", "Cancelled":
			if r.Status.Phase != "Completed" {
				w.say("%s: %s", r.Status.Phase, r.Status.Message)
			}
			return r.Status.Phase, nil
		}
	}
}

// happens tells one step.
func (w *tale) happens(ctx context.Context, e event) error {
	switch e.Type {
	case "answered":
		w.say("")
		if text := strings.TrimSpace(e.Text); text != "" {
			w.say("%s", text)
		}
		for _, c := range e.Calls {
			w.calls[c.ID] = c.Arguments
		}
	case "call":
		w.say("%s", w.paint(cyan, "→ "+e.Tool+" "+w.calls[e.Call]))
	case "result":
		lines := strings.Split(strings.TrimSpace(e.Text), "\n")
		for i, line := range lines {
			if i == mostLines {
				w.say("%s", w.paint(faint, fmt.Sprintf("  … %d lines more", len(lines)-mostLines)))
				break
			}
			w.say("  %s", line)
		}
	case "waits":
		return w.decide(ctx, e)
	}
	return nil
}

// mostLines is how many lines of a tool's answer the story shows.
const mostLines = 8

// decide shows ada what waits, and has her decide.
func (w *tale) decide(ctx context.Context, e event) error {
	namespace, name, ok := strings.Cut(e.Approval, "/")
	_, approve, found := strings.Cut(e.Reason, "for a person to run: ")
	if !ok || !found {
		return nil // it waits for something else
	}
	w.say("\n%s", w.paint(bold, "! "+e.Tool+" waits for a person"))
	if err := w.show(ctx, fmt.Sprintf("kubectl -n %s get approval %s -o jsonpath={.spec.plan}", namespace, name)); err != nil {
		return err
	}
	if w.in != nil {
		fmt.Fprint(w.out, "\nApprove it? [y/N] ")
		line, err := w.in.ReadString('\n')
		if err != nil && line == "" {
			return fmt.Errorf("nobody answered, and %s still waits: %w", e.Approval, err)
		}
		if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
			approve = strings.Replace(approve, "decision: Approved", "decision: Denied, reason: not now", 1)
		}
	}
	return w.show(ctx, approve)
}

// show runs a line of a shell as ada, and tells it and what it prints.
func (w *tale) show(ctx context.Context, line string) error {
	w.command(line)
	out, err := w.shell(ctx, line, "")
	for line := range strings.Lines(out) {
		w.say("  %s", strings.TrimRight(line, "\n"))
	}
	return err
}

func (w *tale) command(line string) { w.say("%s", w.paint(cyan, "$ "+strings.TrimRight(line, "\n"))) }

// shell runs a line of a shell as ada.
func (w *tale) shell(ctx context.Context, line, stdin string) (string, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.Person, "PATH="+filepath.Dir(w.Kubectl)+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
