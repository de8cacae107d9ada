package toolbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// decisions are approvals of a test's own; how real ones come about is for
// package locks to prove.
type decisions struct{ now mcpkit.Approval }

func (d *decisions) Consume(context.Context, mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	return d.now, nil
}

func TestAWriteThatWaitsForAPerson(t *testing.T) {
	t.Parallel()
	expires := time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)
	d := &decisions{mcpkit.Approval{Name: "tools/shelf-1", State: mcpkit.ApprovalPending, Expires: expires, Command: "kubectl approve it"}}
	s := newShelf()
	url := s.serve(t, mcpkit.Options{Gate: mcpkit.GateApproval, Approvals: d})
	b := open(t, agentWith(serverAt(t, "shelf", url, func(s *declared.Server) { s.GatesItself = true })), toolbox.Options{})
	const args = `{"name":"saw","label":"red"}`
	o := call(t, b, "shelf_label_item", args)
	require.True(t, o.Error)
	require.False(t, o.Unsure)
	require.Equal(t, &toolbox.Approval{Name: "tools/shelf-1", State: "pending", Expires: expires, Command: "kubectl approve it"}, o.Approval)
	require.Contains(t, o.Text, "denied: a person must approve this write first. Nothing was changed")
	require.Contains(t, o.Text, "-blue\n+red", "the plan")
	for _, state := range []mcpkit.ApprovalState{mcpkit.ApprovalDenied, mcpkit.ApprovalTaken} {
		d.now.State = state
		require.Equal(t, string(state), call(t, b, "shelf_label_item", args).Approval.State)
	}
	require.Equal(t, "blue", s.label("saw"))
	d.now.State = mcpkit.ApprovalConsumed
	require.Nil(t, call(t, b, "shelf_label_item", args).Approval)
	require.Equal(t, "red", s.label("saw"))

	// Nobody waits on the word of a server that nobody says has people decide.
	d.now.State = mcpkit.ApprovalPending
	other := open(t, agentWith(serverAt(t, "shelf", url)), toolbox.Options{})
	require.Nil(t, call(t, other, "shelf_label_item", args).Approval)
}

func TestApprovalsThatAreNone(t *testing.T) {
	t.Parallel()
	f := newForeign()
	statesGate(f)
	var note any
	f.AddTool(&mcp.Tool{Name: "change", InputSchema: map[string]any{"type": "object"}}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{IsError: true, Meta: mcp.Meta{mcpkit.MetaApproval: note}, Content: []mcp.Content{&mcp.TextContent{Text: "no"}}}, nil
	})
	b := open(t, agentWith(serverAt(t, "foreign", foreign(t, f, ""), func(s *declared.Server) { s.GatesItself = true })), toolbox.Options{})
	for _, note = range []any{nil, "x", []any{}, map[string]any{"name": "a/b"}, map[string]any{"name": "a/b", "state": "approved"},
		map[string]any{"name": "a b", "state": "pending"}, map[string]any{"name": "a/b", "state": "pending", "expires": "soon"}} {
		require.Equal(t, toolbox.Outcome{Text: "no", Error: true}, call(t, b, "change", `{}`))
	}
	note = map[string]any{"name": "a/b", "state": "pending", "expires": "2026-11-21T11:00:00Z", "command": "kubectl\x1b[2J \u202eyes\nno"}
	require.Equal(t, "kubectl yes no", call(t, b, "change", `{}`).Approval.Command)
}

func TestAServerThatAsks(t *testing.T) {
	t.Parallel()
	s := newShelf()
	url := s.serve(t, mcpkit.Options{Gate: mcpkit.GateAsk})
	var asked []string
	answer := false
	b := open(t, agentWith(serverAt(t, "shelf", url)), toolbox.Options{Ask: func(_ context.Context, question string) (bool, error) {
		asked = append(asked, question)
		return answer, nil
	}})
	const args = `{"name":"saw","label":"red"}`
	o := call(t, b, "shelf_label_item", args)
	require.Contains(t, o.Text, "denied: the person declined. Nothing was changed")
	require.Equal(t, []string{"tools/shelf asks:\nLabel Item: item saw\n\n-blue\n+red\n\nAccept to make this change, decline to leave everything as it is."}, asked)
	require.Equal(t, "blue", s.label("saw"))
	answer = true
	require.False(t, call(t, b, "shelf_label_item", args).Error)
	require.Equal(t, "red", s.label("saw"))

	nobody := open(t, agentWith(serverAt(t, "shelf", url)), toolbox.Options{})
	o = call(t, nobody, "shelf_label_item", `{"name":"saw","label":"green"}`)
	require.Contains(t, o.Text, "this client cannot ask one (no elicitation). Nothing was changed. What would change: item saw\n\n-red\n+green")
	require.Equal(t, "red", s.label("saw"))
}

