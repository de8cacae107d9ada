package run_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
	scripted "github.com/toolcrib/toolcrib/testbed/model"
)

var chaosDir = flag.String("chaos", "", "work on the runs of this directory, as the process that TestChaos kills")

func TestMain(m *testing.M) {
	flag.Parse()
	if *chaosDir != "" {
		if err := workOn(*chaosDir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// chaosRuns is how many runs there are, all at once.
const chaosRuns = 200

// places are where the process finds what it needs.
type places struct{ Model, Guarded, Plain string }

func runName(i int) string { return fmt.Sprintf("run-%03d", i) }

// workOn is the process: it goes on with every run of a directory that is not
// over, and ends when all are.
func workOn(dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, "places.json"))
	if err != nil {
		return err
	}
	var at places
	if err := json.Unmarshal(content, &at); err != nil {
		return err
	}
	agent := anAgent(declared.Limits{Access: v1alpha1.AccessWrite, Turns: 20, Duration: 10 * time.Minute, ApprovalTimeout: time.Hour})
	agent.Secrets = anyKey{}
	for name, url := range map[string]string{"guarded": at.Guarded, "plain": at.Plain} {
		s := declared.Server{GatesItself: name == "guarded"}
		s.Namespace, s.Name, s.Spec.URL, s.Spec.Description = "tools", name, url, name
		if err := s.RemoteMCPServer.Normalise(); err != nil {
			return err
		}
		agent.Servers = append(agent.Servers, s)
	}
	box := toolbox.Open(agent, toolbox.Options{})
	defer box.Close()
	cfg := kagent.ModelConfig{Spec: kagent.ModelConfigSpec{Provider: kagent.ProviderAnthropic, Model: "claude-test", APIKeySecret: "llm", APIKeySecretKey: "key", Anthropic: &kagent.AnthropicConfig{BaseURL: at.Model}}}
	m, err := model.Open(cfg, anyKey{}, model.Options{})
	if err != nil {
		return err
	}
	r := run.Runner{Agent: agent, Model: m, Tools: box}
	errs := make(chan error, chaosRuns)
	for i := range chaosRuns {
		go func() { errs <- workOnRun(r, dir, i) }()
	}
	for range chaosRuns {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func workOnRun(r run.Runner, dir string, i int) error {
	log, err := record.OpenFile(filepath.Join(dir, runName(i)+".jsonl"))
	if err != nil {
		return err
	}
	defer log.Close()
	_, err = r.Run(context.Background(), run.Question{Run: runName(i), Text: "See to item " + runName(i) + "."}, log, run.Observer{})
	return err
}

func (anyKey) Token(string, string) (string, error) { return "", nil }

const chaosScenario = `
rules:
- {name: look, when: {user: 'item (?P<item>run-\d+)', calls: 0}, say: I look., call: [{tool: shelf_get_item, arguments: {name: "${item}"}}]}
- {name: label, when: {user: 'item (?P<item>run-\d+)', not_called: [shelf_label_item]}, call: [{tool: shelf_label_item, arguments: {name: "${item}"}}]}
- {name: stamp, when: {user: 'item (?P<item>run-\d+)', not_called: [shelf_stamp_item]}, call: [{tool: shelf_stamp_item, arguments: {name: "${item}"}}]}
- {name: end, say: That is all.}
`

// stock is what the tools write to, and who said yes.
type stock struct {
	mu        sync.Mutex
	labels    map[string]int // how often each item was labelled
	stamps    map[string]int
	approvals map[string]*decided // by call and plan
	used      map[string]int      // how often each approval was used
	names     int
}

type itemIn struct {
	Name string `json:"name" jsonschema:"name of the item"`
}

type itemOut struct {
	Name string `json:"name"`
}

func (s *stock) get(_ context.Context, in itemIn) (itemOut, error) { return itemOut(in), nil }

func (s *stock) plan(_ context.Context, in itemIn) (mcpkit.Plan, error) {
	return mcpkit.Plan{Target: "item " + in.Name, Diff: "+ green"}, nil
}

// writes is a write that is counted.
func (s *stock) writes(to map[string]int) func(context.Context, itemIn, mcpkit.Plan) (itemOut, error) {
	return func(_ context.Context, in itemIn, _ mcpkit.Plan) (itemOut, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		to[in.Name]++
		return itemOut(in), nil
	}
}

// Consume implements mcpkit.Approvals: a person says yes as soon as somebody
// looks a second time.
func (s *stock) Consume(_ context.Context, r mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.ArgumentsHash + r.PlanHash
	a := s.approvals[key]
	if a != nil && a.name == r.Awaits && a.usedBy != "" {
		return mcpkit.Approval{Name: a.name, State: mcpkit.ApprovalTaken}, nil
	}
	if a == nil || a.usedBy != "" {
		s.names++
		a = &decided{name: fmt.Sprintf("tools/approval-%d", s.names)}
		s.approvals[key] = a
	}
	out := mcpkit.Approval{Name: a.name, State: mcpkit.ApprovalPending, Expires: time.Now().Add(time.Hour)}
	if a.looks++; a.looks > 1 && (r.Awaits == "" || r.Awaits == a.name) {
		a.usedBy, out.State = r.Call, mcpkit.ApprovalConsumed
		s.used[a.name]++
	}
	return out, nil
}

func (s *stock) serve(t *testing.T, gate mcpkit.GateMode, register func(*mcpkit.Toolset)) http.Handler {
	ts := mcpkit.NewToolset()
	register(ts)
	handler, err := mcpkit.NewServer(ts, mcpkit.Options{Name: "shelf-mcp", Access: mcpkit.AccessAll, Gate: gate, Approvals: s}).HTTP(mcpkit.HTTPOptions{})
	require.NoError(t, err)
	return handler
}

// storm serves a handler as a machine does that fails now and then: before it
// has done what it was asked for, or after, so that the answer is lost.
type storm struct {
	calm    http.Handler
	served  *atomic.Int64
	one     int // of how many requests one is lost
	mu      sync.Mutex
	weather *rand.Rand
}

func (s *storm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.served.Add(1)
	s.mu.Lock()
	lost, before := s.weather.IntN(s.one) == 0, s.weather.IntN(2) == 0
	s.mu.Unlock()
	if !lost {
		s.calm.ServeHTTP(w, r)
		return
	}
	if !before {
		s.calm.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler)
}

// TestChaos kills the process that works on two hundred runs again and again,
// and loses requests and answers of the model and of the tools beside. Every
// run comes to a stated end; nothing is written twice, and no approval serves
// twice.
func TestChaos(t *testing.T) {
	t.Parallel()
	s := &stock{labels: map[string]int{}, stamps: map[string]int{}, approvals: map[string]*decided{}, used: map[string]int{}}
	scenario, err := scripted.Parse("chaos", []byte(chaosScenario))
	require.NoError(t, err)
	brain, err := scripted.Start(scripted.Options{Scenario: scenario})
	require.NoError(t, err)
	defer brain.Close()
	var served atomic.Int64
	serve := func(h http.Handler, one int, path string) string {
		server := httptest.NewServer(&storm{calm: h, served: &served, one: one, weather: rand.New(rand.NewPCG(1, uint64(one)))})
		t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
		return server.URL + path
	}
	at := places{
		Model: serve(brain, 40, ""),
		Guarded: serve(s.serve(t, mcpkit.GateApproval, func(ts *mcpkit.Toolset) {
			mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_get_item", Title: "Get Item", Description: "Returns one item."}, s.get)
			mcpkit.Write(ts, mcpkit.Tool{Name: "shelf_label_item", Title: "Label Item", Description: "Labels an item."}, s.plan, s.writes(s.labels))
		}), 30, "/mcp"),
		Plain: serve(s.serve(t, mcpkit.GateOff, func(ts *mcpkit.Toolset) {
			mcpkit.Write(ts, mcpkit.Tool{Name: "shelf_stamp_item", Title: "Stamp Item", Description: "Stamps an item."}, s.plan, s.writes(s.stamps))
		}), 20, "/mcp"),
	}
	dir := t.TempDir()
	content, err := json.Marshal(at)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "places.json"), content, 0o600))

	kills := 0
	for over := false; !over; {
		over = process(t, dir, func(done <-chan struct{}) bool {
			if kills >= 12 {
				return false
			}
			until := served.Load() + 20 + rand.Int64N(200)
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for served.Load() < until {
				select {
				case <-done:
					return false
				case <-tick.C:
				}
			}
			kills++
			return true
		})
	}
	require.Greater(t, kills, 5)
	checkChaos(t, s, dir)
}

