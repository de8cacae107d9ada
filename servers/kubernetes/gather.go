package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
)

// maxGatherers is how many requests one call may have under way at once.
const maxGatherers = 8

// gathering is one look at many places: they are read at once, a few at a time,
// and what was read and what could not be is remembered for the answer.
type gathering struct {
	mu     sync.Mutex
	kinds  []string
	counts map[string]int
	missed []string
	errs   []error
}

// together runs steps at once and waits for all. A step says by itself what it
// could not read; only the end of the call ends the others.
func (g *gathering) together(ctx context.Context, steps ...func(context.Context)) {
	tasks := make([]func(context.Context) error, len(steps))
	for i, step := range steps {
		tasks[i] = func(ctx context.Context) error { step(ctx); return nil }
	}
	_ = mcpkit.Together(ctx, maxGatherers, tasks...) // steps return no error
}

// saw adds n objects of a kind, in the plural, to what was looked at.
func (g *gathering) saw(kind string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.counts == nil {
		g.counts = map[string]int{}
	}
	if _, known := g.counts[kind]; !known {
		g.kinds = append(g.kinds, kind)
	}
	g.counts[kind] += n
}

// missedOut remembers that something could not be read, and why.
func (g *gathering) missedOut(what string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var known *mcpkit.Error
	why := "not readable"
	if err = translate(err, "read "+what); errors.As(err, &known) {
		why = string(known.Kind)
		if known.Err != nil {
			why += " (" + abridge(clientgo.Reason(known.Err), 160) + ")"
		}
	}
	if line := what + ": " + why; !slices.Contains(g.missed, line) {
		g.missed = append(g.missed, line)
	}
	g.errs = append(g.errs, err)
}

// lookedAt lists what was read, with counts.
func (g *gathering) lookedAt() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.Sort(g.kinds)
	var parts []string
	for _, kind := range g.kinds {
		parts = append(parts, kind+" "+strconv.Itoa(g.counts[kind]))
	}
	return strings.Join(parts, ", ")
}

// notLookedAt lists what could not be read, in a steady order.
func (g *gathering) notLookedAt() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.Sort(g.missed)
	return g.missed
}

// failed is the first error when nothing at all could be read.
func (g *gathering) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.kinds) == 0 && len(g.errs) > 0 {
		return g.errs[0]
	}
	return nil
}

// each gives visit every object of a collection. It holds no more than two
// pages of them: visit copies what it wants to keep.
func each[L runtime.Object, T any](ctx context.Context, list func(context.Context, metav1.ListOptions) (L, error), o metav1.ListOptions, visit func(T)) error {
	p := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return list(ctx, o) })
	p.PageSize, p.PageBufferSize, p.FullListIfExpired = pageSize, 1, false
	return p.EachListItem(ctx, o, func(item runtime.Object) error {
		object, ok := item.(T)
		if !ok {
			return fmt.Errorf("a list of %T holds a %T", *new(T), item)
		}
		visit(object)
		return nil
	})
}

// gather visits every object of a collection and remembers that it did, or why
// it could not.
func gather[L runtime.Object, T any](ctx context.Context, g *gathering, what string, list func(context.Context, metav1.ListOptions) (L, error), o metav1.ListOptions, visit func(T)) {
	n := 0
	err := each(ctx, list, o, func(object T) {
		n++
		visit(object)
	})
	if err != nil {
		g.missedOut(what, err)
		return
	}
	g.saw(what, n)
}
