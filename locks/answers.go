package locks

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/util/cache"
)

// reviewTimeout bounds what a caller waits for the API server to say who it is
// or what it may do.
const reviewTimeout = 5 * time.Second

// answers are what the API server said lately, by the key of the question.
// Refusals are kept apart: however many come in, they drive no answer out.
type answers[V any] struct {
	found, refused *cache.LRUExpireCache
	asking         singleflight.Group
	slots          chan struct{} // bound the questions in flight
}

// question asks the API server. The answer, or the refusal if there is an error
// too, is good for as long as keep says; what could not be found out is not kept.
type question[V any] func(context.Context) (answer V, keep time.Duration, err error)

func newAnswers[V any](kept, atOnce int, c cache.Clock) *answers[V] {
	return &answers[V]{
		found:   cache.NewLRUExpireCacheWithClock(kept, c),
		refused: cache.NewLRUExpireCacheWithClock(kept, c),
		slots:   make(chan struct{}, atOnce),
	}
}

// get returns the answer to the question that key stands for. All who ask the
// same at once wait for one request, which goes on when one of them gives up.
func (a *answers[V]) get(ctx context.Context, key string, ask question[V]) (V, error) {
	if v, err, ok := a.known(key); ok {
		return v, err
	}
	var none V
	answered := a.asking.DoChan(key, func() (any, error) {
		if v, err, ok := a.known(key); ok { // an earlier request has ended in between
			return v, err
		}
		return a.ask(context.WithoutCancel(ctx), key, ask)
	})
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case r := <-answered:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(V), nil
	}
}

func (a *answers[V]) known(key string) (v V, err error, ok bool) {
	if found, ok := a.found.Get(key); ok {
		return found.(V), nil, true
	}
	if refused, ok := a.refused.Get(key); ok {
		return v, refused.(error), true
	}
	return v, nil, false
}

func (a *answers[V]) ask(ctx context.Context, key string, ask question[V]) (V, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		var none V
		return none, mcpkit.Errorf(mcpkit.Unavailable, "the API server is asked about too many callers at once; try again in a few seconds")
	}
	v, keep, err := ask(ctx)
	switch {
	case keep <= 0:
	case err != nil:
		a.refused.Add(key, err, keep)
	default:
		a.found.Add(key, v, keep)
	}
	return v, err
}

// digest stands for a question in memory, so that no token has to.
func digest(question []byte) string {
	sum := sha256.Sum256(question)
	return string(sum[:])
}
