package mcpkit_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// shelf is a backend in memory: numbered items with a label, and hooks for
// what a test wants to happen in the middle of a call.
type shelf struct {
	mu      sync.Mutex
	labels  map[string]string
	version int
	writes  int
	broken  error // what setting a label fails with

	entered chan string               // gets the name of each call of shelf_wait_item
	release chan struct{}             // lets those calls go on
	ended   chan error                // gets what ended each wait
	during  func(ctx context.Context) // runs inside shelf_get_item
}

func newShelf() *shelf {
	return &shelf{
		labels:  map[string]string{"hammer": "red", "saw": "blue"},
		entered: make(chan string, 300), release: make(chan struct{}), ended: make(chan error, 300),
	}
}

type nameIn struct {
	Name string `json:"name" jsonschema:"name of the item"`
}

type itemOut struct {
	Name  string `json:"name"`
	Label string `json:"label"`
}

func (s *shelf) get(ctx context.Context, in nameIn) (itemOut, error) {
	if s.during != nil {
		s.during(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	label, ok := s.labels[in.Name]
	if !ok {
		return itemOut{}, mcpkit.Errorf(mcpkit.NotFound, "no item %q", in.Name)
	}
	mcpkit.SetTarget(ctx, "item "+in.Name)
	return itemOut{in.Name, label}, nil
}

type listIn struct {
	Limit    int    `json:"limit,omitempty" jsonschema:"most items to return; 100 if absent"`
	Continue string `json:"continue,omitempty" jsonschema:"where the page before ended"`
	Wide     bool   `json:"wide,omitempty" jsonschema:"whether to fill every cell"`
}

func (listIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(5000.0)
}

type listOut struct {
	mcpkit.Table
	mcpkit.Left
	from int
}

// ResumeAt lets the next page begin where the budget cut.
func (o listOut) ResumeAt(kept int) string { return strconv.Itoa(o.from + kept) }

func (s *shelf) list(_ context.Context, in listIn) (listOut, error) {
	from, _ := strconv.Atoi(in.Continue)
	out := listOut{Table: mcpkit.Table{Columns: []string{"item", "label"}}, from: from}
	if in.Limit == 0 {
		in.Limit = 100
	}
	for i := range in.Limit {
		out.Rows = append(out.Rows, []string{fmt.Sprintf("item-%05d", from+i), "a label of some length"})
	}
	return out, nil
}

func (s *shelf) wait(ctx context.Context, in nameIn) (itemOut, error) {
	s.entered <- in.Name
	select {
	case <-s.release:
		s.ended <- nil
		return itemOut{in.Name, "waited"}, nil
	case <-ctx.Done():
		s.ended <- ctx.Err()
		return itemOut{}, fmt.Errorf("wait for %s: %w", in.Name, ctx.Err())
	}
}

func (s *shelf) crash(context.Context, struct{}) (itemOut, error) { panic("the shelf fell over") }

func (s *shelf) fail(context.Context, struct{}) (itemOut, error) {
	return itemOut{}, fmt.Errorf("dial 10.0.0.1: connection refused")
}

type labelIn struct {
	Name  string `json:"name" jsonschema:"name of the item"`
	Label string `json:"label" jsonschema:"its new label"`
}

func (s *shelf) planLabel(_ context.Context, in labelIn) (mcpkit.Plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.labels[in.Name]
	if !ok {
		return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.NotFound, "no item %q", in.Name)
	}
	p := mcpkit.Plan{Target: "item " + in.Name, Seen: []string{strconv.Itoa(s.version)}}
	if was != in.Label {
		p.Diff = fmt.Sprintf("-label: %s\n+label: %s", was, in.Label)
	}
	return p, nil
}

func (s *shelf) setLabel(_ context.Context, in labelIn, _ mcpkit.Plan) (itemOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return itemOut{}, s.broken
	}
	s.labels[in.Name] = in.Label
	s.version++
	s.writes++
	return itemOut(in), nil
}

func (s *shelf) label(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.labels[name]
}

// set changes a label behind the server's back.
func (s *shelf) set(name, label string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.labels[name] = label
	s.version++
}

func (s *shelf) register(ts *mcpkit.Toolset) {
	pods := []mcpkit.Rule{{Groups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "get"}}}
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_get_item", Title: "Get Item", Description: "Returns one item. By name.", Rules: pods}, s.get)
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_list_items", Title: "List Items", Description: "Lists items.", Narrow: "set a smaller limit", Rules: pods}, s.list)
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_wait_item", Title: "Wait", Description: "Waits."}, s.wait)
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_crash_item", Title: "Crash", Description: "Crashes."}, s.crash)
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_fail_item", Title: "Fail", Description: "Fails."}, s.fail)
	patch := []mcpkit.Rule{{Groups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"patch"}}}
	mcpkit.Write(ts, mcpkit.Tool{Name: "shelf_label_item", Title: "Label Item", Description: "Sets a label.", Rules: patch, Idempotent: true}, s.planLabel, s.setLabel)
	mcpkit.Destroy(ts, mcpkit.Tool{Name: "shelf_remove_item", Title: "Remove Item", Description: "Removes an item."}, s.planLabel, s.setLabel)
}

func (s *shelf) toolset() *mcpkit.Toolset {
	ts := mcpkit.NewToolset()
	s.register(ts)
	return ts
}

// person is one who gives one answer, and remembers what was asked.
type person struct {
	answer string
	mu     sync.Mutex
	asked  []string
	before func()
}

func (p *person) decide(message string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, message)
	if p.before != nil {
		p.before()
	}
	return p.answer
}

// lines is an output that tests can read, and wait on, while it is written.
type lines struct {
	mu      sync.Mutex
	all     []byte
	err     error
	written chan struct{} // closed at the next write
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	l.all = append(l.all, b...)
	if l.written != nil {
		close(l.written)
		l.written = nil
	}
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.all)
}

// wait returns what the first group of pattern matches, once it does.
func (l *lines) wait(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		l.mu.Lock()
		if l.written == nil {
			l.written = make(chan struct{})
		}
		match, written := re.FindSubmatch(l.all), l.written
		l.mu.Unlock()
		if match != nil {
			return string(match[1])
		}
		take(t, written)
	}
}

// take is the next value from c; a test that waits in vain fails.
func take[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(2 * time.Minute):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}
