package toolbox

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/linger"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// Pauses between two tries to reach a server, and between two looks at one that
// says that its list has changed. They double up to the longest.
const (
	firstPause  = 250 * time.Millisecond
	longestWait = time.Minute
)

// sooner is how many times as often, at least, a server is looked at that did not
// list all that the Agent names: a grant tells nobody that it was made.
const sooner = 20

// server is one tool server: what it was found to have, and the session with it,
// if there is one.
type server struct {
	declared.Server
	box     *Box
	id      string        // NAMESPACE/NAME
	url     *url.URL      // nil if spec.url is none
	timeout time.Duration // of opening a session and of listing
	quiet   time.Duration // that a call may go without a sign of life

	tried chan struct{} // closed once the first try to list its tools is over
	once  sync.Once
	stir  chan struct{} // wakes keep; holds one

	opening chan struct{} // held by whoever opens a session
	looking chan struct{} // held by whoever looks again for a run
	asking  atomic.Int32  // questions before a person

	mu         sync.Mutex
	session    *session
	found      []Tool    // what it offers of what the Agent names
	known      bool      // it has listed its tools
	complaints []string  // about what it lists
	ungated    bool      // it lists writes, and not that a person decides about them as its annotation says
	listed     time.Time // when it last did
	trouble    string    // why it cannot be called now, if so
	waiting    map[string]*pending
}

func newServer(b *Box, d declared.Server) *server {
	s := &server{
		Server: d, box: b, id: d.Namespace + "/" + d.RemoteMCPServer.Name,
		tried: make(chan struct{}), stir: make(chan struct{}, 1),
		opening: make(chan struct{}, 1), looking: make(chan struct{}, 1),
		waiting: map[string]*pending{},
	}
	s.timeout = duration(d.Spec.Timeout, 30*time.Second)
	s.quiet = max(s.timeout, duration(d.Spec.SSEReadTimeout, 0))
	if u, err := url.Parse(d.Spec.URL); err == nil && u.Host != "" {
		s.url = u
	}
	return s
}

func duration(d kagent.Duration, otherwise time.Duration) time.Duration {
	if value, err := d.Parse(); err == nil && value > 0 {
		return value
	}
	return otherwise
}

// keep looks at what the server offers, again and again: when it says that this
// has changed, when it was lost, and from time to time.
func (s *server) keep() {
	defer s.leave()
	pause, lacking, looked, failed := firstPause, firstPause, time.Now(), false
	for {
		err := s.discover()
		s.once.Do(func() { close(s.tried) })
		wait := s.box.options.Refresh
		if s.lacks() {
			wait = min(lacking, wait/sooner)
			lacking = min(2*lacking, longestWait)
		} else {
			lacking = firstPause
		}
		if err != nil {
			wait, pause = pause, min(2*pause, longestWait)
		} else if failed || time.Since(looked) > longestWait {
			pause = firstPause
		}
		looked, failed = time.Now(), err != nil
		timer := time.NewTimer(wait)
		select {
		case <-s.box.life.Done():
			timer.Stop()
			return
		case <-timer.C:
			continue
		case <-s.stir:
			timer.Stop()
			lacking = firstPause
		}
		select { // a server that always has news is not asked all the time
		case <-s.box.life.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, longestWait)
		}
	}
}

// lacks says whether the server did not list all that the Agent names.
func (s *server) lacks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.complaints) > 0
}

// wake lets keep look soon.
func (s *server) wake() {
	select {
	case s.stir <- struct{}{}:
	default:
	}
}

// leave ends the session, if there is one.
func (s *server) leave() {
	s.mu.Lock()
	current := s.session
	s.session = nil
	s.mu.Unlock()
	if current != nil {
		current.close()
	}
}

// discover lists the server's tools. A session that was there before may have
// died unnoticed, so that a second try is made with a fresh one.
func (s *server) discover() error {
	for {
		current, fresh, err := s.connect(s.box.life)
		if err == nil {
			var tools []*mcp.Tool
			var gated bool
			if tools, gated, err = current.list(s.box.life, s.timeout); err == nil {
				s.learn(tools, gated)
				return nil
			}
			s.drop(current)
		}
		if err == nil || fresh || s.box.life.Err() != nil || current == nil {
			s.mu.Lock()
			s.trouble = s.why(err, current)
			s.mu.Unlock()
			return err
		}
	}
}

