// Package linger lets work wait for a while, and no longer than it has to: what is
// cancelled waits no more.
package linger

import (
	"context"
	"time"
)

// For waits for d. The error is the context's, if that ends first.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
