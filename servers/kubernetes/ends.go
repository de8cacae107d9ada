package kubernetes

import (
	"bytes"
	"fmt"
	"sync"
	"unicode/utf8"
)

// ends keeps the beginning and the end of a stream of any length, which is
// where a command says what it does and how it came out.
type ends struct {
	mu    sync.Mutex // a stream may still be written to when its call was cancelled
	half  int
	head  []byte
	tail  []byte // the last half bytes, and before trimming as many again
	total int64
}

// newEnds keeps size bytes, half of them from either end.
func newEnds(size int) *ends { return &ends{half: size / 2} }

func (e *ends) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total += int64(len(p))
	rest := p
	if room := e.half - len(e.head); room > 0 {
		n := min(room, len(rest))
		e.head, rest = append(e.head, rest[:n]...), rest[n:]
	}
	if over := len(rest) - e.half; over > 0 {
		e.tail, rest = e.tail[:0], rest[over:]
	}
	e.tail = append(e.tail, rest...)
	if over := len(e.tail) - e.half; over > e.half {
		e.tail = append(e.tail[:0], e.tail[over:]...)
	}
	return len(p), nil
}

// text is what was kept, cut at line ends where there are any, and what is
// missing from it.
func (e *ends) text() (kept, missing string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	head, tail := e.head, e.tail[max(0, len(e.tail)-e.half):]
	if unreadable(head) || unreadable(tail) {
		return "", fmt.Sprintf("%d bytes of binary data not shown", e.total)
	}
	if e.total == int64(len(head)+len(tail)) {
		return string(bytes.ToValidUTF8(append(bytes.Clone(head), tail...), replacement)), ""
	}
	if i := bytes.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i+1]
	}
	if i := bytes.IndexByte(tail, '\n'); i >= 0 && i < len(tail)-1 {
		tail = tail[i+1:]
	}
	left := e.total - int64(len(head)+len(tail))
	kept = fmt.Sprintf("%s\n(... %d bytes left out ...)\n%s",
		bytes.TrimRight(bytes.ToValidUTF8(head, replacement), "\n"), left, bytes.ToValidUTF8(tail, replacement))
	return kept, fmt.Sprintf("%d of %d bytes in the middle", left, e.total)
}

var replacement = []byte(string(utf8.RuneError))

// unreadable reports whether b is nothing a person would read: it holds a NUL, or
// every tenth byte is no UTF-8.
func unreadable(b []byte) bool {
	if bytes.IndexByte(b, 0) >= 0 {
		return true
	}
	invalid := 0
	for rest := b; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			invalid++
		}
		rest = rest[size:]
	}
	return invalid > 4 && invalid*10 > len(b) // a rune cut in two at either end is four
}
