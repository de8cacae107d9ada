package toolbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// other is another agent, served by the library of the protocol.
type other struct {
	mu        sync.Mutex
	asked     []*a2a.Message
	headers   []http.Header
	cancelled chan a2a.TaskID
	answer    func(ctx context.Context, e *a2asrv.ExecutorContext, yield func(a2a.Event, error) bool)
}

func (o *other) Execute(ctx context.Context, e *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		o.mu.Lock()
		o.asked = append(o.asked, e.Message)
		o.mu.Unlock()
		if e.StoredTask == nil && !yield(a2a.NewSubmittedTask(e, e.Message), nil) {
			return
		}
		o.answer(ctx, e, yield)
	}
}

func (o *other) Cancel(_ context.Context, e *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		o.cancelled <- e.TaskID
		yield(a2a.NewStatusUpdateEvent(e, a2a.TaskStateCanceled, nil), nil)
	}
}

// serve serves the agent by the wire of a version of the protocol, with a card
// that says it listens elsewhere.
func (o *other) serve(t *testing.T, version string, streams bool) (url string) {
	t.Helper()
	o.cancelled = make(chan a2a.TaskID, 10)
	handler := a2asrv.NewHandler(o)
	mux := http.NewServeMux()
	card := &a2a.AgentCard{
		Name: "other", Version: "1", Capabilities: a2a.AgentCapabilities{Streaming: streams},
		SupportedInterfaces: []*a2a.AgentInterface{{URL: "http://elsewhere.invalid/a2a", ProtocolBinding: a2a.TransportProtocolJSONRPC, ProtocolVersion: a2a.ProtocolVersion(version)}},
	}
	rpc, cards := a2asrv.NewJSONRPCHandler(handler), a2asrv.NewStaticAgentCardHandler(card)
	if version == "0.3" {
		rpc, cards = a2av0.NewJSONRPCHandler(handler), a2asrv.NewAgentCardHandler(a2av0.NewStaticAgentCardProducer(card))
	}
	mux.Handle("/.well-known/agent-card.json", cards)
	mux.Handle("/a2a", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.headers = append(o.headers, r.Header.Clone())
		o.mu.Unlock()
		rpc.ServeHTTP(w, r)
	}))
	return serveHTTP(t, mux)
}

func (o *other) last() *a2a.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[len(o.asked)-1]
}

// says is an agent that works a while and then answers.
func says(state a2a.TaskState, text string) func(context.Context, *a2asrv.ExecutorContext, func(a2a.Event, error) bool) {
	return func(_ context.Context, e *a2asrv.ExecutorContext, yield func(a2a.Event, error) bool) {
		working := a2a.NewMessageForTask(a2a.MessageRoleAgent, e, a2a.NewTextPart("waits: kubectl approve it"))
		_ = yield(a2a.NewStatusUpdateEvent(e, a2a.TaskStateWorking, working), nil) &&
			yield(a2a.NewStatusUpdateEvent(e, state, a2a.NewMessageForTask(a2a.MessageRoleAgent, e, a2a.NewTextPart(text))), nil)
	}
}

// asking is an agent with another one as its tool.
func asking(t *testing.T, change ...func(*declared.SubAgent)) declared.Agent {
	t.Helper()
	a := agentWith()
	var sub declared.SubAgent
	sub.Namespace, sub.Name, sub.Spec.Description = "agents", "net-expert", "Knows networks."
	sub.Spec.Declarative = &kagent.DeclarativeAgentSpec{A2AConfig: &kagent.A2AConfig{Skills: []kagent.AgentSkill{{Name: "dns", Description: "why a name\nresolves or not"}}}}
	for _, c := range change {
		c(&sub)
	}
	a.Agents = []declared.SubAgent{sub}
	return a
}

func at(url string) func(string, string) string { return func(string, string) string { return url } }

