package runs_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/testbed"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var cluster *testbed.Cluster

func TestMain(m *testing.M) {
	os.Exit(testbed.Main(m, testbed.Options{}, func(c *testbed.Cluster) {
		cluster = c
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
		defer cancel()
		if err := c.Install(ctx, "../../charts/locks/manifests", "../../charts/controller/manifests/roles.yaml"); err != nil {
			panic(err)
		}
	}))
}

var rooms atomic.Int32

// room is a namespace with an agent's account, which may do what the
// controller grants it and nothing else.
func room(t *testing.T) (declared.Agent, string) {
	t.Helper()
	ns := fmt.Sprintf("room-%d", rooms.Add(1))
	kubeconfig, err := cluster.ServiceAccount(t.Context(), ns, "sre")
	require.NoError(t, err)
	require.NoError(t, cluster.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: sre, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-agent}
subjects: [{kind: ServiceAccount, name: sre, namespace: %[1]s}]
`, ns)))
	a := declared.Agent{
		Agent:    kagent.Agent{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "sre"}},
		Limits:   declared.Limits{Access: v1alpha1.AccessApprove, Turns: 10, Duration: 10 * time.Minute},
		Prices:   declared.Prices{Known: true, Input: 1, Output: 10},
		Revision: "0123456789",
	}
	return a, kubeconfig
}

func open(t *testing.T, a declared.Agent, kubeconfig string) *runs.Cluster {
	t.Helper()
	c, err := runs.OpenCluster(a, kubeconfig, "test", "")
	require.NoError(t, err)
	return c
}

// stores are the two of them, for what they have in common.
func stores(t *testing.T) map[string]func(t *testing.T) (declared.Agent, runs.Store) {
	return map[string]func(t *testing.T) (declared.Agent, runs.Store){
		"cluster": func(t *testing.T) (declared.Agent, runs.Store) {
			a, kubeconfig := room(t)
			return a, open(t, a, kubeconfig)
		},
		"directory": func(t *testing.T) (declared.Agent, runs.Store) {
			a := declared.Agent{Agent: kagent.Agent{ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: "sre"}}, Prices: declared.Prices{Known: true, Input: 1, Output: 10}}
			a.Limits = declared.Limits{Access: v1alpha1.AccessApprove, Turns: 10, Duration: 10 * time.Minute}
			d, err := runs.OpenDirectory(a, filepath.Join(t.TempDir(), "runs"))
			require.NoError(t, err)
			return a, d
		},
	}
}

// thinker is a model that a test plays.
type thinker func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error)

func (f thinker) Generate(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
	return f(ctx, r, say)
}

// says answers at once, and calls the tool first if it has not been called yet.
func says(text string) thinker {
	return func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		usage := v1alpha1.TokenUsage{Input: 1000, Output: 100}
		for _, m := range r.Messages {
			if len(m.Results) > 0 {
				say(text)
				return model.Reply{Text: text, Stop: model.StopDone, Usage: usage}, ctx.Err()
			}
		}
		return model.Reply{Calls: []model.Call{{ID: "c1", Name: "look", Arguments: `{}`}}, Stop: model.StopCalls, Usage: usage}, ctx.Err()
	}
}

// shelf is one tool that only reads, and one that writes.
type shelf struct {
	mu     sync.Mutex
	called []string
	call   func(ctx context.Context, t toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error)
}

func (s *shelf) Settle(context.Context) {}

func (s *shelf) List(context.Context) ([]toolbox.Tool, []string) {
	return []toolbox.Tool{
		{Name: "look", Server: "home/eyes", Remote: "look", Class: toolbox.Read, Schema: []byte(`{"type":"object"}`)},
		{Name: "mend", Server: "home/hands", Remote: "mend", Class: toolbox.Write, GatesItself: true, Schema: []byte(`{"type":"object"}`)},
	}, nil
}

func (s *shelf) Call(ctx context.Context, t toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error) {
	s.mu.Lock()
	s.called = append(s.called, c.Run+" "+t.Name)
	s.mu.Unlock()
	if s.call != nil {
		return s.call(ctx, t, c)
	}
	return toolbox.Outcome{Text: "all is well"}, nil
}

func (s *shelf) calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.called...)
}

// works starts a worker and returns how to end it as a process that is told to.
func works(t *testing.T, s runs.Store, a declared.Agent, m model.Model, tools run.Tools) (*runs.Worker, func()) {
	t.Helper()
	w := &runs.Worker{Store: s, Runner: run.Runner{Agent: a, Model: m, Tools: tools}, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var done sync.WaitGroup
	done.Go(func() { w.Work(ctx) })
	stop := func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	return w, stop
}

func ask(t *testing.T, s runs.Store, prompt string) v1alpha1.AgentRun {
	t.Helper()
	r, err := s.Create(t.Context(), v1alpha1.AgentRun{Spec: v1alpha1.AgentRunSpec{Prompt: prompt}})
	require.NoError(t, err)
	return r
}

// until follows a run until it is as wanted.
func until(t *testing.T, s runs.Store, name string, as func(v1alpha1.AgentRun) bool) v1alpha1.AgentRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var last v1alpha1.AgentRun
	for r, err := range s.Follow(ctx, name) {
		require.NoError(t, err, "run %s: %s %s", name, last.Status.Phase, last.Status.Message)
		if last = r; as(r) {
			return r
		}
	}
	require.FailNow(t, "the run did not come to what was waited for", "%s: %s", last.Status.Phase, last.Status.Message)
	return last
}

func over(r v1alpha1.AgentRun) bool { return r.Status.Phase.Final() }

func types(r v1alpha1.AgentRun) string {
	var out []string
	for _, e := range r.Status.Events {
		out = append(out, string(e.Type))
	}
	return strings.Join(out, " ")
}
