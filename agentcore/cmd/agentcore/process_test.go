package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed"
	scripted "github.com/toolcrib/toolcrib/testbed/model"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// The model looks at the disk, and then says nothing more until it is let.
const (
	stuck = `
rules:
- name: look
  when: {not_called: [shelf_get_item]}
  call: [{tool: shelf_get_item, arguments: {name: disk}}]
- name: stuck
  fail: {hang: true}
`
	loose = `
rules:
- name: answer
  when: {results: [{tool: shelf_get_item, matches: "label: (?P<label>\\w+)"}]}
  say: "The disk is ${label}."
`
	agentYAML = `
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: helper, namespace: NAMESPACE}
spec:
  description: Helps.
  declarative: {modelConfig: fast, systemMessage: Be brief., tools: [{mcpServer: {name: shelf}}]}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: fast, namespace: NAMESPACE}
spec: {provider: OpenAI, model: gpt-test, openAI: {baseUrl: "MODEL_URL/v1"}}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: shelf, namespace: NAMESPACE}
spec: {description: A shelf., url: "TOOLS_URL"}
`
)

func scenario(t *testing.T, text string) *scripted.Scenario {
	t.Helper()
	s, err := scripted.Parse("test", []byte(text))
	require.NoError(t, err)
	return s
}

// world is a model and a tool server, and the YAML of an agent that has both.
func world(t *testing.T, namespace string) (*scripted.Server, string) {
	t.Helper()
	model, err := scripted.Start(scripted.Options{Scenario: scenario(t, stuck)})
	require.NoError(t, err)
	t.Cleanup(func() { model.Close() })
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "agent"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "agent", "agent.yaml"), []byte(agentYAML), 0o600))
	require.NoError(t, settle(dir, map[string]string{"NAMESPACE": namespace, "MODEL_URL": model.URL, "TOOLS_URL": newShelf(t.Cleanup)}))
	return model, dir
}

// buffer is what a process has written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// begin starts the program.
func begin(t *testing.T, dir string, args ...string) (*exec.Cmd, *buffer) {
	t.Helper()
	cmd := exec.Command("agentcore", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "OPENAI_API_KEY=sk-secret", "HOME="+dir)
	out := &buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, out
}

// code waits for the program's end.
func code(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Wait()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return failed.ExitCode()
	}
	require.NoError(t, err)
	return 0
}

// recorded waits until a run's record holds text, and returns the run's name.
func recorded(t *testing.T, dir, text string) string {
	t.Helper()
	var name string
	require.Eventually(t, func() bool {
		files, err := filepath.Glob(filepath.Join(dir, "kept", "*.events"))
		if err != nil || len(files) != 1 {
			return false
		}
		content, err := os.ReadFile(files[0])
		name = strings.TrimSuffix(filepath.Base(files[0]), ".events")
		return err == nil && strings.Contains(string(content), text)
	}, 5*time.Minute, 20*time.Millisecond)
	return name
}

func TestARunThatIsBrokenOffGoesOn(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal os.Signal
		code   int
		says   string
	}{
		{"killed", syscall.SIGKILL, -1, ""},
		{"told to end", syscall.SIGTERM, exitInterrupted, `told to end; to go on: agentcore run -f agent --agent home/helper --runs kept --resume helper-`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model, dir := world(t, "home")
			cmd, out := begin(t, dir, "run", "-f", "agent", "--agent", "home/helper", "--runs", "kept", "What about the disk?")
			name := recorded(t, dir, `"type":"result"`)
			require.NoError(t, cmd.Process.Signal(c.signal))
			require.Equal(t, c.code, code(t, cmd))
			require.Contains(t, out.String(), c.says)
			model.SetScenario(scenario(t, loose))
			cmd, out = begin(t, dir, "run", "-f", "agent", "--runs", "kept", "--resume", name)
			require.Equal(t, 0, code(t, cmd), out.String())
			require.Contains(t, out.String(), "The disk is full.")
			recorded(t, dir, `"type":"resumed"`)
			content, err := os.ReadFile(filepath.Join(dir, "kept", name+".events"))
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(content), `"type":"call"`), "no call is made twice")
		})
	}
}

