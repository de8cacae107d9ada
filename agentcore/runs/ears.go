package runs

import (
	"context"
	"strings"
	"sync"
)

// ears are those who listen to runs. Whoever listens slowly holds up nobody.
type ears struct {
	mu   sync.Mutex
	open map[string]map[*ear]bool
}

type ear struct {
	mu    sync.Mutex
	heard strings.Builder
	over  bool
	news  chan struct{}
}

func (e *ears) listen(name string) (func(context.Context) (string, bool), func()) {
	one := &ear{news: make(chan struct{}, 1)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open == nil {
		e.open = map[string]map[*ear]bool{}
	}
	if e.open[name] == nil {
		e.open[name] = map[*ear]bool{}
	}
	e.open[name][one] = true
	return one.next, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if delete(e.open[name], one); len(e.open[name]) == 0 {
			delete(e.open, name)
		}
	}
}

func (e *ears) hear(name, text string) { e.each(name, func(one *ear) { one.heard.WriteString(text) }) }

func (e *ears) over(name string) { e.each(name, func(one *ear) { one.over = true }) }

func (e *ears) each(name string, do func(*ear)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for one := range e.open[name] {
		one.mu.Lock()
		do(one)
		one.mu.Unlock()
		select {
		case one.news <- struct{}{}:
		default:
		}
	}
}

// next is what was said since it was last asked. It waits for something.
func (e *ear) next(ctx context.Context) (string, bool) {
	for {
		e.mu.Lock()
		text, over := e.heard.String(), e.over
		e.heard.Reset()
		e.mu.Unlock()
		if text != "" {
			return text, true
		}
		if over {
			return "", false
		}
		select {
		case <-e.news:
		case <-ctx.Done():
			return "", false
		}
	}
}
