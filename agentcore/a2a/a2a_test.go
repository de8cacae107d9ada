package a2a_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	wire "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2aclient/agentcard"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/a2a"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// client is the library's, as it finds its way by the agent's card.
func client(t *testing.T, url string) *a2aclient.Client {
	t.Helper()
	card, err := agentcard.DefaultResolver.Resolve(t.Context(), url)
	require.NoError(t, err)
	c, err := a2aclient.NewFromCard(t.Context(), card)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Destroy() })
	return c
}

func says(text string) *wire.SendMessageRequest {
	return &wire.SendMessageRequest{Message: wire.NewMessage(wire.MessageRoleUser, wire.NewTextPart(text))}
}

func answer(task *wire.Task) string {
	if len(task.Artifacts) == 0 {
		return ""
	}
	return task.Artifacts[0].Parts[0].Text()
}

func TestAMessageIsAnswered(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, sre("home"), thinker(looks), shelf{}, nil))
	asked := says("Is all well?")
	result, err := c.SendMessage(t.Context(), asked)
	require.NoError(t, err)
	task := result.(*wire.Task)
	require.Equal(t, wire.TaskStateCompleted, task.Status.State)
	require.Equal(t, "All is well.", answer(task))
	require.Equal(t, "Is all well?", task.History[0].Parts[0].Text())
	require.Equal(t, "Completed", task.Metadata[a2a.MetaPhase])
	require.NotEmpty(t, task.ContextID)

	again, err := c.SendMessage(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, task.ID, again.(*wire.Task).ID, "the same message is asked once")
	other := says("Something else?")
	other.Message.ID = asked.Message.ID
	_, err = c.SendMessage(t.Context(), other)
	require.ErrorContains(t, err, "was that of another message already")
	other = says("Is all well?")
	other.Message.ID = asked.Message.ID
	other.Message.Parts = append(other.Message.Parts, wire.NewDataPart(map[string]any{"alert": "Down"}))
	_, err = c.SendMessage(t.Context(), other)
	require.ErrorContains(t, err, "was that of another message already")

	found, err := c.GetTask(t.Context(), &wire.GetTaskRequest{ID: task.ID})
	require.NoError(t, err)
	require.Equal(t, "All is well.", answer(found))
	_, err = c.GetTask(t.Context(), &wire.GetTaskRequest{ID: "sre-none"})
	require.ErrorIs(t, err, wire.ErrTaskNotFound)
	_, err = c.CancelTask(t.Context(), &wire.CancelTaskRequest{ID: task.ID})
	require.ErrorIs(t, err, wire.ErrTaskNotCancelable)
	follow := says("More?")
	follow.Message.TaskID = task.ID
	_, err = c.SendMessage(t.Context(), follow)
	require.ErrorContains(t, err, "takes no more messages; to go on with the conversation, send contextId \""+task.ContextID+"\"")
}

// TestAMessageWithASecret holds that a run of it is kept without, is the same
// when it is sent again, and that the person is told.
func TestAMessageWithASecret(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, sre("home"), thinker(looks), shelf{}, nil))
	asked := says("Does ghp_0123456789abcdefghijABCDEFGHIJ012345 work?")
	asked.Message.Parts = append(asked.Message.Parts, wire.NewDataPart(map[string]any{"password": "hunter2hunter2"}))
	result, err := c.SendMessage(t.Context(), asked)
	require.NoError(t, err)
	task := result.(*wire.Task)
	require.Equal(t, "Does redacted:00000000 work?", task.History[0].Parts[0].Text())
	require.Equal(t, "All is well.", answer(task))
	require.Contains(t, task.Status.Message.Parts[0].Text(), "Note: what looked like a credential was taken out of the question")
	again, err := c.SendMessage(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, task.ID, again.(*wire.Task).ID)
}

func TestAMessageIsStreamed(t *testing.T) {
	t.Parallel()
	followed := make(chan struct{}) // a client may be told of several changes at once
	m := thinker(func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		select {
		case <-followed:
			return looks(ctx, r, say)
		case <-ctx.Done():
			return model.Reply{}, ctx.Err()
		}
	})
	c := client(t, serve(t, sre("home"), m, shelf{}, nil))
	var states []string
	var said string
	for event, err := range c.SendStreamingMessage(t.Context(), says("Is all well?")) {
		require.NoError(t, err)
		switch e := event.(type) {
		case *wire.Task:
			states = append(states, string(e.Status.State))
		case *wire.TaskStatusUpdateEvent:
			if s := string(e.Status.State); states[len(states)-1] != s {
				if states = append(states, s); e.Status.State == wire.TaskStateWorking {
					close(followed)
				}
			}
		case *wire.TaskArtifactUpdateEvent:
			if !e.Append {
				said = ""
			}
			said += e.Artifact.Parts[0].Text()
		}
	}
	require.Equal(t, []string{"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"}, states)
	require.Equal(t, "All is well.", said, "what was said before the tool was called is no part of the answer")
}

