package mcpkit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

var relabel = map[string]any{"name": "saw", "label": "green"}

const planText = "item saw\n\n-label: blue\n+label: green"

// gated serves b's write tools to a client in one version of the protocol.
func gated(t *testing.T, b *shelf, version string, o mcpkit.Options, decide mcptest.Decide) *mcptest.Session {
	t.Helper()
	o.Access = mcpkit.AccessWrite
	clientEnd, serverEnd := mcp.NewInMemoryTransports()
	_, err := mcpkit.NewServer(b.toolset(), o).MCP().Connect(t.Context(), serverEnd, nil)
	require.NoError(t, err)
	return mcptest.Attach(t, clientEnd, version, decide)
}

func TestAPersonDecidesInEveryVersionOfTheProtocol(t *testing.T) {
	for _, version := range []string{"2026-07-28", "2025-11-25", "2025-06-18"} {
		for answer, want := range map[string]struct{ text, label, gate, verdict string }{
			"accept":  {"name: saw\nlabel: green", "green", "accepted", "ok"},
			"decline": {"denied: the person declined. Nothing was changed; do not try the same again without being asked to", "blue", "declined", "denied"},
			"cancel":  {"denied: the person declined. Nothing was changed; do not try the same again without being asked to", "blue", "declined", "denied"},
		} {
			t.Run(version+"/"+answer, func(t *testing.T) {
				b, p, record := newShelf(), &person{answer: answer}, &lines{}
				s := gated(t, b, version, mcpkit.Options{Record: record}, p.decide)
				require.Equal(t, want.text, s.Call("shelf_label_item", relabel).Text)
				require.Equal(t, want.label, b.label("saw"))
				require.Equal(t, []string{"Label Item: " + planText + "\n\nAccept to make this change, decline to leave everything as it is."}, p.asked)
				entries := entriesOf(t, record)
				require.Len(t, entries, 2)
				require.Equal(t, []any{"asked", "asked", "item saw"}, []any{entries[0]["verdict"], entries[0]["gate"], entries[0]["target"]})
				require.Equal(t, []any{want.verdict, want.gate, "item saw"}, []any{entries[1]["verdict"], entries[1]["gate"], entries[1]["target"]})
			})
		}
	}
}

func entriesOf(t *testing.T, record *lines) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.SplitSeq(strings.TrimSpace(record.String()), "\n") {
		var e map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		out = append(out, e)
	}
	return out
}

func TestAStalePlanIsNotApplied(t *testing.T) {
	b := newShelf()
	p := &person{answer: "accept", before: func() { b.set("saw", "black") }}
	s := gated(t, b, "", mcpkit.Options{}, p.decide)
	a := s.Call("shelf_label_item", relabel)
	require.Equal(t, "conflict: what this plan rests on changed between plan and approval, so nothing was done. Call again to have the new plan approved: item saw\n\n-label: black\n+label: green", a.Text)
	require.Equal(t, "black", b.label("saw"))
	require.Zero(t, b.writes)
	p.before = nil
	require.Equal(t, "name: saw\nlabel: green", s.Call("shelf_label_item", relabel).Text)
}

func TestAClientThatCannotAskIsRefusedWithThePlan(t *testing.T) {
	b := newShelf()
	a := gated(t, b, "", mcpkit.Options{}, nil).Call("shelf_label_item", relabel)
	require.Equal(t, "denied: a person must approve each write, and this client cannot ask one (no elicitation). Nothing was changed. What would change: "+planText, a.Text)
	require.Zero(t, b.writes)
}

func TestNothingToChangeAsksNobody(t *testing.T) {
	b, p, record := newShelf(), &person{answer: "accept"}, &lines{}
	a := gated(t, b, "", mcpkit.Options{Record: record}, p.decide).Call("shelf_label_item", map[string]any{"name": "saw", "label": "blue"})
	require.False(t, a.IsError)
	require.Empty(t, p.asked)
	require.Contains(t, record.String(), `"gate":"no change"`)
}

func TestGateOffIsRecorded(t *testing.T) {
	b, record := newShelf(), &lines{}
	a := gated(t, b, "", mcpkit.Options{Gate: mcpkit.GateOff, Record: record}, nil).Call("shelf_label_item", relabel)
	require.Equal(t, "name: saw\nlabel: green", a.Text)
	require.Contains(t, record.String(), `"gate":"gate off"`)
}

