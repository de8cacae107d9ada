package a2a_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/a2a"
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

// shared is the cluster of the tests that need one.
var shared = testbed.Shared{Prepare: func(ctx context.Context, c *testbed.Cluster) error {
	return c.Install(ctx, "../../charts/locks/manifests", "../../charts/controller/manifests/roles.yaml")
}}

func bed() *testbed.Cluster { return shared.Cluster() }

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// thinker is a model that a test plays.
type thinker func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error)

func (f thinker) Generate(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
	return f(ctx, r, say)
}

// looks calls a tool, and then answers in two pieces, with what it was asked.
func looks(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
	last := r.Messages[len(r.Messages)-1]
	if len(last.Results) == 0 {
		say("I look. ")
		return model.Reply{Text: "I look. ", Calls: []model.Call{{ID: fmt.Sprint("c", len(r.Messages)), Name: "look", Arguments: `{}`}}, Stop: model.StopCalls}, nil
	}
	say("All is ")
	say("well.")
	return model.Reply{Text: "All is well.", Stop: model.StopDone, Usage: v1alpha1.TokenUsage{Input: 10, Output: 5}}, ctx.Err()
}

// shelf is one tool.
type shelf struct{ call func() toolbox.Outcome }

func (s shelf) Settle(context.Context) {}

func (s shelf) List(context.Context) ([]toolbox.Tool, []string) {
	class := toolbox.Read
	if s.call != nil {
		class = toolbox.Write
	}
	return []toolbox.Tool{{Name: "look", Server: "home/eyes", Remote: "look", Class: class, GatesItself: true, Schema: []byte(`{"type":"object"}`)}}, nil
}

func (s shelf) Call(context.Context, toolbox.Tool, toolbox.Call) (toolbox.Outcome, error) {
	if s.call != nil {
		return s.call(), nil
	}
	return toolbox.Outcome{Text: "it shines"}, nil
}

func sre(namespace string) declared.Agent {
	return declared.Agent{
		Agent: kagent.Agent{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "sre"},
			Spec: kagent.AgentSpec{Description: "Keeps things running.", Version: "1.2.3", Declarative: &kagent.DeclarativeAgentSpec{
				A2AConfig: &kagent.A2AConfig{Skills: []kagent.AgentSkill{{ID: "why", Name: "Why", Description: "Says why.", Tags: []string{"sre"}, Examples: []string{"Why?"}}}},
			}},
		},
		Limits: declared.Limits{Access: v1alpha1.AccessApprove, Turns: 3, Duration: 10 * time.Minute},
	}
}

// serve serves an agent that thinks with m.
func serve(t *testing.T, a declared.Agent, m model.Model, tools run.Tools, change func(*a2a.Options)) string {
	t.Helper()
	store, err := runs.OpenDirectory(a, filepath.Join(t.TempDir(), "runs"))
	require.NoError(t, err)
	o := a2a.Options{Agent: a, Store: store}
	if change != nil {
		change(&o)
	}
	o.Worker = &runs.Worker{Store: o.Store, Runner: run.Runner{Agent: a, Model: m, Tools: tools}, Log: slog.New(slog.DiscardHandler)}
	h, err := a2a.Handler(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var work sync.WaitGroup
	work.Go(func() { o.Worker.Work(ctx) })
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		cancel()
		work.Wait()
	})
	return server.URL
}

// post sends JSON and returns the status and the body.
func post(t *testing.T, url, token, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	var out strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buffer)
		out.Write(buffer[:n])
		if err != nil {
			return resp.StatusCode, out.String()
		}
	}
}