func TestAConversationGoesOn(t *testing.T) {
	t.Parallel()
	heard := make(chan model.Request, 10)
	m := thinker(func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		heard <- r
		return model.Reply{Text: "It was the cache.", Stop: model.StopDone}, nil
	})
	c := client(t, serve(t, sre("home"), m, shelf{}, nil))
	first, err := c.SendMessage(t.Context(), says("What was it?"))
	require.NoError(t, err)
	<-heard
	next := says("And now?")
	next.Message.ContextID = first.(*wire.Task).ContextID
	second, err := c.SendMessage(t.Context(), next)
	require.NoError(t, err)
	require.Equal(t, next.Message.ContextID, second.(*wire.Task).ContextID)
	text, err := json.Marshal((<-heard).Messages)
	require.NoError(t, err)
	require.Contains(t, string(text), "What was it?")
	require.Contains(t, string(text), "It was the cache.")
}

// stuck is a model that never answers.
func stuck() (thinker, chan struct{}) {
	asked := make(chan struct{}, 10)
	return func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return model.Reply{}, ctx.Err()
	}, asked
}

func TestATaskIsCancelled(t *testing.T) {
	t.Parallel()
	m, asked := stuck()
	c := client(t, serve(t, sre("home"), m, shelf{}, nil))
	request := says("Is all well?")
	request.Config = &wire.SendMessageConfig{ReturnImmediately: true}
	result, err := c.SendMessage(t.Context(), request)
	require.NoError(t, err)
	task := result.(*wire.Task)
	require.Equal(t, wire.TaskStateSubmitted, task.Status.State)
	<-asked
	ended := make(chan wire.TaskState, 1)
	go func() {
		var last wire.TaskState
		for event, err := range c.SubscribeToTask(t.Context(), &wire.SubscribeToTaskRequest{ID: task.ID}) {
			if e, ok := event.(*wire.TaskStatusUpdateEvent); ok && err == nil {
				last = e.Status.State
			}
		}
		ended <- last
	}()
	require.Eventually(t, func() bool {
		found, err := c.GetTask(t.Context(), &wire.GetTaskRequest{ID: task.ID})
		return err == nil && found.Status.State == wire.TaskStateWorking
	}, 5*time.Minute, 10*time.Millisecond)
	cancelled, err := c.CancelTask(t.Context(), &wire.CancelTaskRequest{ID: task.ID})
	require.NoError(t, err)
	require.Equal(t, wire.TaskStateCanceled, cancelled.Status.State)
	again, err := c.CancelTask(t.Context(), &wire.CancelTaskRequest{ID: task.ID})
	require.NoError(t, err)
	require.Equal(t, wire.TaskStateCanceled, again.Status.State)
	require.Contains(t, []wire.TaskState{wire.TaskStateCanceled, ""}, <-ended, "whoever follows sees it, unless they came too late")
}