func TestAPlanThatFailsAsksNobody(t *testing.T) {
	p := &person{answer: "accept"}
	a := gated(t, newShelf(), "", mcpkit.Options{}, p.decide).Call("shelf_label_item", map[string]any{"name": "axe", "label": "x"})
	require.Equal(t, `not_found: no item "axe"`, a.Text)
	require.Empty(t, p.asked)
}

// byHand is a client that carries the state between the rounds itself, as an
// adversary or another host would.
type byHand struct {
	t *testing.T
	*mcp.ClientSession
}

func connectByHand(t *testing.T, b *shelf, o mcpkit.Options) byHand {
	t.Helper()
	o.Access = mcpkit.AccessWrite
	clientEnd, serverEnd := mcp.NewInMemoryTransports()
	_, err := mcpkit.NewServer(b.toolset(), o).MCP().Connect(t.Context(), serverEnd, nil)
	require.NoError(t, err)
	client := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, &mcp.ClientOptions{
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
		Capabilities:   &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}}},
	})
	s, err := client.Connect(t.Context(), clientEnd, nil)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return byHand{t, s}
}

func (c byHand) ask(args map[string]any) string {
	c.t.Helper()
	res, err := c.CallTool(c.t.Context(), &mcp.CallToolParams{Name: "shelf_label_item", Arguments: args})
	require.NoError(c.t, err)
	require.NotEmpty(c.t, res.RequestState)
	require.Len(c.t, res.InputRequests, 1)
	return res.RequestState
}

func (c byHand) finish(args map[string]any, state, answer string) string {
	c.t.Helper()
	res, err := c.CallTool(c.t.Context(), &mcp.CallToolParams{
		Name: "shelf_label_item", Arguments: args, RequestState: state,
		InputResponses: mcp.InputResponseMap{"approve": &mcp.ElicitResult{Action: answer}},
	})
	require.NoError(c.t, err)
	return res.Content[0].(*mcp.TextContent).Text
}

func TestStateIsGoodOnceForOnePlanAndOneTime(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	b := newShelf()
	o := mcpkit.Options{Key: []byte("a key of enough bytes"), Now: func() time.Time { return now }}
	c := connectByHand(t, b, o)
	state := c.ask(relabel)

	require.Contains(t, c.finish(map[string]any{"name": "saw", "label": "pink"}, state, "accept"), "conflict: what this plan rests on changed")
	require.Contains(t, c.finish(map[string]any{"name": "hammer", "label": "green"}, state, "accept"), "conflict: ")
	require.Contains(t, c.finish(relabel, state+"x", "accept"), "denied: the request state is not one this server gave out")
	require.Contains(t, c.finish(relabel, "e30.e30", "accept"), "denied: the request state is not one this server gave out")
	require.Contains(t, c.finish(relabel, state, "maybe"), "denied: the person declined")

	other := connectByHand(t, b, mcpkit.Options{Key: []byte("another key, as long"), Now: o.Now})
	require.Contains(t, other.finish(relabel, state, "accept"), "denied: the request state is not one this server gave out")

	now = now.Add(16 * time.Minute)
	require.Contains(t, c.finish(relabel, state, "accept"), "denied: the question expired after 15m0s")
	now = now.Add(-16 * time.Minute)

	require.Equal(t, "blue", b.label("saw"))
	require.Equal(t, "name: saw\nlabel: green", c.finish(relabel, state, "accept"))
	b.mu.Lock()
	b.labels["saw"], b.version = "blue", b.version-1 // the very same plan again
	b.mu.Unlock()
	require.Contains(t, c.finish(relabel, state, "accept"), "denied: this approval was used already")
	require.Equal(t, 1, b.writes)
}

func TestAnotherReplicaFinishesWithTheSameKey(t *testing.T) {
	b := newShelf()
	o := mcpkit.Options{Key: []byte("a key of enough bytes")}
	first, second := connectByHand(t, b, o), connectByHand(t, b, o)
	require.Equal(t, "name: saw\nlabel: green", second.finish(relabel, first.ask(relabel), "accept"))
}

func TestLongPlansAreShownInPart(t *testing.T) {
	b, p := newShelf(), &person{answer: "decline"}
	gated(t, b, "", mcpkit.Options{}, p.decide).Call("shelf_label_item", map[string]any{"name": "saw", "label": strings.Repeat("x", 100_000)})
	require.Len(t, p.asked, 1)
	require.Less(t, len(p.asked[0]), 9<<10)
	require.Contains(t, p.asked[0], "bytes shown)")
}
