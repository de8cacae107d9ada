package run_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// errKilled is what everything answers once the process is dead.
var errKilled = errors.New("killed")

// world is all that a run touches, with a process in it that is killed at a
// chosen moment: before or after each thing that happens outside of it.
type world struct {
	mu     sync.Mutex
	moment int
	kill   map[int]bool
	dead   bool

	log       record.Memory
	writes    map[string]int // by tool
	approvals map[string]*decided
	asked     int
}

// decided is an approval as a server keeps it: a person says yes when it has
// been looked at a second time.
type decided struct {
	name   string
	looks  int
	usedBy string
}

// happens is a moment. What is not dead by it has happened.
func (w *world) happens(what func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, then := range []func(){what, func() {}} {
		if w.moment++; w.kill[w.moment] {
			w.dead = true
		}
		if w.dead {
			return errKilled
		}
		then()
	}
	return nil
}

func (w *world) Events() []record.Event { return w.log.Events() }

func (w *world) Append(ctx context.Context, events ...record.Event) error {
	var err error
	if killed := w.happens(func() { err = w.log.Append(ctx, events...) }); killed != nil {
		return killed
	}
	return err
}

func (w *world) Settle(context.Context) {}

func (w *world) List(context.Context) ([]toolbox.Tool, []string) {
	approve := writes("delete_pod")
	approve.RequireApproval = true
	return []toolbox.Tool{reads("get_pods"), reads("get_events"), writes("restart"), guarded("scale"), approve}, nil
}

func (w *world) Call(_ context.Context, t toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error) {
	var out toolbox.Outcome
	err := w.happens(func() {
		if t.GatesItself {
			if a := w.approvals[t.Name]; a != nil && a.usedBy != "" && a.name == c.Awaits {
				out = toolbox.Outcome{Text: "taken", Error: true, Approval: &toolbox.Approval{Name: a.name, State: "taken"}}
				return
			}
			a := w.approval(t.Name)
			if a.looks++; a.looks < 3 || c.Awaits != "" && c.Awaits != a.name {
				out = toolbox.Outcome{Text: "waits", Error: true, Approval: &toolbox.Approval{Name: a.name, State: "pending", Expires: time.Now().Add(time.Hour), Command: "kubectl patch"}}
				return
			}
			a.usedBy = "a call"
		}
		if t.Class != toolbox.Read {
			w.writes[t.Name]++
		}
		out = toolbox.Outcome{Text: t.Name + " done"}
	})
	return out, err
}

// approval is the newest of a tool that is not used up.
func (w *world) approval(tool string) *decided {
	if a := w.approvals[tool]; a == nil || a.usedBy != "" {
		w.asked++
		w.approvals[tool] = &decided{name: fmt.Sprintf("tools/%s-%d", tool, w.asked)}
	}
	return w.approvals[tool]
}

// Consume is the cluster's approvals, as package locks keeps them.
func (w *world) Consume(_ context.Context, r mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	var out mcpkit.Approval
	err := w.happens(func() {
		a := w.approvals[r.ArgumentsHash]
		if a == nil || a.usedBy != "" && a.usedBy != r.Call {
			a = w.approval(r.ArgumentsHash)
			a.name = "kagent/" + r.Tool
		}
		out = mcpkit.Approval{Name: a.name, State: mcpkit.ApprovalPending}
		if a.looks++; a.looks >= 3 {
			a.usedBy, out.State = r.Call, mcpkit.ApprovalConsumed
		}
	})
	return out, err
}

func (w *world) Generate(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
	if err := wellFormed(r.Messages); err != nil {
		return model.Reply{}, &model.Error{Kind: model.Invalid, Text: err.Error()}
	}
	var reply model.Reply
	think := script(
		says("First I look.", calls("a", "get_pods", "{}"), calls("b", "get_events", "{}")),
		says("", calls("c", "get_pods", `{"name":"x"}`), calls("d", "restart", "{}"), calls("e", "get_events", `{"count":1}`)),
		says("Now with leave.", calls("f", "scale", `{"count":3}`)),
		says("", calls("g", "delete_pod", `{"name":"web"}`)),
		says("Done."))
	err := w.happens(func() { reply, _ = think(ctx, r, say) })
	return reply, err
}

