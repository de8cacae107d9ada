package model

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Waits between tries: a random part of what doubles from firstWait on, or what
// the provider asked for, up to longestWait, and a random part of firstWait.
const (
	firstWait   = time.Second
	longestWait = time.Minute
)

// Generate implements [Model].
func (c *client) Generate(ctx context.Context, r Request, say func(text string)) (Reply, error) {
	h := &hearing{say: say, restarted: r.Restarted}
	began := c.Now()
	var used v1alpha1.TokenUsage
	for try := 1; ; try++ {
		reply, key, f := c.try(ctx, r, h.hear)
		add(&used, reply.Usage)
		if err := ctx.Err(); err != nil {
			return Reply{Usage: used}, err
		}
		if f == nil {
			reply.Usage = used
			return reply, nil
		}
		f.Provider, f.Text = c.name, c.presentable(f.Text, key)
		wait := c.before(try, f)
		if f.again = f.again || c.rotated(try, f, key, &wait); !f.again || try >= c.Tries || c.Now().Sub(began)+wait > c.Within {
			return Reply{Usage: used}, f
		}
		h.restart()
		c.Retrying(f, wait)
		if err := c.Wait(ctx, wait); err != nil {
			return Reply{Usage: used}, err
		}
	}
}

// try asks once, with the key that is current now, which it returns.
func (c *client) try(ctx context.Context, r Request, say func(string)) (Reply, string, *Error) {
	key, f := c.readKey()
	if f != nil {
		return Reply{}, "", f
	}
	ctx, stop := context.WithTimeoutCause(ctx, c.Longest, errSlow)
	defer stop()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	web, done, err := c.network.client(c.Silence, func() { end(errSilent) })
	if err != nil {
		return Reply{}, key, &Error{Kind: Unavailable, Text: err.Error()}
	}
	defer done()
	reply, err := c.provider.ask(ctx, web, key, r, say)
	return reply, key, failureOf(ctx, err)
}

// before is how long to wait after the try of that number, counted from 1.
func (c *client) before(try int, f *Error) time.Duration {
	if f.RetryAfter > 0 {
		return min(f.RetryAfter, longestWait) + rand.N(firstWait)
	}
	return rand.N(min(firstWait<<(try-1), longestWait))
}

// rotated reports whether a key that was refused has been replaced meanwhile:
// then nothing is to be waited for. This is looked for once.
func (c *client) rotated(try int, f *Error, key string, wait *time.Duration) bool {
	if f.Kind != Unauthorized || f.Status == 0 || try > 1 {
		return false
	}
	now, failed := c.readKey()
	if failed != nil || now == key {
		return false
	}
	*wait = 0
	return true
}

// hearing hands text on, and tells when what was said is void.
type hearing struct {
	say       func(string)
	restarted func()
	said      bool
}

func (h *hearing) hear(text string) {
	if h.say == nil || text == "" {
		return
	}
	h.said = true
	h.say(text)
}

// void is what say hears of a restart where nobody else listens for it.
const void = "\n[The answer broke off. It is asked for again.]\n"

func (h *hearing) restart() {
	if !h.said {
		return
	}
	h.said = false
	if h.restarted != nil {
		h.restarted()
		return
	}
	h.say(void)
}

// add counts only what can be: no provider takes tokens back, and none counts
// to a billion.
func add(sum *v1alpha1.TokenUsage, u v1alpha1.TokenUsage) {
	possible := func(n int64) int64 { return min(max(n, 0), 1e9) }
	sum.Input += possible(u.Input)
	sum.Output += possible(u.Output)
	sum.CacheRead += possible(u.CacheRead)
	sum.CacheWrite += possible(u.CacheWrite)
}

// Why a try was ended.
var (
	errSilent = errors.New("the provider said nothing for too long")
	errSlow   = errors.New("the answer took too long")
)
