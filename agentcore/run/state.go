package run

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// State is how a run stands. It follows from the run's events and from nothing
// else, whatever order they come in.
type State struct {
	Phase  v1alpha1.RunPhase
	Reason string // of an end, or of a wait

	Question string
	Data     string // foreign text that came with it
	Missing  string // what was not on offer when the run began
	Seed     string
	History  []Exchange // of the conversation before

	Turns     []Turn // what the model said; those before Folded only count
	Folded    int    // how many of them are folded into Summary
	Summary   string // also of History, if there is one
	Usage     v1alpha1.TokenUsage
	Asked     v1alpha1.AskedUsage // what agents took that were asked as tools
	ToolCalls int
	Waits     []Wait // for people, in order

	Started, Ended time.Time
	Bytes          int // of the record, about

	answer  string                    // of the end, if the last turn does not hold it
	active  time.Duration             // between the events, but for waits and absence
	last    time.Time                 // of the newest event
	waiting string                    // the call that a person decides about
	resumes int                       // since anything else happened, but for waits
	same    map[[sha256.Size]byte]int // how often calls have come to results
	repeats int                       // the most of these
}

// Exchange is a question of an earlier run and its answer.
type Exchange struct{ Question, Answer string }

// Turn is one answer of the model, and what came of it.
type Turn struct {
	Number int
	Text   string
	Opaque string
	Reason string // what was particular about it: see the answered events
	Calls  []*Call
	Usage  v1alpha1.TokenUsage
}

// Call is a tool call as far as it has come.
type Call struct {
	v1alpha1.ToolCall
	Began   time.Time     // zero until it is made
	Class   toolbox.Class // as recorded when it was made
	Waits   []Wait        // for people, in order
	Result  string
	Error   bool
	Outcome string // why it was not called, or what is unsure
	Done    bool
	Repeats int // how often this call has come to this result, turns counted once

	key [sha256.Size]byte // of the call with its result
}

// Wait is a time that a call waits for a person.
type Wait struct {
	Call     string
	Tool     string
	Approval string // NAMESPACE/NAME; empty if the person is asked directly
	Text     string // what the person is asked
	Reason   string // what it waits for, in a line
	Since    time.Time
	Decision v1alpha1.Decision
}

// Replay is the state that events lead to.
func Replay(events []record.Event) State {
	var s State
	for _, e := range events {
		s.apply(e)
	}
	return s
}

// Answer is what the run has come to so far: the words of the model's last
// answer.
func (s *State) Answer() string {
	if s.answer != "" {
		return s.answer
	}
	for _, t := range slices.Backward(s.Turns) {
		if text := strings.TrimSpace(t.Text); text != "" {
			return text
		}
	}
	return ""
}

// Took is what the run took in all, as whoever asked for it counts that: one
// question, of a model of those prices.
func (s *State) Took(p declared.Prices) v1alpha1.AskedUsage {
	cost, known := p.Cost(s.Usage)
	out := v1alpha1.AskedUsage{Questions: 1, Tokens: total(s.Usage) + s.Asked.Tokens, CostUSD: declared.Dollars(cost + declared.Amount(s.Asked.CostUSD))}
	if s.Asked.Unstated > 0 || !known {
		out.Unstated = 1
	}
	return out
}

// Over says whether nothing more becomes of the run.
func (s *State) Over() bool { return s.Phase.Final() }

// Waiting is the wait for a person that the run is held up by, if any.
func (s *State) Waiting() (Wait, bool) {
	if s.waiting == "" || len(s.Waits) == 0 {
		return Wait{}, false
	}
	return s.Waits[len(s.Waits)-1], true
}

// Active is how long the run has been worked on by now, without the time it
// waited for people or nobody was there.
func (s *State) Active(now time.Time) time.Duration {
	if s.waiting != "" || s.last.IsZero() || s.Over() {
		return s.active
	}
	return s.active + max(0, now.Sub(s.last))
}