// process runs until it is over or killed.
func (w *world) process(t *testing.T) (run.State, error) {
	w.mu.Lock()
	w.dead = false
	w.mu.Unlock()
	r := run.Runner{
		Agent: anAgent(declared.Limits{Access: v1alpha1.AccessWrite, Turns: 10, Duration: time.Minute, ApprovalTimeout: time.Hour}),
		Model: w, Tools: w,
		Gate: run.Cluster{Approvals: w, Namespace: "kagent", Agent: "helper", Caller: "system:serviceaccount:kagent:helper"},
	}
	return r.Run(t.Context(), run.Question{Run: "run-1", Text: "Mend web."}, w, run.Observer{})
}

// live runs processes until the run is over. It returns how it ended and how
// many moments there were.
func live(t *testing.T, kill ...int) (*world, run.State, int) {
	w := &world{kill: map[int]bool{}, writes: map[string]int{}, approvals: map[string]*decided{}}
	for _, k := range kill {
		w.kill[k] = true
	}
	for range len(kill) + 1 {
		s, err := w.process(t)
		if err == nil {
			return w, s, w.moment
		}
		require.ErrorIs(t, err, errKilled)
	}
	t.Fatalf("killed %v: the run does not come to its end", kill)
	return nil, run.State{}, 0
}

// checkLife holds a run that was killed to what was promised.
func checkLife(t *testing.T, w *world, s run.State, kill ...int) {
	t.Helper()
	require.Equal(t, v1alpha1.RunCompleted, s.Phase, "killed %v: %s", kill, s.Reason)
	require.Equal(t, "Done.", s.Answer())
	unsure := map[string]bool{}
	for _, turn := range s.Turns {
		for _, c := range turn.Calls {
			require.True(t, c.Done)
			unsure[c.Tool] = unsure[c.Tool] || c.Outcome == "unsure"
		}
	}
	for _, tool := range []string{"restart", "scale", "delete_pod"} {
		require.LessOrEqual(t, w.writes[tool], 1, "killed %v: %s was written twice\n%s", kill, tool, strings.Join(story(w.Events()), "\n"))
		if !unsure[tool] {
			require.Equal(t, 1, w.writes[tool], "killed %v: %s is said to be done\n%s", kill, tool, strings.Join(story(w.Events()), "\n"))
		}
	}
	require.False(t, unsure["get_pods"] || unsure["get_events"], "killed %v: what reads is done again", kill)
}

func TestKilledAtEveryMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s, moments := live(t)
		checkLife(t, w, s)
		require.Equal(t, map[string]int{"restart": 1, "scale": 1, "delete_pod": 1}, w.writes)
		require.Greater(t, moments, 50)
		unsure := 0
		for kill := 1; kill <= moments; kill++ {
			w, s, _ := live(t, kill)
			checkLife(t, w, s, kill)
			for _, c := range s.Turns[1].Calls {
				if c.Outcome == "unsure" {
					unsure++
				}
			}
			require.LessOrEqual(t, s.Active(time.Now()), time.Second, "the waits do not count")
		}
		require.NotZero(t, unsure, "from when a plain write is put on record until its result is, it is unsure what came of it")
	})
}

func TestKilledTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, moments := live(t)
		for first := 1; first <= moments; first++ {
			for second := first + 1; second <= first+moments; second += 3 {
				w, s, _ := live(t, first, second)
				checkLife(t, w, s, first, second)
			}
		}
	})
}

// admitted are names of tools that all providers take.
var admitted = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// wellFormed is what providers demand of a conversation.
func wellFormed(messages []model.Message) error {
	for i, m := range messages {
		if want := []model.Role{model.User, model.Assistant}[i%2]; m.Role != want {
			return fmt.Errorf("message %d is the %s's", i, m.Role)
		}
		if m.Text == "" && len(m.Calls) == 0 && len(m.Results) == 0 {
			return fmt.Errorf("message %d is empty", i)
		}
		if len(m.Calls) > 0 && (i+1 == len(messages) || len(messages[i+1].Results) != len(m.Calls)) {
			return fmt.Errorf("message %d has calls without results", i)
		}
		for n, c := range m.Calls {
			if messages[i+1].Results[n].Call != c.ID {
				return fmt.Errorf("result %d of message %d is of another call", n, i+1)
			}
			if !admitted.MatchString(c.Name) {
				return fmt.Errorf("call %d of message %d has a name that providers refuse: %q", n, i, c.Name)
			}
		}
		if len(m.Results) > 0 && (i == 0 || len(messages[i-1].Calls) != len(m.Results)) {
			return fmt.Errorf("message %d has results without calls", i)
		}
	}
	if len(messages)%2 != 1 {
		return errors.New("the conversation does not end with a user's message")
	}
	return nil
}