func TestAnotherAgent(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1.0", "0.3"} {
		for _, streams := range []bool{true, false} {
			o := &other{answer: says(a2a.TaskStateCompleted, "it is DNS\x1b[2J")}
			a := asking(t, func(s *declared.SubAgent) { s.Headers = []kagent.ValueRef{{Name: "X-Team", Value: new("net")}} })
			kept := a.Secrets.(*secrets)
			kept.set(kept.tokens, "agents/net-expert", "token-1")
			var progress []string
			b := open(t, a, toolbox.Options{AgentURL: at(o.serve(t, version, streams)), Progress: func(_ toolbox.Tool, _ toolbox.Call, text string) { progress = append(progress, text) }})
			tool := named(t, b, "ask_net-expert")
			require.Equal(t, "Asks the agent agents/net-expert and waits for its answer. Knows networks.\n- dns: why a name resolves or not", tool.Description)
			require.Equal(t, []any{toolbox.Write, true, true}, []any{tool.Class, tool.GatesItself, tool.Agent})

			require.Equal(t, toolbox.Outcome{Text: "it is DNS", Asked: unstated}, call(t, b, "ask_net-expert", `{"question":"why?"}`), "%s %v", version, streams)
			first := o.last()
			require.Equal(t, "why?", first.Parts[0].Text())
			require.Equal(t, []any{"agents/sre"}, first.Metadata[toolbox.MetaPath])
			require.Equal(t, "run-1", first.Metadata["toolcrib.dev/run"])
			require.Equal(t, []string{"Bearer token-1", "net"}, []string{o.headers[0].Get("Authorization"), o.headers[0].Get("X-Team")})
			if streams {
				require.Equal(t, []string{"waits: kubectl approve it"}, progress)
			}
			call(t, b, "ask_net-expert", `{"question":"and now?"}`)
			require.Equal(t, first.ContextID, o.last().ContextID, "one run is one conversation")
			require.Regexp(t, "^[0-9a-f]{32}$", first.ContextID)
		}
	}
}

func TestWhatAgentsAnswer(t *testing.T) {
	t.Parallel()
	for state, want := range map[a2a.TaskState]toolbox.Outcome{
		a2a.TaskStateFailed:        {Error: true, Text: "The agent failed.\nno luck"},
		a2a.TaskStateCanceled:      {Error: true, Text: "The agent was cancelled before it had an answer.\nno luck"},
		a2a.TaskStateRejected:      {Error: true, Text: "The agent rejects the question.\nno luck"},
		a2a.TaskStateInputRequired: {Text: "The agent wants to know more before it answers; call ask_net-expert again with that.\nno luck"},
		a2a.TaskStateAuthRequired:  {Error: true, Text: "The agent waits for somebody to log in, which nobody can here.\nno luck"},
	} {
		o := &other{answer: says(state, "no luck")}
		b := open(t, asking(t), toolbox.Options{AgentURL: at(o.serve(t, "1.0", true))})
		want.Asked = unstated
		require.Equal(t, want, call(t, b, "ask_net-expert", `{"question":"why?"}`))
	}
}

// unstated is what is known of an agent that says nothing of what it takes.
var unstated = &v1alpha1.AskedUsage{Questions: 1, Unstated: 1}

// TestWhatAgentsTake holds that an agent is believed what can be.
func TestWhatAgentsTake(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]*v1alpha1.AskedUsage{
		`{"tokens":1500,"costUSD":"0.25"}`:              {Questions: 1, Tokens: 1500, CostUSD: "0.25"},
		`{"tokens":1500,"costUSD":"0.25","unstated":7}`: {Questions: 1, Unstated: 1, Tokens: 1500, CostUSD: "0.25"},
		`{"tokens":-5,"costUSD":"-1","questions":99}`:   {Questions: 1, CostUSD: "0"},
		`{"tokens":9000000000000000,"costUSD":"1e99"}`:  {Questions: 1, Tokens: 1e12, CostUSD: "0"},
		`{"tokens":"many"}`:                             unstated,
		`[]`:                                            unstated,
	} {
		var usage any
		require.NoError(t, json.Unmarshal([]byte(said), &usage))
		for _, version := range []string{"1.0", "0.3"} {
			o := &other{answer: func(_ context.Context, e *a2asrv.ExecutorContext, yield func(a2a.Event, error) bool) {
				done := a2a.NewStatusUpdateEvent(e, a2a.TaskStateCompleted, a2a.NewMessageForTask(a2a.MessageRoleAgent, e, a2a.NewTextPart("fine")))
				done.Metadata = map[string]any{toolbox.MetaUsage: usage}
				yield(done, nil)
			}}
			b := open(t, asking(t), toolbox.Options{AgentURL: at(o.serve(t, version, true))})
			require.Equal(t, want, call(t, b, "ask_net-expert", `{"question":"why?"}`).Asked, said)
		}
	}
}