// A person takes longer than a server may stay silent, and older servers ask in
// another way.
func TestTimeToAnswer(t *testing.T) {
	t.Parallel()
	for _, protocol := range []kagent.RemoteMCPServerProtocol{kagent.ProtocolStreamableHTTP, kagent.ProtocolSSE} {
		f := newForeign()
		schema := json.RawMessage(`{"type":"object","properties":{"sure":{"type":"boolean"}},"required":["sure"]}`)
		f.AddTool(&mcp.Tool{Name: "change", InputSchema: map[string]any{"type": "object"}}, func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if r.Params.InputResponses == nil && protocol != kagent.ProtocolSSE {
				return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"q": &mcp.ElicitParams{Message: "Sure?\x1b[2J", RequestedSchema: schema}}, RequestState: "s"}, nil
			}
			reply, _ := r.Params.InputResponses["q"].(*mcp.ElicitResult)
			if protocol == kagent.ProtocolSSE {
				var err error
				if reply, err = r.Session.Elicit(ctx, &mcp.ElicitParams{Message: "Sure?\x1b[2J", RequestedSchema: schema}); err != nil {
					return nil, err
				}
			}
			text, _ := json.Marshal([]any{reply.Action, reply.Content})
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(text)}}}, nil
		})
		url := foreign(t, f, protocol)
		patiently(t, func(timeout time.Duration) bool {
			server := serverAt(t, "foreign", url, func(s *declared.Server) {
				s.Spec.Timeout, s.Spec.Protocol = kagent.Duration(timeout.String()), protocol
			})
			b := open(t, agentWith(server), toolbox.Options{Ask: func(_ context.Context, question string) (bool, error) {
				require.Equal(t, "tools/foreign asks:\nSure?", question)
				<-time.After(timeout + timeout/3) // longer than the server's timeout
				return true, nil
			}})
			defer b.Close()
			return tried(t, b, "change") == toolbox.Outcome{Text: `["accept",{"sure":true}]`}
		})
	}
}

func TestQuestionsThatAYesDoesNotAnswer(t *testing.T) {
	t.Parallel()
	f := newForeign()
	var schema json.RawMessage
	f.AddTool(&mcp.Tool{Name: "change", InputSchema: map[string]any{"type": "object"}}, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if r.Params.InputResponses == nil {
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"q": &mcp.ElicitParams{Message: "Who?", RequestedSchema: schema}}, RequestState: "s"}, nil
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: r.Params.InputResponses["q"].(*mcp.ElicitResult).Action}}}, nil
	})
	b := open(t, agentWith(serverAt(t, "foreign", foreign(t, f, ""))), toolbox.Options{Ask: func(context.Context, string) (bool, error) {
		require.Fail(t, "a person was asked")
		return true, nil
	}})
	for _, schema = range []json.RawMessage{
		[]byte(`{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`),
		[]byte(`{"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"boolean"}},"required":["a","b"]}`),
	} {
		require.Equal(t, "decline", call(t, b, "change", `{}`).Text)
	}
}

// breaking answers the first calls of tools/call by breaking the connection.
func breaking(t *testing.T, next http.Handler, times int32) (http.Handler, *atomic.Int32) {
	t.Helper()
	var calls atomic.Int32
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(`"tools/call"`)) && calls.Add(1) <= times {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				c.Close()
			}
			return
		}
		next.ServeHTTP(w, r)
	}), &calls
}

