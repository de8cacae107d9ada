package a2a

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
)

// Defaults of [Options].
const (
	DefaultMostOpen       = 256
	DefaultMostOpenCaller = 32
)

// comeBack is after how many seconds it is worth trying again: some answer may
// have been given by then.
const comeBack = 5

// lasting are the methods whose requests are open for as long as a run takes, in
// both forms of the protocol. To look at a task, or to cancel it, is always let
// through.
var lasting = []string{"SendMessage", "SendStreamingMessage", "SubscribeToTask", "message/send", "message/stream", "tasks/resubscribe"}

// crowd bounds how many requests are open that last: each holds a stream to the
// client, and one to where runs are kept.
type crowd struct {
	most, mostCaller int

	mu   sync.Mutex
	all  int
	open map[string]int // by caller
}

// enter counts a request in until leave is called. It is refused, with what to
// tell the client, if there is no room for it; callers who cannot be told apart
// share all the room.
func (c *crowd) enter(caller string) (leave func(), status int, refusal string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case caller != "" && c.open[caller] >= c.mostCaller:
		return nil, http.StatusTooManyRequests, fmt.Sprintf("%s has %d requests open at this agent, the most one caller may have at once; end a stream, wait for an answer, or try again in %d s", caller, c.open[caller], comeBack)
	case c.all >= c.most:
		return nil, http.StatusServiceUnavailable, fmt.Sprintf("%d requests are open at this agent, the most that may be at once; try again in %d s", c.all, comeBack)
	}
	c.all++
	c.open[caller]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.open[caller]--; c.open[caller] == 0 {
			delete(c.open, caller)
		}
	}, 0, ""
}

// admit serves a request if there is room for it.
func (c *crowd) admit(method string, next http.Handler, w http.ResponseWriter, r *http.Request) {
	if slices.Contains(lasting, method) {
		leave, status, refusal := c.enter(caller(r.Context()))
		if leave == nil {
			w.Header().Set("Retry-After", fmt.Sprint(comeBack))
			http.Error(w, refusal, status)
			return
		}
		defer leave()
	}
	next.ServeHTTP(w, r)
}
