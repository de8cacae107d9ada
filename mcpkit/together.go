package mcpkit

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Together runs steps at once, at most limit at a time, and returns their first
// error when all have ended. The context of the steps ends with that error; a
// step that must not end the others returns nil. A panic in a step becomes the
// caller's, so that it ends one call and not the process.
func Together(ctx context.Context, limit int, steps ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	var first sync.Once
	var bug any
	for _, step := range steps {
		group.Go(func() error {
			defer func() {
				if p := recover(); p != nil {
					first.Do(func() { bug = p })
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