func TestWaitingAndLimits(t *testing.T) {
	t.Parallel()
	decided := make(chan struct{})
	tools := shelf{call: func() toolbox.Outcome {
		select {
		case <-decided:
			return toolbox.Outcome{Text: "mended"}
		default:
			return toolbox.Outcome{Error: true, Approval: &toolbox.Approval{Name: "tools/a-1", State: "pending", Expires: time.Now().Add(time.Hour), Command: "kubectl approve a-1"}}
		}
	}}
	forever := thinker(func(ctx context.Context, r model.Request, say func(string)) (model.Reply, error) {
		if strings.Contains(r.Messages[len(r.Messages)-1].Text, "This run ends now") {
			return model.Reply{Text: "I was stopped.", Stop: model.StopDone}, nil
		}
		return model.Reply{Calls: []model.Call{{ID: "c", Name: "look", Arguments: `{"n":` + string(rune('0'+len(r.Messages)%10)) + `}`}}, Stop: model.StopCalls}, nil
	})
	c := client(t, serve(t, sre("home"), forever, tools, nil))
	waited := false
	var last *wire.TaskStatusUpdateEvent
	var said string
	for event, err := range c.SendStreamingMessage(t.Context(), says("Mend it.")) {
		require.NoError(t, err)
		switch e := event.(type) {
		case *wire.TaskStatusUpdateEvent:
			last = e
			if e.Metadata[a2a.MetaPhase] == "Waiting" && !waited {
				waited = true
				require.Equal(t, wire.TaskStateWorking, e.Status.State)
				require.Contains(t, e.Status.Message.Parts[0].Text(), "kubectl approve a-1")
				close(decided)
			}
		case *wire.TaskArtifactUpdateEvent:
			said = e.Artifact.Parts[0].Text()
		}
	}
	require.True(t, waited)
	require.Equal(t, wire.TaskStateFailed, last.Status.State)
	require.Equal(t, "Stopped", last.Metadata[a2a.MetaPhase])
	require.Contains(t, last.Status.Message.Parts[0].Text(), "a limit was reached")
	require.Equal(t, "I was stopped.", said, "what is known is told")
}

func TestTheCard(t *testing.T) {
	t.Parallel()
	url := serve(t, sre("home"), thinker(looks), shelf{}, nil)
	for _, path := range []string{"/.well-known/agent-card.json", "/.well-known/agent.json"} {
		resp, err := http.Get(url + path)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		var card struct {
			Name, URL, ProtocolVersion, Version string
			Skills                              []struct{ ID, Name string }
			SupportedInterfaces                 []struct{ URL, ProtocolVersion string }
		}
		require.NoError(t, json.Unmarshal(body, &card))
		require.Equal(t, "sre", card.Name)
		require.Equal(t, url+"/", card.URL)
		require.Equal(t, "0.3", card.ProtocolVersion)
		require.Equal(t, "1.0", card.SupportedInterfaces[0].ProtocolVersion)
		require.Equal(t, "why", card.Skills[0].ID)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/.well-known/agent.json", nil)
	require.NoError(t, err)
	r.Host = "evil.example"
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
}

func TestTheFormBefore(t *testing.T) {
	t.Parallel()
	url := serve(t, sre("home"), thinker(looks), shelf{}, nil)
	const parts = `"role":"user","parts":[{"kind":"text","text":"Is all well?"}]`
	_, body := post(t, url, "", `{"jsonrpc":"2.0","id":7,"method":"message/send","params":{"message":{"kind":"message","messageId":"m1",`+parts+`}}}`)
	var sent struct {
		ID     int
		Result struct {
			Kind, ID, ContextID string
			Status              struct{ State string }
			Artifacts           []struct{ Parts []struct{ Kind, Text string } }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &sent))
	require.Equal(t, 7, sent.ID)
	require.Equal(t, "task", sent.Result.Kind)
	require.Equal(t, "completed", sent.Result.Status.State)
	require.Equal(t, "All is well.", sent.Result.Artifacts[0].Parts[0].Text)

	_, body = post(t, url, "", `{"jsonrpc":"2.0","id":8,"method":"tasks/get","params":{"id":"`+sent.Result.ID+`"}}`)
	require.Contains(t, body, `"state":"completed"`)
	_, body = post(t, url, "", `{"jsonrpc":"2.0","id":9,"method":"message/stream","params":{"message":{"kind":"message","messageId":"m2",`+parts+`}}}`)
	require.Contains(t, body, `"kind":"status-update"`)
	require.Contains(t, body, `"kind":"artifact-update"`)
	require.Contains(t, body, `"final":true`)
	require.Contains(t, body, `"text":"All is `)
	for request, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"none"}}`:                           `"code":-32001`,
		`{"jsonrpc":"2.0","id":1,"method":"tasks/cancel","params":{"id":"` + sent.Result.ID + `"}}`:      `"code":-32002`,
		`{"jsonrpc":"2.0","id":1,"method":"tasks/resubscribe","params":{"id":"` + sent.Result.ID + `"}}`: `the task is over`,
		`{"jsonrpc":"2.0","id":1,"method":"tasks/pushNotificationConfig/get","params":{"id":"none"}}`:    `"code":-32003`,
		`{"jsonrpc":"2.0","id":1,"method":"agents/dance"}`:                                               `"code":-32601`,
		`{"jsonrpc":"2.0","id":1,"method":"Dance"}`:                                                      `"code":-32601`,
		`{"jsonrpc":"2.0",`: `"code":-32700`,
		`{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{}}`:                                                          `the message is missing`,
		`{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"e","role":"ROLE_USER","parts":[]}}}`: `the message says nothing`,
	} {
		_, body := post(t, url, "", request)
		require.Contains(t, body, want, request)
	}
	code, body := post(t, url, "", `{"x":"`+strings.Repeat("x", 1<<20)+`"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, code, body)
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, sre("home"), thinker(looks), shelf{}, nil))
	for want, change := range map[string]func(*wire.SendMessageRequest){
		"round in a circle: home/lead -> home/sre -> home/sre": func(r *wire.SendMessageRequest) {
			r.Message.Metadata = map[string]any{toolbox.MetaPath: []any{"home/lead", "home/sre"}}
		},
		"more than 5 agents stand above this one": func(r *wire.SendMessageRequest) {
			r.Message.Metadata = map[string]any{toolbox.MetaPath: []any{"a/1", "a/2", "a/3", "a/4", "a/5", "a/6"}}
		},
		"it is no list of agents":       func(r *wire.SendMessageRequest) { r.Message.Metadata = map[string]any{toolbox.MetaPath: []any{"a,b"}} },
		"tokens-left: write a number":   func(r *wire.SendMessageRequest) { r.Message.Metadata = map[string]any{toolbox.MetaTokensLeft: -1} },
		"dollars-left: write an amount": func(r *wire.SendMessageRequest) { r.Message.Metadata = map[string]any{toolbox.MetaDollarsLeft: "NaN"} },
		"\"All\" is no access":          func(r *wire.SendMessageRequest) { r.Message.Metadata = map[string]any{toolbox.MetaAccess: "All"} },
		"reads text and data": func(r *wire.SendMessageRequest) {
			r.Message.Parts = wire.ContentParts{wire.NewFileURLPart("http://x/y", "text/plain")}
		},
		"longer than 64 KiB": func(r *wire.SendMessageRequest) {
			r.Message.Parts = wire.ContentParts{wire.NewTextPart(strings.Repeat("x", 65<<10))}
		},
		"pushes no notifications": func(r *wire.SendMessageRequest) {
			r.Config = &wire.SendMessageConfig{PushConfig: &wire.PushConfig{URL: "http://x/"}}
		},
		"there is no such task": func(r *wire.SendMessageRequest) { r.Message.TaskID = "sre-none" },
	} {
		request := says("Is all well?")
		change(request)
		_, err := c.SendMessage(t.Context(), request)
		require.ErrorContains(t, err, want)
	}
}

