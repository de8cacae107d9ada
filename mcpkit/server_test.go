package mcpkit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

func TestAccessModesListOnlyTheirTools(t *testing.T) {
	for access, want := range map[mcpkit.Access][]string{
		mcpkit.AccessRead:  {"shelf_crash_item", "shelf_fail_item", "shelf_get_item", "shelf_list_items", "shelf_wait_item"},
		mcpkit.AccessWrite: {"shelf_label_item", "shelf_remove_item"},
		mcpkit.AccessAll:   {"shelf_crash_item", "shelf_fail_item", "shelf_get_item", "shelf_label_item", "shelf_list_items", "shelf_remove_item", "shelf_wait_item"},
	} {
		s := mcptest.Connect(t, newShelf().toolset(), mcpkit.Options{Access: access}, nil)
		list, err := s.ListTools(t.Context(), nil)
		require.NoError(t, err)
		var names []string
		for _, tool := range list.Tools {
			names = append(names, tool.Name)
			require.Equal(t, access == mcpkit.AccessRead || access == mcpkit.AccessAll && !strings.Contains(tool.Name, "label") && !strings.Contains(tool.Name, "remove"), tool.Annotations.ReadOnlyHint, tool.Name)
			require.Equal(t, tool.Name == "shelf_remove_item", *tool.Annotations.DestructiveHint, tool.Name)
		}
		require.Equal(t, want, names)
	}
	s := mcptest.Connect(t, newShelf().toolset(), mcpkit.Options{}, nil)
	_, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "shelf_label_item"})
	require.ErrorContains(t, err, "unknown tool")
}

func TestRenamedToolsAreServedInsteadAndMentionedAsServed(t *testing.T) {
	ts := mcpkit.NewToolset()
	work := func(context.Context, struct{}) (itemOut, error) { return itemOut{}, nil }
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_get", Title: "t", Description: "For more use shelf_get_all, not shelf_get."}, work)
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_get_all", Title: "t", Description: "For one use shelf_get."}, work)
	ts.Rename(map[string]string{"shelf_get": "old_get", "shelf_none": "old_none"})
	list, err := mcptest.Connect(t, ts, mcpkit.Options{}, nil).ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.Tools, 2)
	require.Equal(t, "old_get", list.Tools[0].Name)
	require.Equal(t, "For more use shelf_get_all, not old_get.", list.Tools[0].Description)
	require.Equal(t, "shelf_get_all", list.Tools[1].Name)
	require.Equal(t, "For one use old_get.", list.Tools[1].Description)
}

func TestAnswersAndErrorsAsAModelReadsThem(t *testing.T) {
	var log bytes.Buffer
	s := mcptest.Connect(t, newShelf().toolset(), mcpkit.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, nil)
	for _, c := range []struct {
		tool string
		args map[string]any
		text string
		err  bool
	}{
		{"shelf_get_item", map[string]any{"name": "saw"}, "name: saw\nlabel: blue", false},
		{"shelf_get_item", map[string]any{"name": "sow"}, `not_found: no item "sow"`, true},
		{"shelf_get_item", map[string]any{"nmae": "saw"}, `invalid: unknown argument "nmae"; did you mean "name"? The arguments are name`, true},
		{"shelf_get_item", nil, `invalid: argument "name" is required: name of the item`, true},
		{"shelf_crash_item", map[string]any{"x": 1}, `invalid: unknown argument "x"; this tool takes no arguments`, true},
		{"shelf_list_items", map[string]any{"limit": "2"}, "item\tlabel\nitem-00000\ta label of some length\nitem-00001\ta label of some length", false},
		{"shelf_list_items", map[string]any{"limit": 0}, `invalid: argument "limit" cannot be 0. It must be: integer, at least 1, at most 5000: most items to return; 100 if absent`, true},
	} {
		a := s.Call(c.tool, c.args)
		require.Equal(t, c.text, a.Text)
		require.Equal(t, c.err, a.IsError)
	}
	require.Empty(t, log.String(), "errors a model can act on are not the operator's business")
}

