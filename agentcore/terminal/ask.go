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
	lines chan string
}

// Ask puts a question to the person. Only y and yes are one; the end of the
// input is an error.
func (p *Person) Ask(ctx context.Context, question string) (bool, error) {
	p.one.Lock()
	defer p.one.Unlock()
	p.begin.Do(func() {
		p.lines = make(chan string)
		go p.read()
	})
	select {
	case <-p.lines: // typed before there was a question
	default:
	}
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

// read hands lines on to the question that waits for one.
func (p *Person) read() {
	defer close(p.lines)
	in := bufio.NewScanner(p.In)
	for in.Scan() {
		p.lines <- in.Text()
	}
}