func TestOnlyReadsAreTriedAgain(t *testing.T) {
	t.Parallel()
	f := newForeign()
	var done atomic.Int32
	for name, hints := range map[string]*mcp.ToolAnnotations{"look": readOnly, "change": nil} {
		mcp.AddTool(f, &mcp.Tool{Name: name, Annotations: hints}, func(context.Context, *mcp.CallToolRequest, nothing) (*mcp.CallToolResult, any, error) {
			done.Add(1)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil, nil
		})
	}
	serving := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return f }, nil)
	for _, c := range []struct {
		tool  string
		broke int32
		calls int32
		want  toolbox.Outcome
	}{
		{"look", 1, 2, toolbox.Outcome{Text: "done"}},
		{"look", 2, 2, toolbox.Outcome{Error: true, Text: "look gave no answer. Tool server tools/foreign: it cannot be reached (EOF)"}},
		{"change", 1, 1, toolbox.Outcome{Error: true, Unsure: true, Text: "the answer of change was lost (tool server tools/foreign: it cannot be reached (EOF)). It is not known whether the call took effect: look before you do anything else about it"}},
	} {
		handler, calls := breaking(t, serving, c.broke)
		b := open(t, agentWith(serverAt(t, "foreign", serveHTTP(t, handler))), toolbox.Options{})
		require.Equal(t, c.want, call(t, b, c.tool, `{}`))
		require.Equal(t, c.calls, calls.Load(), c)
		require.Equal(t, "done", call(t, b, c.tool, `{}`).Text, "the next call goes through")
	}
}

// A server that has forgotten a session gets a new one.
func TestASessionThatIsGone(t *testing.T) {
	t.Parallel()
	var handler swap
	fresh := func() http.Handler {
		f := newForeign()
		add(f, "look", readOnly, "seen")
		add(f, "change", nil, "changed")
		return old(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return f }, nil))
	}
	handler.set(fresh())
	b := open(t, agentWith(serverAt(t, "foreign", serveHTTP(t, &handler))), toolbox.Options{})
	require.Equal(t, "seen", call(t, b, "look", `{}`).Text)
	handler.set(fresh())
	require.Equal(t, toolbox.Outcome{Text: "seen"}, call(t, b, "look", `{}`))
	handler.set(fresh())
	o := call(t, b, "change", `{}`)
	require.False(t, o.Unsure, "a server that knows no session has not looked at the call")
	if o.Error {
		require.Equal(t, "change was not called and nothing was changed. Tool server tools/foreign: it answers HTTP 404 Not Found", o.Text)
	}
	require.Equal(t, toolbox.Outcome{Text: "changed"}, call(t, b, "change", `{}`))
}

