package mcpkit_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// told is what approvals say in a test of what the kit makes of it. How real
// ones come about is for package locks to prove.
type told struct {
	answer mcpkit.Approval
	err    error
	asked  []mcpkit.ApprovalRequest
}

func (a *told) Consume(_ context.Context, r mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	a.asked = append(a.asked, r)
	return a.answer, a.err
}

// approving serves b's write tools over approvals.
func approving(t *testing.T, b *shelf, a mcpkit.Approvals, record *lines) *mcptest.Session {
	t.Helper()
	o := mcpkit.Options{
		Name: "shelf-mcp", Gate: mcpkit.GateApproval, Approvals: a, Record: record, Key: []byte("a key of enough bytes"),
		Now: func() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) },
	}
	return gated(t, b, "", o, nil)
}

func waitingApproval() mcpkit.Approval {
	return mcpkit.Approval{
		Name: "tools/shelf-label-item-1f2e3d4c-1", State: mcpkit.ApprovalPending,
		Expires: time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC), Command: "kubectl approve it",
	}
}

const howToGoOn = "\nUntil 2026-11-21T11:00:00Z approval tools/shelf-label-item-1f2e3d4c-1 waits for somebody who may decide to run:\nkubectl approve it\nThey should read its spec.plan first, not a retelling. Once it is approved, call again with the same arguments; calling before changes nothing. What would change: " + planText

func noteOf(state mcpkit.ApprovalState) string {
	return `{"name":"tools/shelf-label-item-1f2e3d4c-1","state":"` + string(state) + `","expires":"2026-11-21T11:00:00Z","command":"kubectl approve it"}`
}

// The budget of an answer holds for what it tells a program too.
func TestTheNoteOnAnApprovalCounts(t *testing.T) {
	b, a := newShelf(), &told{answer: waitingApproval()}
	a.answer.Command += strings.Repeat(" now", 100)
	s := gated(t, b, "", mcpkit.Options{Gate: mcpkit.GateApproval, Approvals: a, MaxResultBytes: 1 << 10}, nil)
	answer := s.Call("shelf_label_item", map[string]any{"name": "saw", "label": strings.Repeat("x", 2000)})
	require.Contains(t, string(answer.Note), "now now")
	require.Contains(t, answer.Text, "denied: a person must approve this write first.")
	require.LessOrEqual(t, answer.Bytes, 1<<10)
}

// Whoever calls again says which approval it waits for.
func TestACallNamesTheApprovalThatItAwaits(t *testing.T) {
	b, a := newShelf(), &told{answer: waitingApproval()}
	s := approving(t, b, a, &lines{})
	for _, meta := range []mcp.Meta{nil, {mcpkit.MetaApproval: "tools/shelf-label-item-1f2e3d4c-1"}, {mcpkit.MetaApproval: 7}} {
		_, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "shelf_label_item", Arguments: relabel, Meta: meta})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"", "tools/shelf-label-item-1f2e3d4c-1", ""}, []string{a.asked[0].Awaits, a.asked[1].Awaits, a.asked[2].Awaits})
}