func TestCtrlCCancels(t *testing.T) {
	t.Parallel()
	_, dir := world(t, "home")
	cmd, out := begin(t, dir, "run", "-f", "agent", "--runs", "kept", "What about the disk?")
	recorded(t, dir, `"type":"result"`)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Equal(t, exitCancelled, code(t, cmd), out.String())
	require.Contains(t, out.String(), "Cancelled: somebody cancelled the run")
	recorded(t, dir, `"phase":"Cancelled"`)
}

// TestAServerThatIsKilled kills the server of an agent in the midst of a run, in
// a cluster, and starts it again.
func TestAServerThatIsKilled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cluster, err := testbed.Start(ctx, testbed.Options{Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	require.NoError(t, cluster.Install(ctx, "../../../charts/locks/manifests", "../../../charts/controller/manifests/roles.yaml"))
	kubeconfig, err := cluster.ServiceAccount(ctx, "home", "helper", "toolcrib-agent-reviews")
	require.NoError(t, err)
	require.NoError(t, cluster.Apply(ctx, []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: helper, namespace: home}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-agent}
subjects: [{kind: ServiceAccount, name: helper, namespace: home}]
`)))
	model, dir := world(t, "home")
	serve := func() (*exec.Cmd, *buffer) {
		return begin(t, dir, "serve", "-f", "agent", "--agent", "home/helper", "--kubeconfig", kubeconfig, "--listen", "127.0.0.1:0", "--audience", "helper.home.svc")
	}
	cmd, out := serve()
	look := func(ctx context.Context, run, field string) (string, error) {
		text, err := cluster.Kubectl(ctx, "get", "agentrun", run, "--namespace=home", "-o", "jsonpath={"+field+"}")
		return string(text), err
	}
	get := func(run, field string) string {
		text, err := look(ctx, run, field)
		require.NoError(t, err)
		return text
	}
	until := func(run, field, want string) {
		err := proc.Until(ctx, field+" of "+run+" to be "+want, 100*time.Millisecond, func(ctx context.Context) (bool, error) {
			text, err := look(ctx, run, field)
			return text == want, cmp.Or(err, fmt.Errorf("it is %q", text))
		})
		require.NoError(t, err, out)
	}
	require.NoError(t, cluster.Apply(ctx, []byte("apiVersion: toolcrib.dev/v1alpha1\nkind: AgentRun\nmetadata: {name: disk, namespace: home}\nspec: {agent: helper, prompt: \"What about the disk?\"}\n")))
	until("disk", ".status.events[*].type", "asked answered call result")
	require.Equal(t, "Running", get("disk", ".status.phase"))
	require.NoError(t, cmd.Process.Kill())
	require.Equal(t, -1, code(t, cmd))

	model.SetScenario(scenario(t, loose))
	cmd, out = serve()
	until("disk", ".status.phase", "Completed")
	require.Equal(t, "The disk is full.", get("disk", ".status.answer"))
	require.Equal(t, "asked answered call result resumed answered ended", get("disk", ".status.events[*].type"))

	// Told to end, it hands over what it works on, and ends.
	model.SetScenario(scenario(t, stuck))
	require.NoError(t, cluster.Apply(ctx, []byte("apiVersion: toolcrib.dev/v1alpha1\nkind: AgentRun\nmetadata: {name: again, namespace: home}\nspec: {agent: helper, prompt: \"What about the disk?\"}\n")))
	until("again", ".status.events[*].type", "asked answered call result")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, code(t, cmd), out.String())
	require.Equal(t, "Pending", get("again", ".status.phase"))
	require.Empty(t, get("again", ".status.claim"))
	require.Regexp(t, regexp.MustCompile(`msg=ended`), out.String())
}
