package chaos_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/proc"
	"github.com/toolcrib/toolcrib/testbed/served"
)

// polling is how often what is waited for is looked at.
const polling = 50 * time.Millisecond

// programs are the paths of those that are killed, built as they are released.
var programs = sync.OnceValues(func() (map[string]string, error) {
	out := map[string]string{}
	for name, folder := range map[string]string{
		"agentcore": "../cmd/agentcore", "kubernetes-mcp": "../../servers/kubernetes/cmd/kubernetes-mcp", "testbed": "../../testbed/cmd/testbed",
	} {
		path, err := served.Build(folder)
		if err != nil {
			return nil, err
		}
		out[name] = path
	}
	return out, nil
})

// victim is a process that is killed and started again.
type victim struct {
	name  string
	line  []string // program and arguments
	port  int
	group *proc.Group
	now   *proc.Process
	kills int
}

func (v *victim) start(t *testing.T) {
	t.Helper()
	var err error
	v.now, err = v.group.Start(v.name, v.line[0], v.line[1:]...)
	require.NoError(t, err)
}

// kill ends the process without a word, and starts it again.
func (v *victim) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, v.now.Err(), "it died by itself")
	require.NoError(t, syscall.Kill(v.now.Pid(), syscall.SIGKILL))
	<-v.now.Exited()
	v.kills++
	v.start(t)
}

// answers waits until the process listens.
func (v *victim) answers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	require.NoError(t, proc.Until(ctx, v.name+" to listen", polling, func(ctx context.Context) (bool, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", v.port))
		if err != nil {
			return false, nil
		}
		return true, c.Close()
	}, v.now))
}

// victims are the model server, the tool servers, and the agent's two replicas.
// All of them run until the test ends.
func victims(t *testing.T, kubeconfigs map[string]string) []*victim {
	t.Helper()
	built, err := programs()
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, path := range built {
			_ = os.RemoveAll(filepath.Dir(path))
		}
	})
	ports, err := proc.FreePorts(5)
	require.NoError(t, err)
	dir := t.TempDir()
	write(t, dir, "agent/agent.yaml", fmt.Sprintf(agentYAML, ports[0], ports[1], ports[2]))
	key := write(t, dir, "mounts/secrets/model/key", modelKey)
	for _, server := range []string{"kube-read", "kube-write"} {
		write(t, dir, "mounts/tokens/"+place+"."+server+"/token", kubectl(t, "create", "token", "sre", "--audience="+server, "--duration=1h"))
	}
	sign := write(t, dir, "sign", "a key of enough bytes")
	group := &proc.Group{Logs: cluster.Dir}
	t.Cleanup(func() { group.Stop(enough) })
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	toolServer := func(i int, name, access string) *victim {
		return &victim{name: name, port: ports[i], group: group, line: []string{
			built["kubernetes-mcp"], "--http=" + at(i), "--access=" + access, "--auth=kubernetes", "--audience=" + name, "--locks-namespace=" + place,
			"--locks-kubeconfig=" + kubeconfigs[name], "--kubeconfig=" + kubeconfigs[name], "--key-file=" + sign, "--caller-rate=1000", "--max-calls=200",
			"--record=" + filepath.Join(dir, name+".record"),
		}}
	}
	agent := func(i int, name string) *victim {
		return &victim{name: name, port: ports[i], group: group, line: []string{
			built["agentcore"], "serve", "-f", filepath.Join(dir, "agent"), "--agent", place + "/sre", "--mounts", filepath.Join(dir, "mounts"),
			"--listen", at(i), "--runs", "cluster", "--auth", "kubernetes", "--audience", "sre." + place + ".svc",
			"--kubeconfig", kubeconfigs["sre"], "--replica", name, "--max-runs", "8",
		}}
	}
	all := []*victim{
		{name: "model", port: ports[0], group: group, line: []string{built["testbed"], "model", "--scenario", "testdata/mark.yaml", "--listen", at(0), "--key-file", key}},
		toolServer(1, "kube-read", "read"), toolServer(2, "kube-write", "write"),
		agent(3, "sre-a"), agent(4, "sre-b"),
	}
	for _, v := range all {
		v.start(t)
	}
	for _, v := range all {
		v.answers(t)
	}
	return all
}

// last is the end of each victim's log, for whoever reads why the test failed.
func last(all []*victim) string {
	var out strings.Builder
	for _, v := range all {
		text, err := os.ReadFile(v.now.Log)
		if err != nil {
			continue
		}
		fmt.Fprintf(&out, "--- %s, killed %d times\n%s\n", v.name, v.kills, text[max(0, len(text)-2000):])
	}
	return out.String()
}
