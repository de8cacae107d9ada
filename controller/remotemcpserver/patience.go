package remotemcpserver

import (
	"errors"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/controller/outcome"
	ctrl "sigs.k8s.io/controller-runtime"
)

// firstWait is how long a server that failed is left alone; the wait doubles up
// to resync.
const firstWait = 10 * time.Second

// patience counts how often in a row each server failed.
type patience struct {
	mu       sync.Mutex
	failures map[ctrl.Request]int
}

// with is err, with a wait that has grown with the failures before.
func (p *patience) with(request ctrl.Request, err error) error {
	var e *outcome.Error
	if !errors.As(err, &e) || e.After == 0 {
		if err == nil {
			p.forget(request)
		}
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures == nil {
		p.failures = map[ctrl.Request]int{}
	}
	wait := min(e.After<<min(p.failures[request], 10), resync)
	p.failures[request]++
	return &outcome.Error{Reason: e.Reason, Message: e.Message, After: wait}
}

func (p *patience) forget(request ctrl.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.failures, request)
}
