package runs

import "sync"

// ears are those who listen to runs. Whoever listens slowly holds up nobody.
type ears struct {
	mu   sync.Mutex
	open map[string]map[*Ear]bool
}

// Ear hears the words of a run.
type Ear struct {
	of   *ears
	name string
	news chan struct{}

	mu    sync.Mutex
	heard []Words
	next  bool // the next words begin an answer
}

// Words are what a model says, as far as it has arrived.
type Words struct {
	Text  string
	First bool // they begin an answer; what was heard before was another
}

func (e *ears) listen(name string) *Ear {
	one := &Ear{of: e, name: name, news: make(chan struct{}, 1), next: true}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open == nil {
		e.open = map[string]map[*Ear]bool{}
	}
	if e.open[name] == nil {
		e.open[name] = map[*Ear]bool{}
	}
	e.open[name][one] = true
	return one
}

// News tells that there is something to take.
func (e *Ear) News() <-chan struct{} { return e.news }

// Take is what was heard since the last time.
func (e *Ear) Take() []Words {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard := e.heard
	e.heard = nil
	return heard
}

// Close ends the listening.
func (e *Ear) Close() {
	e.of.mu.Lock()
	defer e.of.mu.Unlock()
	if delete(e.of.open[e.name], e); len(e.of.open[e.name]) == 0 {
		delete(e.of.open, e.name)
	}
}

// hear hands words on to those who listen.
func (e *ears) hear(name, text string) {
	e.each(name, func(one *Ear) {
		if n := len(one.heard); n > 0 && !one.next {
			one.heard[n-1].Text += text
			return
		}
		one.heard, one.next = append(one.heard, Words{text, one.next}), false
	})
}

// turn says that what follows is another answer.
func (e *ears) turn(name string) { e.each(name, func(one *Ear) { one.next = true }) }

func (e *ears) each(name string, do func(*Ear)) {
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
