package run_test

import (
	"context"
	"encoding/json"
	"sync"
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
)

// thinker is a model that a test plays.
type thinker func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error)

func (t thinker) Generate(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
	return t(ctx, r, say)
}

// says is an answer, streamed in two pieces.
func says(text string, calls ...model.Call) model.Reply {
	stop := model.StopDone
	if len(calls) > 0 {
		stop = model.StopCalls
	}
	return model.Reply{Text: text, Calls: calls, Stop: stop, Usage: v1alpha1.TokenUsage{Input: 100, Output: 10}}
}

func calls(id, tool, arguments string) model.Call {
	return model.Call{ID: id, Name: tool, Arguments: arguments}
}

// script is a model that gives these answers, one for each time it has spoken
// in the conversation, and the last forever.
func script(replies ...model.Reply) thinker {
	return func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		spoken := 0
		for _, m := range r.Messages {
			if m.Role == model.Assistant {
				spoken++
			}
		}
		reply := replies[min(spoken, len(replies)-1)]
		if say != nil && reply.Text != "" {
			say(reply.Text[:len(reply.Text)/2])
			say(reply.Text[len(reply.Text)/2:])
		}
		return reply, ctx.Err()
	}
}

// shelf is tools that a test plays. It counts what is called.
type shelf struct {
	answer func(ctx context.Context, t toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error)

	mu       sync.Mutex
	tools    []toolbox.Tool
	problems []string
	called   []string // tool and arguments
}

func (s *shelf) Settle(context.Context) {}

func (s *shelf) List(context.Context) ([]toolbox.Tool, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tools, s.problems
}

// offer changes what is on offer, and what is wrong with the rest.
func (s *shelf) offer(tools []toolbox.Tool, problems ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools, s.problems = tools, problems
}

func (s *shelf) Call(ctx context.Context, t toolbox.Tool, c toolbox.Call) (toolbox.Outcome, error) {
	s.mu.Lock()
	s.called = append(s.called, t.Name+" "+string(c.Arguments))
	s.mu.Unlock()
	if s.answer == nil {
		return toolbox.Outcome{Text: t.Name + " says fine"}, ctx.Err()
	}
	return s.answer(ctx, t, c)
}

func (s *shelf) calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.called...)
}

var anObject = json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"},"count":{"type":"integer"}},"additionalProperties":false}`)

func reads(name string) toolbox.Tool {
	return toolbox.Tool{Name: name, Remote: name, Server: "tools/kubernetes", Schema: anObject, Class: toolbox.Read, Description: "Reads " + name}
}

func writes(name string) toolbox.Tool {
	return toolbox.Tool{Name: name, Remote: name, Server: "tools/third-party", Schema: anObject, Class: toolbox.Write, Description: "Writes " + name}
}

// guarded is a tool whose server asks a person before it writes.
func guarded(name string) toolbox.Tool {
	t := writes(name)
	t.Server, t.GatesItself = "tools/kubernetes-write", true
	return t
}

func anAgent(limits declared.Limits) declared.Agent {
	a := declared.Agent{System: "You help.", Limits: limits}
	a.Namespace, a.Name = "kagent", "helper"
	a.Model = kagent.ModelConfig{Spec: kagent.ModelConfigSpec{Model: "claude-sonnet-4"}}
	return a
}

// ask is a run of a question to its end.
func ask(t *testing.T, r run.Runner, text string) (run.State, []record.Event) {
	t.Helper()
	log := &record.Memory{}
	s, err := r.Run(t.Context(), run.Question{Run: "run-1", Text: text}, log, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, s.Phase, run.Replay(log.Events()).Phase)
	return s, log.Events()
}

func runner(m model.Model, tools run.Tools) run.Runner {
	return run.Runner{Agent: anAgent(declared.Limits{Turns: 20, Duration: time.Hour}), Model: m, Tools: tools}
}

// story is the events in short.
func story(events []record.Event) []string {
	var out []string
	for _, e := range events {
		s := string(e.Type)
		if e.Tool != "" {
			s += " " + e.Tool
		}
		if e.Error {
			s += " error"
		}
		if e.Type == v1alpha1.EventEnded {
			s += " " + string(e.Phase)
		}
		out = append(out, s)
	}
	return out
}

// hear is a model that is listened to. Its answer is given by a function of the
// request, or by another model before which its functions are called.
func hear[T thinker | func(model.Request) model.Reply](m T, each ...func(model.Request)) thinker {
	return func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		for _, f := range each {
			f(r)
		}
		if f, ok := any(m).(func(model.Request) model.Reply); ok {
			return f(r), ctx.Err()
		}
		return any(m).(thinker)(ctx, r, say)
	}
}

func failing(err error) thinker {
	return func(context.Context, model.Request, func(string)) (model.Reply, error) { return model.Reply{}, err }
}

func memory() *record.Memory { return &record.Memory{} }