// open are the calls of the last turn that have no result.
func (s *State) open() []*Call {
	if len(s.Turns) == 0 {
		return nil
	}
	var out []*Call
	for _, c := range s.Turns[len(s.Turns)-1].Calls {
		if !c.Done {
			out = append(out, c)
		}
	}
	return out
}

// call is the newest call of an id.
func (s *State) call(id string) *Call {
	for _, t := range slices.Backward(s.Turns) {
		for _, c := range t.Calls {
			if c.ID == id {
				return c
			}
		}
	}
	return nil
}

// apply takes one more event in.
func (s *State) apply(e record.Event) {
	if s.Over() {
		return
	}
	now := s.tick(e)
	s.Bytes += record.Size(e)
	s.Phase = v1alpha1.RunRunning
	if e.Type == v1alpha1.EventResumed && s.waiting == "" {
		s.resumes++
	} else {
		s.resumes = 0
	}
	switch e.Type {
	case v1alpha1.EventAsked:
		s.asked(e, now)
	case v1alpha1.EventAnswered:
		s.answered(e)
	case v1alpha1.EventCall:
		s.called(e, now)
	case v1alpha1.EventWaits:
		s.waits(e, now)
	case v1alpha1.EventResult:
		s.result(e)
	case v1alpha1.EventFolded:
		s.folded(e)
	case v1alpha1.EventEnded:
		s.ended(e, now)
	}
	if w, held := s.Waiting(); held && !s.Over() {
		s.Phase, s.Reason = v1alpha1.RunWaiting, waitReason(w)
	}
}

// tick moves the clock of the run: a wait does not count, and neither does the
// time in which no process was there.
func (s *State) tick(e record.Event) time.Time {
	now, err := time.Parse(time.RFC3339Nano, e.Time)
	if err != nil {
		now = s.last
	}
	if s.Started.IsZero() {
		s.Started = now
	}
	if !s.last.IsZero() && s.waiting == "" && e.Type != v1alpha1.EventResumed {
		s.active += max(0, now.Sub(s.last))
	}
	if now.After(s.last) {
		s.last = now
	}
	return now
}

// asked is a question. One that comes after an answer is the next of the same
// conversation; then what was before belongs to earlier runs.
func (s *State) asked(e record.Event, now time.Time) {
	if len(s.Turns) > 0 {
		s.History = append(s.History, Exchange{s.Question, s.Answer()})
		s.Turns, s.Folded = nil, 0
	}
	s.Question, s.Data, s.Missing = e.Text, e.Data, e.Reason
	if e.Seed != "" {
		s.Seed = e.Seed
	}
}

func (s *State) answered(e record.Event) {
	t := Turn{Number: len(s.Turns) + 1, Text: e.Text, Opaque: e.Opaque, Reason: e.Reason}
	for _, c := range e.Calls {
		t.Calls = append(t.Calls, &Call{ToolCall: c})
	}
	s.use(e, &t.Usage)
	s.Turns = append(s.Turns, t)
	s.waiting = ""
}

func (s *State) use(e record.Event, of *v1alpha1.TokenUsage) {
	if e.Usage == nil {
		return
	}
	add(of, *e.Usage)
	add(&s.Usage, *e.Usage)
}

func (s *State) called(e record.Event, now time.Time) {
	c := s.call(e.Call)
	if c == nil || c.Done || !c.Began.IsZero() {
		return
	}
	c.Began, c.Class = now, toolbox.Class(e.Reason)
	s.ToolCalls++
	s.decided(c, v1alpha1.DecisionApproved)
}

func (s *State) waits(e record.Event, now time.Time) {
	c := s.call(e.Call)
	if c == nil || c.Done {
		return
	}
	w := Wait{Call: e.Call, Tool: e.Tool, Approval: e.Approval, Text: e.Text, Reason: e.Reason, Since: now, Decision: v1alpha1.DecisionPending}
	if len(c.Waits) > 0 {
		w.Since = c.Waits[0].Since // one wait, however often it is asked anew
	}
	c.Waits, s.Waits, s.waiting = append(c.Waits, w), append(s.Waits, w), e.Call
}