func TestAnAgentThatWantsToKnowMore(t *testing.T) {
	t.Parallel()
	o := &other{}
	o.answer = func(ctx context.Context, e *a2asrv.ExecutorContext, yield func(a2a.Event, error) bool) {
		if e.StoredTask == nil {
			says(a2a.TaskStateInputRequired, "which cluster?")(ctx, e, yield)
			return
		}
		says(a2a.TaskStateCompleted, "so it is DNS")(ctx, e, yield)
	}
	b := open(t, asking(t), toolbox.Options{AgentURL: at(o.serve(t, "1.0", true))})
	require.Contains(t, call(t, b, "ask_net-expert", `{"question":"why?"}`).Text, "which cluster?")
	require.Equal(t, "so it is DNS", call(t, b, "ask_net-expert", `{"question":"the big one"}`).Text)
}

func TestAnAnswerInParts(t *testing.T) {
	t.Parallel()
	o := &other{answer: func(_ context.Context, e *a2asrv.ExecutorContext, yield func(a2a.Event, error) bool) {
		begun := a2a.NewArtifactEvent(e, a2a.NewTextPart("it is "))
		_ = yield(begun, nil) &&
			yield(a2a.NewArtifactUpdateEvent(e, begun.Artifact.ID, a2a.NewTextPart("DNS")), nil) &&
			yield(a2a.NewArtifactEvent(e, a2a.NewDataPart(map[string]any{"n": 1}), a2a.NewRawPart([]byte("abc"))), nil) &&
			yield(a2a.NewStatusUpdateEvent(e, a2a.TaskStateCompleted, nil), nil)
	}}
	b := open(t, asking(t), toolbox.Options{AgentURL: at(o.serve(t, "1.0", true))})
	require.Equal(t, toolbox.Outcome{Text: "it is DNS\n{\"n\":1}[file  , 3 bytes, not shown]", Asked: unstated}, call(t, b, "ask_net-expert", `{"question":"why?"}`))
}

func TestAgentsThatAskEachOther(t *testing.T) {
	t.Parallel()
	o := &other{answer: says(a2a.TaskStateCompleted, "yes")}
	b := open(t, asking(t), toolbox.Options{AgentURL: at(o.serve(t, "1.0", true))})
	tool := named(t, b, "ask_net-expert")
	ask := func(path ...string) toolbox.Outcome {
		out, err := b.Call(t.Context(), tool, toolbox.Call{Arguments: []byte(`{"question":"why?"}`), Path: path})
		require.NoError(t, err)
		return out
	}
	require.Equal(t, toolbox.Outcome{Error: true, Text: "ask_net-expert was not asked: the question would go round in a circle (agents/net-expert -> agents/sre -> agents/net-expert). Answer with what is known"}, ask("agents/net-expert"))
	require.Contains(t, ask("a/1", "a/2", "a/3", "a/4", "a/5").Text, "more than 5 agents would stand above it")
	require.Empty(t, o.asked)
	require.Equal(t, "yes", ask("a/1", "a/2", "a/3", "a/4").Text)
	require.Equal(t, []any{"a/1", "a/2", "a/3", "a/4", "agents/sre"}, o.last().Metadata[toolbox.MetaPath])
	for _, args := range []string{`{}`, `{"question":" "}`, `{"question":1}`} {
		require.Equal(t, "ask_net-expert was not asked: it needs a question, as a text", call(t, b, "ask_net-expert", args).Text)
	}
}