// TestAnAgentAsksAnother has the toolbox ask this face, as agents do.
func TestAnAgentAsksAnother(t *testing.T) {
	t.Parallel()
	priced := sre("home")
	priced.Prices = declared.Prices{Known: true, Input: 1, Output: 10}
	url := serve(t, priced, thinker(looks), shelf{}, nil)
	lead := declared.Agent{Agent: kagent.Agent{ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: "lead"}}, Secrets: nobody{}}
	lead.Agents = []declared.SubAgent{{Agent: sre("home").Agent}}
	box := toolbox.Open(lead, toolbox.Options{AgentURL: func(string, string) string { return url }})
	defer box.Close()
	tools, problems := box.List(t.Context())
	require.Empty(t, problems)
	require.Len(t, tools, 1)
	outcome, err := box.Call(t.Context(), tools[0], toolbox.Call{ID: "c1", Run: "lead-1", Arguments: json.RawMessage(`{"question":"Is all well?"}`), Fresh: true})
	require.NoError(t, err)
	require.False(t, outcome.Error, outcome.Text)
	require.Equal(t, "All is well.", outcome.Text)
	require.Equal(t, &v1alpha1.AskedUsage{Questions: 1, Tokens: 15, CostUSD: "0.00006"}, outcome.Asked)

	outcome, err = box.Call(t.Context(), tools[0], toolbox.Call{ID: "c2", Run: "lead-1", Arguments: json.RawMessage(`{"question":"Is all well?"}`), Left: toolbox.Left{Tokens: 20, Dollars: 0.5}})
	require.NoError(t, err)
	require.True(t, outcome.Error)
	require.Contains(t, outcome.Text, "a limit was reached: the 20 tokens are used up that whoever asked had left")
}

// nobody has no secrets.
type nobody struct{}

func (nobody) Secret(string, string) (string, error) { return "", nil }
func (nobody) Token(string, string) (string, error)  { return "", nil }