func (s *State) result(e record.Event) {
	c := s.call(e.Call)
	if c == nil || c.Done {
		return
	}
	c.Result, c.Error, c.Outcome, c.Done = e.Text, e.Error, e.Reason, true
	if a := e.Asked; a != nil {
		s.Asked.Questions += a.Questions
		s.Asked.Unstated += a.Unstated
		s.Asked.Tokens += a.Tokens
		s.Asked.CostUSD = declared.Dollars(declared.Amount(s.Asked.CostUSD) + declared.Amount(a.CostUSD))
	}
	s.count(c)
	switch {
	case e.Reason == outcomeDenied:
		s.decided(c, v1alpha1.DecisionDenied)
	case e.Reason == "":
		s.decided(c, v1alpha1.DecisionApproved)
	}
	if s.waiting == e.Call {
		s.waiting = ""
	}
}

// count counts how often a call came to its result. Calls of one turn know
// nothing of each other and count once.
func (s *State) count(c *Call) {
	key := sha256.Sum256([]byte(strings.Join([]string{c.Tool, canonical(c.Arguments), c.Result}, "\x00")))
	c.key = key
	for _, other := range s.Turns[len(s.Turns)-1].Calls {
		if other != c && other.Done && other.key == key {
			c.Repeats = other.Repeats
			return
		}
	}
	if s.same == nil {
		s.same = map[[sha256.Size]byte]int{}
	}
	s.same[key]++
	c.Repeats, s.repeats = s.same[key], max(s.repeats, s.same[key])
}

// decided notes what the person said who a call waited for.
func (s *State) decided(c *Call, d v1alpha1.Decision) {
	if s.waiting == c.ID {
		s.waiting = ""
	}
	if len(c.Waits) == 0 {
		return
	}
	name := c.Waits[len(c.Waits)-1].Approval
	for i, w := range s.Waits {
		if w.Call == c.ID && w.Approval == name {
			s.Waits[i].Decision = d
		}
	}
}

func (s *State) folded(e record.Event) {
	n := int(e.Turn)
	if n < s.Folded || n > len(s.Turns) {
		return
	}
	s.Folded, s.Summary, s.History = n, e.Text, nil
	var ignored v1alpha1.TokenUsage
	s.use(e, &ignored)
}

func (s *State) ended(e record.Event, now time.Time) {
	var ignored v1alpha1.TokenUsage
	s.use(e, &ignored)
	s.Phase, s.Reason, s.Ended, s.answer, s.waiting = e.Phase, e.Reason, now, e.Text, ""
	if !s.Phase.Final() {
		s.Phase = v1alpha1.RunFailed
	}
}

// target is what would change, of what a person is asked: the first line of a
// plan, before which our servers say what is to be done about it.
func target(asked string) string {
	if _, plan, found := strings.Cut(asked, "What would change: "); found {
		asked = plan
	}
	first, _, _ := strings.Cut(strings.TrimSpace(asked), "\n")
	return first
}

// mostApprovals is how many approvals an AgentRun's status lists.
const mostApprovals = 256

// Approvals are the waits as an AgentRun's status lists them. Of an approval that
// is waited for again, what came last counts.
func (s *State) Approvals() []v1alpha1.RunApproval {
	var out []v1alpha1.RunApproval
	at := map[string]int{}
	for _, w := range s.Waits {
		if w.Approval == "" {
			continue
		}
		a := v1alpha1.RunApproval{Name: w.Approval, Tool: w.Tool, Target: clip(target(w.Text), 1024), Decision: w.Decision}
		if i, known := at[w.Approval]; known {
			out[i] = a
		} else if len(out) < mostApprovals {
			at[w.Approval] = len(out)
			out = append(out, a)
		}
	}
	return out
}
