package mcpkit

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Together runs steps at once, at most limit at a time, and returns their first
// error when all have ended. The context of the steps ends with that error; a
// step that must not end the others returns nil. A panic in a step ends the
// others like an error and becomes the caller's, with the stack of the step, so
// that it ends one call and not the process.
func Together(ctx context.Context, limit int, steps ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	var first sync.Once
	var bug *stepPanic
	for _, step := range steps {
		group.Go(func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					known := &stepPanic{p, debug.Stack()}
					first.Do(func() { bug = known })
					err = known
				}
			}()
			if err := ctx.Err(); err != nil {
				return err
			}
			return step(ctx)
		})
	}
	err := group.Wait()
	if bug != nil {
		panic(bug)
	}
	return err
}

// stepPanic is a panic on its way from the step to the caller.
type stepPanic struct {
	value any
	stack []byte
}

func (p *stepPanic) Error() string { return fmt.Sprintf("%v\n%s", p.value, p.stack) }