func TestInternalErrorsAndPanicsNameOnlyAnID(t *testing.T) {
	for tool, cause := range map[string]string{"shelf_fail_item": "connection refused", "shelf_crash_item": "the shelf fell over"} {
		var log bytes.Buffer
		s := mcptest.Connect(t, newShelf().toolset(), mcpkit.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, nil)
		a := s.Call(tool, nil)
		require.True(t, a.IsError)
		id, found := strings.CutPrefix(a.Text, "internal: "+tool+" failed; see the server log, id ")
		require.True(t, found, a.Text)
		require.Contains(t, log.String(), "id="+id)
		require.Contains(t, log.String(), cause)
		require.Equal(t, "name: saw\nlabel: blue", s.Call("shelf_get_item", map[string]any{"name": "saw"}).Text, "the server lives on")
	}
}

func TestBudgetCutsRowsAndContinuesWhereItCut(t *testing.T) {
	s := mcptest.Connect(t, newShelf().toolset(), mcpkit.Options{MaxResultBytes: 4096}, nil)
	seen, page := 0, ""
	for range 100 {
		a := s.Call("shelf_list_items", map[string]any{"limit": 300 - seen, "continue": page})
		require.LessOrEqual(t, a.Bytes, 4096)
		var out listOut
		a.Into(t, &out)
		for _, row := range out.Rows {
			require.Equal(t, []string{fmt.Sprintf("item-%05d", seen), "a label of some length"}, row)
			seen++
		}
		if !out.Truncated {
			break
		}
		require.Contains(t, out.LeftOut, fmt.Sprintf("rows: %d of ", len(out.Rows)))
		require.Contains(t, out.LeftOut, "set a smaller limit")
		require.Equal(t, fmt.Sprint(seen), out.Continue)
		page = out.Continue
	}
	require.Equal(t, 300, seen)
}

func TestDeadlineEndsACall(t *testing.T) {
	b := newShelf()
	s := mcptest.Connect(t, b.toolset(), mcpkit.Options{CallTimeout: 20 * time.Millisecond}, nil)
	a := s.Call("shelf_wait_item", map[string]any{"name": "saw"})
	require.Equal(t, "unavailable: shelf_wait_item was not done in time; ask for less, or try again", a.Text)
	require.ErrorIs(t, take(t, b.ended), context.DeadlineExceeded)
}

// A tool that waits for the backend has more time, unless the operator says
// how much there is.
func TestAToolStatesItsTime(t *testing.T) {
	type out struct {
		Minutes float64 `json:"minutes" jsonschema:"until the call ends"`
	}
	given := func(tool mcpkit.Tool, o mcpkit.Options) float64 {
		ts := mcpkit.NewToolset()
		mcpkit.Read(ts, tool, func(ctx context.Context, _ struct{}) (out, error) {
			end, _ := ctx.Deadline()
			return out{math.Round(time.Until(end).Minutes())}, nil
		})
		var answer out
		mcptest.Connect(t, ts, o, nil).Call(tool.Name, nil).Into(t, &answer)
		return answer.Minutes
	}
	tool := mcpkit.Tool{Name: "shelf_wait_item", Title: "Wait", Description: "Waits."}
	require.InDelta(t, 1, given(tool, mcpkit.Options{}), 0)
	tool.Timeout = 10 * time.Minute
	require.InDelta(t, 10, given(tool, mcpkit.Options{}), 0)
	require.InDelta(t, 3, given(tool, mcpkit.Options{CallTimeout: 3 * time.Minute}), 0)
}