// learn keeps what the server lists, as far as the Agent names it. Writes are left
// to the server's gate only if the server says that it has one, too: whoever may
// annotate it need not be who runs it.
func (s *server) learn(tools []*mcp.Tool, gated bool) {
	d := s.Server
	d.GatesItself = d.GatesItself && gated
	found, complaints := pick(d, s.id, tools)
	writes := slices.ContainsFunc(found, func(t Tool) bool { return t.Class != Read })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found, s.complaints, s.known, s.trouble, s.listed = found, complaints, true, "", time.Now()
	s.ungated = writes && s.GatesItself && !gated
}

// How often runs that begin look again at a server that lacked something.
const (
	listedFor    = time.Second // that what it listed is not asked for again
	settlingPoll = 250 * time.Millisecond
)

// heardFrom waits for the first try to list the server's tools.
func (s *server) heardFrom(patience context.Context) {
	select {
	case <-s.tried:
	case <-patience.Done():
	}
}

// settle looks again at a server that lacked something, and for as long as
// patience lasts again and again at one that offers nothing.
func (s *server) settle(ctx, patience context.Context) {
	s.heardFrom(patience)
	s.lookAgain(ctx)
	for s.empty() && linger.For(patience, settlingPoll) == nil {
		s.lookAgain(patience)
	}
}

// empty says whether nothing that the Agent names is on offer.
func (s *server) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.found) == 0
}

// lookAgain lists the server's tools in the session that there is, if it lacked
// something a moment ago. All who want that at once wait for the same. What does
// not answer is left to keep, so that it holds up one run at most.
func (s *server) lookAgain(ctx context.Context) {
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
	case <-ctx.Done():
		return
	}
	s.mu.Lock()
	current, worth := s.session, len(s.complaints) > 0 && s.trouble == "" && time.Since(s.listed) >= listedFor
	s.mu.Unlock()
	if current == nil || !worth || ctx.Err() != nil {
		return
	}
	tools, gated, err := current.list(ctx, min(s.timeout, s.box.options.Patience))
	switch {
	case err == nil:
		s.learn(tools, gated)
	case ctx.Err() == nil:
		s.mu.Lock()
		s.trouble = s.why(err, current)
		s.mu.Unlock()
		s.wake()
	}
}

// connect returns the session with the server, a fresh one if there is none. All
// who want one at once wait for the same.
func (s *server) connect(ctx context.Context) (current *session, fresh bool, err error) {
	select {
	case s.opening <- struct{}{}:
		defer func() { <-s.opening }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	s.mu.Lock()
	current = s.session
	s.mu.Unlock()
	if current != nil {
		return current, false, nil
	}
	if current, err = s.open(ctx); err != nil {
		return nil, true, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box.life.Err() != nil { // closed meanwhile
		go current.close()
		return nil, true, s.box.life.Err()
	}
	s.session = current
	return current, true, nil
}

// drop gives up a session that is of no use any more, once the calls that it
// still carries are over: what broke one of them need not have broken all.
func (s *server) drop(old *session) {
	s.mu.Lock()
	if s.session == old {
		s.session = nil
	}
	old.dropped = true
	idle := old.calls == 0
	s.mu.Unlock()
	if idle {
		old.abandon()
	}
}

// carry counts a call that a session carries, until its end.
func (s *server) carry(current *session) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current.calls++
	return func() {
		s.mu.Lock()
		current.calls--
		idle := current.dropped && current.calls == 0
		s.mu.Unlock()
		if idle {
			current.abandon()
		}
	}
}

// offer is what the server offers, and what is wrong with it. What it listed last
// stays on offer while it cannot be reached: it may be back for the call.
func (s *server) offer() (tools []Tool, problems []string) {
	select {
	case <-s.tried:
	default:
		return nil, []string{fmt.Sprintf("tool server %s has not answered yet; its tools come later", s.id)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble != "" {
		problems = append(problems, fmt.Sprintf("tool server %s: %s", s.id, s.trouble))
	}
	if s.ungated {
		problems = append(problems, fmt.Sprintf("tool server %s does not say that it has a person decide about its writes, as its annotation toolcrib.dev/access does; they are not left to it", s.id))
	}
	return slices.Clone(s.found), append(problems, s.complaints...)
}

// errUnsuitable is that what is declared of the server cannot work.
var errUnsuitable = errors.New("spec.url is no URL of http or https with a host")