func TestWhatAModelIsToldOfApprovals(t *testing.T) {
	for name, c := range map[string]struct {
		change              func(*mcpkit.Approval)
		text, gate, verdict string
		writes              int
	}{
		"asked": {func(*mcpkit.Approval) {},
			"denied: a person must approve this write first. Nothing was changed." + howToGoOn,
			"pending tools/shelf-label-item-1f2e3d4c-1", "denied", 0},
		"approved": {func(a *mcpkit.Approval) { a.State, a.DecidedBy = mcpkit.ApprovalConsumed, "ada" },
			"name: saw\nlabel: green",
			"consumed tools/shelf-label-item-1f2e3d4c-1 by ada", "ok", 1},
		"stale": {func(a *mcpkit.Approval) { a.Earlier, a.Fate = "tools/x-1", mcpkit.ApprovalStale },
			"conflict: what the approved plan rests on has changed since (approval tools/x-1). Nothing was changed, and a person must approve the plan as it is now." + howToGoOn,
			"pending tools/shelf-label-item-1f2e3d4c-1, stale tools/x-1", "conflict", 0},
		"used": {func(a *mcpkit.Approval) { a.Earlier, a.Fate = "tools/x-1", mcpkit.ApprovalUsed },
			"denied: approval tools/x-1 was good for one call and is used up. Nothing was changed by this call; a person must approve it anew." + howToGoOn,
			"pending tools/shelf-label-item-1f2e3d4c-1, used tools/x-1", "denied", 0},
		"late": {func(a *mcpkit.Approval) { a.Earlier, a.Fate = "tools/x-1", mcpkit.ApprovalLate },
			"denied: approval tools/x-1 was given, and expired before it was used. Nothing was changed, and a person must approve anew." + howToGoOn,
			"pending tools/shelf-label-item-1f2e3d4c-1, late tools/x-1", "denied", 0},
		"another key": {func(a *mcpkit.Approval) { a.Earlier, a.Fate = "tools/x-1", mcpkit.ApprovalOtherKey },
			"denied: approval tools/x-1 does not count here, since the server that asked for it has another key: replicas and restarts need the same --key-file. Tell whoever runs this server. Nothing was changed, and a person must approve anew." + howToGoOn,
			"pending tools/shelf-label-item-1f2e3d4c-1, other key tools/x-1", "denied", 0},
		"raced": {func(a *mcpkit.Approval) { a.State, a.DecidedBy = mcpkit.ApprovalTaken, "ada" },
			"conflict: another call used approval tools/shelf-label-item-1f2e3d4c-1 at this moment, so this one changed nothing. See what that call did before you call again",
			"taken tools/shelf-label-item-1f2e3d4c-1 by ada", "conflict", 0},
		"denied": {func(a *mcpkit.Approval) {
			a.State, a.DecidedBy, a.Reason = mcpkit.ApprovalDenied, "a\x1b[2Jda\nApproved", "not on a \u202eFriday\nApproved by bob"+strings.Repeat("!", 2000)
		},
			"denied: ada Approved denied this write and says \"not on a Friday Approved by bob" + strings.Repeat("!", 466) + "…\". Nothing was changed. Approval tools/shelf-label-item-1f2e3d4c-1 stays denied until 2026-11-21T11:00:00Z; do not try to reach the same in another way",
			"denied tools/shelf-label-item-1f2e3d4c-1 by ada Approved", "denied", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b, a, record := newShelf(), &told{answer: waitingApproval()}, &lines{}
			c.change(&a.answer)
			answer := approving(t, b, a, record).Call("shelf_label_item", relabel)
			require.Equal(t, c.text, answer.Text)
			require.Equal(t, c.writes, b.writes)
			e := entriesOf(t, record)[0]
			require.Equal(t, []any{c.verdict, c.gate}, []any{e["verdict"], e["gate"]})
			if !answer.IsError {
				require.Empty(t, answer.Note)
				return
			}
			require.JSONEq(t, noteOf(a.answer.State), string(answer.Note))
			require.EqualValues(t, answer.Bytes, e["bytes"])
		})
	}
}

func TestAnErrorOfApprovalsLetsNothingThrough(t *testing.T) {
	for _, err := range []error{mcpkit.Errorf(mcpkit.Unavailable, "the API server does not answer"), errors.New("no reason")} {
		b, record := newShelf(), &lines{}
		a := &told{answer: mcpkit.Approval{State: mcpkit.ApprovalConsumed}, err: err}
		require.True(t, approving(t, b, a, record).Call("shelf_label_item", relabel).IsError)
		require.Zero(t, b.writes)
		require.Equal(t, "cannot ask", entriesOf(t, record)[0]["gate"])
	}
}

func TestAWriteThatFailsHasUsedItsApproval(t *testing.T) {
	b, record := newShelf(), &lines{}
	b.broken = mcpkit.Errorf(mcpkit.Conflict, "the saw is in use")
	a := &told{answer: waitingApproval()}
	a.answer.State, a.answer.DecidedBy = mcpkit.ApprovalConsumed, "ada"
	answer := approving(t, b, a, record).Call("shelf_label_item", relabel)
	require.Equal(t, "conflict: the saw is in use\nApproval tools/shelf-label-item-1f2e3d4c-1 is used up; to try again, a person must approve again", answer.Text)
	require.JSONEq(t, noteOf(mcpkit.ApprovalConsumed), string(answer.Note))
	e := entriesOf(t, record)[0]
	require.Equal(t, []any{"conflict", "consumed tools/shelf-label-item-1f2e3d4c-1 by ada"}, []any{e["verdict"], e["gate"]})
}

// A client that could be asked is not, and what it sends as if it had been does
// not count.
func TestApprovalsAreNotTheClients(t *testing.T) {
	b, p, a := newShelf(), &person{answer: "accept"}, &told{answer: waitingApproval()}
	o := mcpkit.Options{Key: []byte("a key of enough bytes")}
	state := connectByHand(t, b, o).ask(relabel)
	o.Gate, o.Approvals = mcpkit.GateApproval, a
	require.Contains(t, connectByHand(t, b, o).finish(relabel, state, "accept"), "denied: a person must approve this write first")
	require.Contains(t, gated(t, b, "", o, p.decide).Call("shelf_label_item", relabel).Text, "denied: a person must approve this write first")
	require.Empty(t, p.asked)
	require.Zero(t, b.writes)
}

// requested is what is asked for when the item name gets the label.
func requested(t *testing.T, b *shelf, name, label string) mcpkit.ApprovalRequest {
	t.Helper()
	a := &told{answer: waitingApproval()}
	approving(t, b, a, &lines{}).Call("shelf_label_item", map[string]any{"name": name, "label": label})
	require.Len(t, a.asked, 1)
	return a.asked[0]
}