func TestSlotsBoundHowManyCallsRun(t *testing.T) {
	b := newShelf()
	inside, release := make(chan bool, 3), make(chan bool)
	b.during = func(context.Context) {
		inside <- true
		<-release // deaf to the deadline, as a bad backend is
	}
	s := mcptest.Connect(t, b.toolset(), mcpkit.Options{MaxCalls: 2, CallTimeout: 50 * time.Millisecond}, nil)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { s.Call("shelf_get_item", map[string]any{"name": "saw"}) })
	}
	take(t, inside)
	take(t, inside)
	require.Equal(t, "unavailable: 2 calls are running already and none ended in time; try again in a few seconds",
		s.Call("shelf_get_item", map[string]any{"name": "saw"}).Text)
	require.Empty(t, inside)
	close(release)
	wg.Wait()
	require.Equal(t, "name: saw\nlabel: blue", s.Call("shelf_get_item", map[string]any{"name": "saw"}).Text)
}

func TestTwoHundredCallsAtOnce(t *testing.T) {
	b := newShelf()
	record := &lines{}
	s := mcptest.Connect(t, b.toolset(), mcpkit.Options{MaxCalls: 16, Record: record}, nil)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "shelf_get_item", Arguments: map[string]any{"name": "saw"}})
			if err != nil || res.IsError {
				t.Error(err, res)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 200, strings.Count(record.String(), `"verdict":"ok"`))
	for line := range strings.SplitSeq(strings.TrimSpace(record.String()), "\n") {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

func TestRecordHoldsOneLinePerCall(t *testing.T) {
	record := &lines{}
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	s := mcptest.Connect(t, newShelf().toolset(), mcpkit.Options{
		Name: "shelf-mcp", Record: record, Now: func() time.Time { return now },
	}, nil)
	_, err := s.CallTool(t.Context(), &mcp.CallToolParams{
		Name: "shelf_get_item", Arguments: map[string]any{"name": "saw"},
		Meta: mcp.Meta{mcpkit.MetaAgent: "doctor", mcpkit.MetaRun: "run-7", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	})
	require.NoError(t, err)
	var e map[string]any
	require.NoError(t, json.Unmarshal([]byte(record.String()), &e))
	require.Len(t, e["id"], 12)
	delete(e, "id")
	require.Equal(t, map[string]any{
		"time": "2026-11-21T10:00:00Z", "server": "shelf-mcp", "tool": "shelf_get_item", "class": "read",
		"caller": "local", "agent": "doctor", "run": "run-7", "arguments": map[string]any{"name": "saw"},
		"target": "item saw", "verdict": "ok", "bytes": float64(len("name: saw\nlabel: blue") + len(`{"name":"saw","label":"blue"}`)),
		"duration_ms": 0.0, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
	}, e)
}

func TestRecordKeepsRefusedAndHugeArgumentsShort(t *testing.T) {
	record := &lines{}
	s := mcptest.Connect(t, newShelf().toolset(), mcpkit.Options{Record: record}, nil)
	s.Call("shelf_get_item", map[string]any{"name": strings.Repeat("x", 1<<20)})
	wide := map[string]any{}
	for i := range 2000 {
		wide[fmt.Sprintf("argument-%04d", i)] = i
	}
	a := s.Call("shelf_get_item", wide)
	require.Contains(t, a.Text, "invalid: unknown argument")
	all := strings.Split(strings.TrimSpace(record.String()), "\n")
	require.Len(t, all, 2)
	require.Contains(t, all[0], "... (1048576 bytes)")
	require.Contains(t, all[0], `"verdict":"not_found"`)
	require.Contains(t, all[1], "bytes: argument-0000, argument-0001")
	require.Less(t, len(all[0])+len(all[1]), 4096)
}

func TestARecordThatCannotBeWrittenFailsNoCall(t *testing.T) {
	var log bytes.Buffer
	s := mcptest.Connect(t, newShelf().toolset(), mcpkit.Options{
		Record: &lines{err: errors.New("disk full")}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}, nil)
	require.Equal(t, "name: saw\nlabel: blue", s.Call("shelf_get_item", map[string]any{"name": "saw"}).Text)
	require.Contains(t, log.String(), "disk full")
}

func TestLongErrorsAreHeldToTheBudget(t *testing.T) {
	s := mcptest.Connect(t, newShelf().toolset(), mcpkit.Options{MaxResultBytes: 2048}, nil)
	a := s.Call("shelf_get_item", map[string]any{"name": strings.Repeat("x", 1<<20)})
	require.True(t, a.IsError)
	require.LessOrEqual(t, a.Bytes, 2048)
	require.Contains(t, a.Text, "bytes shown)")
}

func TestProgressReachesWhoAskedAndNeverFollowsTheAnswer(t *testing.T) {
	b := newShelf()
	var late context.Context
	b.during = func(ctx context.Context) {
		late = ctx
		mcpkit.Progress(ctx, 1, 2, "half")
	}
	told := make(chan *mcp.ProgressNotificationParams, 10)
	clientEnd, serverEnd := mcp.NewInMemoryTransports()
	_, err := mcpkit.NewServer(b.toolset(), mcpkit.Options{}).MCP().Connect(t.Context(), serverEnd, nil)
	require.NoError(t, err)
	client := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { told <- r.Params },
	})
	s, err := client.Connect(t.Context(), clientEnd, nil)
	require.NoError(t, err)
	defer s.Close()
	params := &mcp.CallToolParams{Name: "shelf_get_item", Arguments: map[string]any{"name": "saw"}}
	_, err = s.CallTool(t.Context(), params)
	require.NoError(t, err)
	require.Empty(t, told, "nobody asked")
	params.Meta = mcp.Meta{"progressToken": "p1"}
	_, err = s.CallTool(t.Context(), params)
	require.NoError(t, err)
	require.Equal(t, "half", take(t, told).Message)
	mcpkit.Progress(late, 2, 2, "too late")
	_, err = s.CallTool(t.Context(), params)
	require.NoError(t, err)
	require.Equal(t, "half", take(t, told).Message)
	require.Empty(t, told)
}