func TestCancellingCancelsTheOtherAgent(t *testing.T) {
	t.Parallel()
	begun := make(chan a2a.TaskID, 1)
	o := &other{answer: func(ctx context.Context, e *a2asrv.ExecutorContext, yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(e, a2a.TaskStateWorking, a2a.NewMessageForTask(a2a.MessageRoleAgent, e, a2a.NewTextPart("at it"))), nil)
		begun <- e.TaskID
		<-ctx.Done()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	b := open(t, asking(t), toolbox.Options{AgentURL: at(o.serve(t, "1.0", true)), Progress: func(toolbox.Tool, toolbox.Call, string) { cancel() }})
	out, err := b.Call(ctx, named(t, b, "ask_net-expert"), toolbox.Call{ID: "c1", Run: "r", Arguments: []byte(`{"question":"why?"}`)})
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, out.Unsure)
	require.Equal(t, <-begun, <-o.cancelled)
}

func TestAnAgentThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := open(t, asking(t), toolbox.Options{AgentURL: at("http://127.0.0.1:1")})
	require.Equal(t, toolbox.Outcome{Error: true, Text: "ask_net-expert was not asked: agent agents/net-expert: it cannot be reached (connect: connection refused)"}, call(t, b, "ask_net-expert", `{"question":"why?"}`))
	forbidden := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }))
	b = open(t, asking(t), toolbox.Options{AgentURL: at(forbidden)})
	require.Equal(t, toolbox.Outcome{Error: true, Text: "ask_net-expert was not asked: agent agents/net-expert: this agent may not ask it; somebody who may grant that has to (verb ask on agents.kagent.dev, name net-expert, in namespace agents)"}, call(t, b, "ask_net-expert", `{"question":"why?"}`))
}

// The stream breaks, the task goes on, and its answer is fetched.
func TestAStreamThatBreaks(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	o := &other{answer: func(ctx context.Context, e *a2asrv.ExecutorContext, yield func(a2a.Event, error) bool) {
		if yield(a2a.NewStatusUpdateEvent(e, a2a.TaskStateWorking, nil), nil) {
			<-goOn
			says(a2a.TaskStateCompleted, "it is DNS")(ctx, e, yield)
		}
	}}
	inner := o.serve(t, "1.0", true)
	broken := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		req, err := http.NewRequestWithContext(r.Context(), r.Method, inner+r.URL.Path, bytes.NewReader(body))
		if err != nil {
			return
		}
		req.Header = r.Header
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
			_, _ = io.Copy(w, resp.Body)
			return
		}
		first := make([]byte, 64<<10)
		n, _ := resp.Body.Read(first)
		_, _ = w.Write(first[:n])
		w.(http.Flusher).Flush()
		close(goOn)
		panic(http.ErrAbortHandler)
	}))
	b := open(t, asking(t), toolbox.Options{AgentURL: at(broken)})
	require.Equal(t, toolbox.Outcome{Text: "it is DNS", Asked: unstated}, call(t, b, "ask_net-expert", `{"question":"why?"}`))
}

func TestAgentsDeclaredHere(t *testing.T) {
	t.Parallel()
	here := func(s *declared.SubAgent) {
		s.Here, s.Annotations = true, map[string]string{"toolcrib.dev/access": "read"}
	}
	b := open(t, asking(t, here), toolbox.Options{AskHere: func(_ context.Context, a declared.SubAgent, question string, c toolbox.Call) (toolbox.Outcome, error) {
		require.Equal(t, []string{"agents/sre"}, c.Path)
		return toolbox.Outcome{Text: a.Name + " heard " + question}, errors.New("and this")
	}})
	tool := named(t, b, "ask_net-expert")
	require.Equal(t, toolbox.Read, tool.Class)
	o, err := b.Call(t.Context(), tool, toolbox.Call{Arguments: []byte(`{"question":"why?"}`)})
	require.EqualError(t, err, "and this")
	require.Equal(t, "net-expert heard why?", o.Text)
	require.Contains(t, call(t, open(t, asking(t, here), toolbox.Options{}), "ask_net-expert", `{"question":"why?"}`).Text, "is declared here, and nothing runs it")
}

func TestAnAgentThatHangs(t *testing.T) {
	t.Parallel()
	b := open(t, asking(t), toolbox.Options{AgentURL: at(serveHTTP(t, hanging(t, false)))})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	o, err := b.Call(ctx, named(t, b, "ask_net-expert"), toolbox.Call{Arguments: []byte(`{"question":"why?"}`)})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, o.Unsure, "it was not asked yet")
}
