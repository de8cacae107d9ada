// Package kept keeps answers for as long as they count, where nothing tells that
// they have changed. It refuses to grow without bound.
package kept

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// most is beyond how many answers those are thrown away that count no more.
const most = 10000

// Answers are answers to questions. Use New.
type Answers[Q comparable, A any] struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	known map[Q]answer[A]
}

type answer[A any] struct {
	is    A
	until time.Time
}

// New knows no answers.
func New[Q comparable, A any](clock clock.PassiveClock) *Answers[Q, A] {
	return &Answers[Q, A]{clock: clock, known: map[Q]answer[A]{}}
}

// Get is the answer, if it still counts.
func (k *Answers[Q, A]) Get(to Q) (A, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.known[to]
	return a.is, ok && k.clock.Now().Before(a.until)
}

// Put keeps the answer for as long as it lasts.
func (k *Answers[Q, A]) Put(to Q, is A, lasts time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Now()
	if len(k.known) >= most {
		for old, a := range k.known {
			if !now.Before(a.until) {
				delete(k.known, old)
			}
		}
	}
	k.known[to] = answer[A]{is, now.Add(lasts)}
}