// process works on the runs until it ends, or is killed when kill says so. It
// reports whether it has ended by itself.
func process(t *testing.T, dir string, kill func(done <-chan struct{}) bool) bool {
	t.Helper()
	child := exec.Command(os.Args[0], "-chaos", dir)
	child.Stderr = os.Stderr
	require.NoError(t, child.Start())
	done := make(chan struct{})
	var err error
	go func() { defer close(done); err = child.Wait() }()
	if kill(done) {
		require.NoError(t, child.Process.Kill())
		<-done
		return false
	}
	<-done
	require.NoError(t, err)
	return true
}

func checkChaos(t *testing.T, s *stock, dir string) {
	t.Helper()
	ended := map[v1alpha1.RunPhase]int{}
	unsure, resumed := 0, 0
	for i := range chaosRuns {
		log, err := record.OpenFile(filepath.Join(dir, runName(i)+".jsonl"))
		require.NoError(t, err)
		state := run.Replay(log.Events())
		require.NoError(t, log.Close())
		require.True(t, state.Over(), runName(i))
		require.NotEmpty(t, state.Answer())
		ended[state.Phase]++
		for _, e := range log.Events() {
			if e.Type == v1alpha1.EventResumed {
				resumed++
			}
		}
		require.LessOrEqual(t, s.labels[runName(i)], 1)
		require.LessOrEqual(t, s.stamps[runName(i)], 1)
		for _, turn := range state.Turns {
			for _, c := range turn.Calls {
				written := map[string]int{"shelf_label_item": s.labels[runName(i)], "shelf_stamp_item": s.stamps[runName(i)]}[c.Tool]
				switch {
				case c.Outcome == "unsure":
					unsure++
				case c.Tool != "shelf_get_item" && !c.Error:
					require.Equal(t, 1, written, "%s of %s is said to be done", c.Tool, runName(i))
				}
			}
		}
	}
	for name, times := range s.used {
		require.Equal(t, 1, times, name)
	}
	t.Logf("%d runs: %v; %d times gone on with, %d calls unsure, %d approvals used", chaosRuns, ended, resumed, unsure, len(s.used))
	require.Greater(t, ended[v1alpha1.RunCompleted], chaosRuns/2)
}