func TestRegisteringAToolTwicePanics(t *testing.T) {
	b := newShelf()
	ts := b.toolset()
	require.PanicsWithValue(t, "tool shelf_get_item is registered twice", func() { b.register(ts) })
	require.PanicsWithValue(t, "output of tool shelf_bad is a string; it must be a struct", func() {
		mcpkit.Read(mcpkit.NewToolset(), mcpkit.Tool{Name: "shelf_bad"}, func(context.Context, struct{}) (string, error) { return "", nil })
	})
}

func TestRulesAreMergedAndSorted(t *testing.T) {
	b := newShelf()
	require.Equal(t, []mcpkit.Rule{{Groups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}}}, b.toolset().Rules(mcpkit.AccessRead))
	require.Equal(t, []mcpkit.Rule{{Groups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"patch"}}}, b.toolset().Rules(mcpkit.AccessWrite))
	ts := mcpkit.NewToolset()
	mcpkit.Read(ts, mcpkit.Tool{Name: "x_get_y", Rules: []mcpkit.Rule{
		{Groups: []string{"apps", ""}, Resources: []string{"pods", "nodes"}, Verbs: []string{"get"}},
		{Groups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "get"}},
		{URLs: []string{"/version", "/healthz"}, Verbs: []string{"get"}},
		{Groups: []string{""}, Resources: []string{"configmaps"}, Names: []string{"one"}, Verbs: []string{"get"}},
	}}, b.get)
	require.Equal(t, []mcpkit.Rule{
		{Groups: []string{""}, Resources: []string{"configmaps"}, Names: []string{"one"}, Verbs: []string{"get"}},
		{Groups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get"}},
		{Groups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}},
		{URLs: []string{"/healthz", "/version"}, Verbs: []string{"get"}},
		{Groups: []string{"apps"}, Resources: []string{"nodes", "pods"}, Verbs: []string{"get"}},
	}, ts.Rules(mcpkit.AccessRead))
}