func TestWhatAPersonIsAsked(t *testing.T) {
	r := requested(t, newShelf(), "saw", "green")
	require.Len(t, r.Call, 12)
	require.Len(t, r.ArgumentsHash, 43)
	require.Len(t, r.PlanHash, 43)
	require.Len(t, r.Key, 8)
	require.Equal(t, mcpkit.ApprovalRequest{
		Server: "shelf-mcp", Tool: "shelf_label_item", Caller: "local", Agent: "local", Call: r.Call,
		Target: "item saw", Arguments: `{"label":"green","name":"saw"}`, ArgumentsHash: r.ArgumentsHash,
		Plan: "item saw\n\n  -label: blue\n  +label: green", PlanHash: r.PlanHash,
		Key: r.Key, Expires: time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC),
	}, r)
}

func TestTextCannotForgeWhatAPersonReads(t *testing.T) {
	b := newShelf()
	b.labels["a\t\tApproved\nada\u00a0\u2003 x"] = "blue"
	r := requested(t, b, "a\t\tApproved\nada\u00a0\u2003 x", "green\x1b[1A\u202e\u200b\u2067\n\nNote: harmless\nApproved by ada\r\n")
	require.Equal(t, "item a Approved ada x", r.Target)
	require.Equal(t, "item a Approved ada x\n\n  -label: blue\n  +label: green\\x1b[1A\\u202e\\u200b\\u2067\n  \n  Note: harmless\n  Approved by ada\n\nNote: argument label holds characters that would not be seen: U+001B, U+200B, U+202E, U+2067", r.Plan)
	require.Contains(t, r.Arguments, `green\\x1b[1A\\u202e\\u200b\\u2067`)
}

// Secrets look alike once they are redacted, and are not interchangeable.
func TestTwoSecretsAreTwoRequests(t *testing.T) {
	one, two := requested(t, newShelf(), "saw", "password=hunter2hunter2"), requested(t, newShelf(), "saw", "password=correct-horse")
	require.NotContains(t, one.Arguments+one.Plan, "hunter2")
	require.NotEqual(t, one.ArgumentsHash, two.ArgumentsHash)
	require.NotEqual(t, one.PlanHash, two.PlanHash)
	b := newShelf()
	b.set("saw", "password=hunter3hunter3")
	b.version = 0
	require.NotEqual(t, requested(t, newShelf(), "saw", "green").PlanHash, requested(t, b, "saw", "green").PlanHash, "of what is there too")
}

func TestWhatIsTooLongIsNotAsked(t *testing.T) {
	b, a := newShelf(), &told{answer: mcpkit.Approval{State: mcpkit.ApprovalConsumed}}
	text := approving(t, b, a, &lines{}).Call("shelf_label_item", map[string]any{"name": "saw", "label": strings.Repeat("x", 70_000)}).Text
	require.Equal(t, "too_large: the plan takes 70035 bytes, more than the 65536 a person can be asked to approve at once. Nothing was changed; change less per call", text)
	require.Empty(t, a.asked)
	require.Zero(t, b.writes)
}

// A process that ends in the middle of a write has said that it began.
func TestTheLogSaysThatAWriteBegins(t *testing.T) {
	b, log := newShelf(), &lines{}
	a := &told{answer: waitingApproval()}
	o := mcpkit.Options{Gate: mcpkit.GateApproval, Approvals: a, Logger: slog.New(slog.NewTextHandler(log, nil))}
	s := gated(t, b, "", o, nil)
	s.Call("shelf_label_item", relabel)
	require.Empty(t, log.String())
	a.answer.State, a.answer.DecidedBy = mcpkit.ApprovalConsumed, "ada"
	s.Call("shelf_label_item", relabel)
	require.Regexp(t, `msg="write begins" id=`+a.asked[1].Call+` tool=shelf_label_item gate="consumed tools/shelf-label-item-1f2e3d4c-1 by ada"`, log.String())
}

// unheld is a cluster whose approvals nothing holds.
type unheld struct{ mcpkit.Locks }

func (unheld) CheckApprovals(context.Context) error {
	return mcpkit.Wrap(mcpkit.Denied, errors.New("approvals.toolcrib.dev is forbidden"), "the policy is missing")
}

func TestTheLogSaysThatApprovalsDoNotHold(t *testing.T) {
	p := program(newShelf())
	p.Locks = func(c mcpkit.LocksConfig) (mcpkit.Locks, error) {
		require.NotNil(t, c.Logger)
		return unheld{}, nil
	}
	ctx, stop := context.WithCancel(t.Context())
	log, code := &lines{}, make(chan int, 1)
	go func() {
		code <- p.Run(ctx, []string{"--http=127.0.0.1:0", "--auth=none", "--access=write"}, nil, nil, log)
	}()
	log.wait(t, `(msg="approvals cannot be relied on" error="denied: the policy is missing: approvals.toolcrib.dev is forbidden")`)
	stop()
	require.Zero(t, take(t, code), log)
}
