package demo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/model"
)

// built builds a command of this repository.
func built(t *testing.T, dir, pkg string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // it runs in an image that holds nothing else
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// shown is one run of the demo: what it is given, and what it printed.
type shown struct {
	demo  string
	args  []string
	env   []string
	stdin string
}

func (s shown) transcript(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(s.demo, s.args...)
	cmd.Env = append(os.Environ(), append([]string{"ANTHROPIC_API_KEY=", "OPENAI_API_KEY="}, s.env...)...)
	cmd.Stdin = strings.NewReader(s.stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// programs builds the demo and what it shows.
func programs(t *testing.T) (demo, dir string) {
	t.Helper()
	dir = t.TempDir()
	demo = built(t, dir, "./cmd/demo")
	for _, pkg := range []string{"servers/kubernetes/cmd/kubernetes-mcp", "servers/helm/cmd/helm-mcp", "servers/prometheus/cmd/prometheus-mcp", "controller/cmd/controller", "agentcore/cmd/agentcore"} {
		built(t, dir, "../"+pkg)
	}
	return demo, dir
}

// stateIn is what a keeper left for later commands.
func stateIn(t *testing.T, dir string) state {
	t.Helper()
	s, err := Options{State: dir}.readState()
	require.NoError(t, err)
	return s
}

// The demo, as a person runs it: twice, the second time on what the first left
// running, on a cluster of one's own, and without a node; and then stopped.
func TestDemo(t *testing.T) {
	demo, dir := programs(t)
	in := func(args ...string) shown {
		return shown{demo: demo, args: append(args, "--servers", dir, "--state", dir, "--charts", "../charts")}
	}
	stop := shown{demo: demo, args: []string{"stop", "--state", dir}}
	t.Cleanup(func() { _ = exec.Command(demo, "stop", "--state", dir).Run() })

	first := in("--embedded").transcript(t)
	for _, found := range []string{
		"all of them read-only",
		"cannot connect to database",                    // why checkout crashes
		"nearest: Deployment payments has app=payments", // why nobody can pay
		`storage class "fast-ssd" does not exist`,       // what orders waits for
		"env[CHECKOUT_TIMEOUT].value: 5s -> 50ms",       // what changed
		"toolcrib.test/busybox:1",                       // which images run
		":kubernetes-mcp may not get secrets",
		"may not delete pods",
		"1 of 3 series meet testbed_queue_length > 100",               // why QueueFull fires
		"verdict: notifies: shop-orders",                              // who is told
		`route="/pay"}: 0.2 -> 0.8 (+300%)`,                           // what got slower
		"spec.replicas: 1 -> 2",                                       // what the last upgrade changed
		"Deployment/storefront\tspec.replicas\t2\t1\tkubectl (scale)", // what a person changed
		"adminPassword: redacted:",
		"The model is scripted",
		"! k8s_patch_resource waits for a person",
		"~ spec.template.spec.containers[checkout].env[DB_HOST].value: orders-db.shop.svc -> orders-database.shop.svc",
		"state: complete", // what the agent saw of its fix
		"With approval I changed: ~ spec.template",
		"claude mcp add",
	} {
		require.Contains(t, first, found)
	}
	require.Regexp(t, `ask-\S+ +troubleshooter +Person +Completed`, first)
	require.Regexp(t, `Approved +ada`, first)
	require.Regexp(t, `checkout +1/1`, first)
	require.NotContains(t, first, "not-for-your-eyes")

	again := in("--embedded", "--interactive")
	again.stdin = "n\n"
	second := again.transcript(t)
	require.Contains(t, second, "the demo's cluster is running already")
	require.Contains(t, second, "Approve it? [y/N] ")
	require.Contains(t, second, "still crash-loops. My change was not made")
	require.Regexp(t, `Denied +ada`, second)
	require.Regexp(t, `checkout +0/1`, second)

	t.Run("a cluster of one's own is only read", func(t *testing.T) { ownCluster(t, in(), stateIn(t, dir)) })
	require.Contains(t, stop.transcript(t), "stopped: the demo's cluster and servers are gone")
	require.Contains(t, stop.transcript(t), "nothing is running")

	simulated := in("--embedded", "--simulated").transcript(t)
	require.Contains(t, simulated, "whose pods are simulated")
	require.Contains(t, simulated, "With approval I changed: ~ spec.selector.app: payment -> payments\nIt selects 1 pod now.")
	require.Regexp(t, `ask-\S+ +troubleshooter +Person +Completed`, simulated)
	require.Contains(t, stop.transcript(t), "stopped: the demo's cluster and servers are gone")
}

// ownCluster shows the demo a kubeconfig, and a model as real as there can be
// one here: it wants its key.
func ownCluster(t *testing.T, s shown, of state) {
	scenario, err := model.Shipped("crash-loop")
	require.NoError(t, err)
	real, err := model.Start(model.Options{Scenario: scenario, Key: "the-key"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, real.Close()) })
	kubeconfig := "KUBECONFIG=" + of.Story.Admin

	s.env = []string{kubeconfig}
	printed := s.transcript(t)
	require.Contains(t, printed, "It only reads, as you, and changes nothing.")
	require.Contains(t, printed, "The model is scripted")
	require.Contains(t, printed, "Cause: cannot connect to database: lookup orders-db.shop.svc: no such host.")

	for provider, env := range map[string][]string{
		"Anthropic": {"ANTHROPIC_API_KEY=the-key", "ANTHROPIC_BASE_URL=" + real.URL},
		"OpenAI":    {"OPENAI_API_KEY=the-key", "OPENAI_BASE_URL=" + real.URL + "/v1"},
	} {
		s.env = append(env, kubeconfig)
		printed = s.transcript(t)
		require.Contains(t, printed, "of "+provider+"; its key stays in the demo's own process")
		require.Contains(t, printed, "Cause: cannot connect to database: lookup orders-db.shop.svc: no such host.")
		require.NotContains(t, printed, "the-key")
	}
	require.NotEmpty(t, real.Requests())
	for _, r := range real.Requests() {
		require.Equal(t, 200, r.Status, r.Outcome)
	}
}