// old is a server that has not heard of the protocol without sessions.
func old(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Protocol-Version") >= "2026" {
			http.Error(w, "Bad Request: unsupported protocol version", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// slow is a server whose tools wait until their call ends or they are released, or
// without release for so long, and say then that they are at it.
func slow(entered chan<- string, release <-chan struct{}, long time.Duration) *mcp.Server {
	f := newForeign()
	for name, hints := range map[string]*mcp.ToolAnnotations{"look": readOnly, "change": nil} {
		mcp.AddTool(f, &mcp.Tool{Name: name, Annotations: hints}, func(ctx context.Context, r *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, any, error) {
			entered <- name
			over := time.After(long)
			for i := 0; ; i++ {
				if token := r.Params.GetProgressToken(); release == nil && token != nil {
					_ = r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: float64(i), Message: "still\x1b[2J at it"})
				}
				select {
				case <-ctx.Done():
					return nil, nil, ctx.Err()
				case <-release:
					return &mcp.CallToolResult{}, nil, nil
				case <-over:
					if release == nil {
						return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil, nil
					}
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
	return f
}

func TestACallThatIsNeverAnswered(t *testing.T) {
	t.Parallel()
	patiently(t, func(timeout time.Duration) bool {
		entered, release := make(chan string, 10), make(chan struct{})
		defer close(release)
		b := open(t, agentWith(serverAt(t, "foreign", foreign(t, slow(entered, release, 0), ""), func(s *declared.Server) { s.Spec.Timeout = kagent.Duration(timeout.String()) })), toolbox.Options{})
		defer b.Close()
		look, change := tried(t, b, "look"), tried(t, b, "change")
		return len(entered) == 2 && <-entered == "look" && <-entered == "change" &&
			look == toolbox.Outcome{Error: true, Text: "look gave no answer. Tool server tools/foreign: nothing was heard of the call for " + timeout.String()} &&
			change.Unsure && strings.Contains(change.Text, "It is not known whether the call took effect")
	})
}

func TestACallThatIsCancelled(t *testing.T) {
	t.Parallel()
	entered, release := make(chan string, 10), make(chan struct{})
	defer close(release)
	b := open(t, agentWith(serverAt(t, "foreign", foreign(t, slow(entered, release, 0), ""), func(s *declared.Server) { s.Spec.Timeout = kagent.Duration(limit.String()) })), toolbox.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	tool := named(t, b, "change")
	o, err := b.Call(ctx, tool, toolbox.Call{Arguments: []byte(`{}`)})
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, o.Unsure)
	_, err = b.Call(ctx, tool, toolbox.Call{Arguments: []byte(`{}`)})
	require.ErrorIs(t, err, context.Canceled)
}

// A call that shows signs of life may take longer than the server has.
func TestProgress(t *testing.T) {
	t.Parallel()
	patiently(t, func(timeout time.Duration) bool {
		heard := make(chan string, 1)
		f := slow(make(chan string, 10), nil, timeout+timeout/3)
		b := open(t, agentWith(serverAt(t, "foreign", foreign(t, f, ""), func(s *declared.Server) { s.Spec.Timeout = kagent.Duration(timeout.String()) })), toolbox.Options{
			Progress: func(tool toolbox.Tool, c toolbox.Call, text string) {
				select {
				case heard <- tool.Name + " " + c.ID + " " + text:
				default:
				}
			},
		})
		defer b.Close()
		return tried(t, b, "look") == toolbox.Outcome{Text: "done"} && <-heard == "look c1 still at it"
	})
}

func TestClosingEndsCalls(t *testing.T) {
	t.Parallel()
	entered, release := make(chan string, 10), make(chan struct{})
	defer close(release)
	b := open(t, agentWith(serverAt(t, "foreign", foreign(t, slow(entered, release, 0), ""))), toolbox.Options{})
	tool := named(t, b, "look")
	go func() {
		<-entered
		b.Close()
	}()
	o, err := b.Call(t.Context(), tool, toolbox.Call{Arguments: []byte(`{}`)})
	require.NoError(t, err)
	require.True(t, o.Error)
}

func TestLongAnswers(t *testing.T) {
	t.Parallel()
	f := newForeign()
	add(f, "long", readOnly, strings.Repeat("a line of some length\n", 10_000))
	add(f, "fine", readOnly, "ends here")
	b := open(t, agentWith(serverAt(t, "foreign", foreign(t, f, ""))), toolbox.Options{MaxResultBytes: 2000})
	o := call(t, b, "long", `{}`)
	require.LessOrEqual(t, len(o.Text), 2000)
	require.True(t, strings.HasSuffix(o.Text, "a line of some length\n[1935 of 219999 bytes shown; ask for less at a time]"), o.Text[1800:])
	require.Equal(t, "ends here", call(t, b, "fine", `{}`).Text)
}

// What breaks one call leaves the others of the same session alone.
func TestCallsDoNotEndEachOther(t *testing.T) {
	t.Parallel()
	entered, release := make(chan string, 10), make(chan struct{})
	f := slow(entered, release, 0)
	add(f, "peek", readOnly, "peeked")
	var broke atomic.Int32
	serving := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return f }, nil)
	url := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(`"peek"`)) && broke.Add(1) == 1 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		serving.ServeHTTP(w, r)
	}))
	b := open(t, agentWith(serverAt(t, "foreign", url)), toolbox.Options{})
	change := named(t, b, "change")
	done := make(chan toolbox.Outcome, 1)
	go func() {
		o, _ := b.Call(t.Context(), change, toolbox.Call{Arguments: []byte(`{}`)})
		done <- o
	}()
	require.Equal(t, "change", <-entered)
	require.Equal(t, toolbox.Outcome{Text: "peeked"}, call(t, b, "peek", `{}`))
	close(release)
	require.Equal(t, toolbox.Outcome{Text: "(the tool answered nothing)"}, <-done)
}
