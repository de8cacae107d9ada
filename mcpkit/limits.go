package mcpkit

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// forgetEvery is how often callers that went away are forgotten.
const forgetEvery = time.Minute

// shares hold each caller to its part of the server, so that one that runs wild
// hinders nobody else.
type shares struct {
	rate  rate.Limit // calls a second, twice as many in a burst
	calls int        // at once

	mu     sync.Mutex
	taken  map[string]*share // by the caller's name
	forgot time.Time
}

type share struct {
	pace    *rate.Limiter
	running int
	held    int64 // bytes of requests
}

func newShares(o Options) *shares {
	return &shares{rate: rate.Limit(o.CallerRate), calls: o.CallerCalls, taken: map[string]*share{}}
}

// pace counts one request of the caller, or says when it may make the next.
func (s *shares) pace(caller string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.of(caller, now).pace.ReserveN(now, 1)
	wait := next.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	next.CancelAt(now)
	return Errorf(Unavailable, "%s makes more than %g calls a second, the most one caller may make here; try again in %.0f s", caller, float64(s.rate), math.Ceil(wait.Seconds()))
}

// begin takes one of the calls that the caller may have running. A second is
// when the first of them may have ended.
func (s *shares) begin(caller string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.of(caller, now)
	if mine.running >= s.calls {
		return Errorf(Unavailable, "%s has %d calls running here already, the most one caller may have at once; wait for one to end, or try again in 1 s", caller, mine.running)
	}
	mine.running++
	return nil
}

func (s *shares) end(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[caller].running--
}

// hold takes n of the at most max bytes that the caller's requests may hold.
func (s *shares) hold(caller string, n, max int64, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.of(caller, now)
	if mine.held+n > max {
		return Errorf(Unavailable, "%s has requests of %d bytes under way here, and they may take %d at once; wait for some to end, or try again in 1 s", caller, mine.held, max)
	}
	mine.held += n
	return nil
}

func (s *shares) letGo(caller string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[caller].held -= n
}

// of is the caller's share, with s.mu held. Whoever has nothing running and a
// full burst before it is as good as new, and need not be remembered.
func (s *shares) of(caller string, now time.Time) *share {
	if now.Sub(s.forgot) >= forgetEvery {
		s.forgot = now
		for name, other := range s.taken {
			if other.running == 0 && other.held == 0 && other.pace.TokensAt(now) >= float64(other.pace.Burst()) {
				delete(s.taken, name)
			}
		}
	}
	mine, ok := s.taken[caller]
	if !ok {
		mine = &share{pace: rate.NewLimiter(s.rate, max(1, int(math.Ceil(2*float64(s.rate)))))}
		s.taken[caller] = mine
	}
	return mine
}

// limit holds the caller to its share, if callers can be told apart, and then
// waits for one of the slots that bound how many calls run at once.
func (s *Server) limit(ctx context.Context, c *Call) error {
	if s.Authenticator != nil {
		now := s.Now()
		if err := s.shares.pace(c.Caller.Name, now); err != nil {
			return err
		}
		if err := s.shares.begin(c.Caller.Name, now); err != nil {
			return err
		}
		c.holds(func() { s.shares.end(c.Caller.Name) })
	}
	select { // one that is free is taken, even by a call that has little time left
	case s.slots <- struct{}{}:
		c.holds(func() { <-s.slots })
		return nil
	default:
	}
	select {
	case s.slots <- struct{}{}:
		c.holds(func() { <-s.slots })
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return ctx.Err()
		}
		return Errorf(Unavailable, "%d calls are running already and none ended in time; try again in a few seconds", s.MaxCalls)
	}
}
