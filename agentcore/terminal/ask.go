package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Person is whoever sits at the terminal.
type Person struct {
	In     io.Reader
	Screen *Screen

	one   sync.Mutex // question at a time
	begin sync.Once
	lines chan string // holds the answer to the question that is put

	mu   sync.Mutex
	open bool // a question waits for its answer
}

// Ask puts a question to the person. Only y and yes are one; the end of the
// input is an error.
func (p *Person) Ask(ctx context.Context, question string) (bool, error) {
	p.one.Lock()
	defer p.one.Unlock()
	select {
	case <-p.lines: // the answer to a question that was given up
	default:
	}
	p.wait(true)
	defer p.wait(false)
	p.begin.Do(func() {
		p.lines = make(chan string, 1)
		go p.read()
	})
	p.Screen.show(fmt.Sprintf("\n%s\n\n[y/N] ", strings.TrimSpace(question)))
	select {
	case line, more := <-p.lines:
		if !more {
			return false, errors.New("the terminal was closed before an answer came")
		}
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes", nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (p *Person) wait(open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = open
}

// read hands a line on to the question that waits for one. What is typed while
// none does is no answer to the next.
func (p *Person) read() {
	defer close(p.lines)
	in := bufio.NewScanner(p.In)
	for in.Scan() {
		p.answer(in.Text())
	}
}

func (p *Person) answer(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		p.lines <- line // there is room: each question takes one
	}
	p.open = false
}
