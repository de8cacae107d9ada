package mcpkit

import (
	"strings"
)

// scanner rewrites one text from left to right: at each byte that can begin or
// join something telling it looks around, and replaces what is secret. Every
// look is bounded or moves the scanner on, so that the whole is linear.
type scanner struct {
	r    *Redactor
	s    string
	out  []byte // what is settled of the result; nil while nothing was replaced
	last int    // how far into s that reaches
	pem  pemEnds
	line [2]int // a stretch of s without an end of line, and the end after it
	run  int    // the end of the last URL seen
}

// lineEnd is where the line ends that p is on. It remembers, so that much in one
// long line stays cheap.
func (t *scanner) lineEnd(p int) int {
	if p < t.line[0] || p > t.line[1] || t.line[1] == 0 {
		t.line = [2]int{p, lineEnd(t.s, p)}
	}
	return t.line[1]
}

// looks says which look to take at a byte.
var looks = func() (table [256]byte) {
	for _, c := range []byte(":=-$@~>{'") {
		table[c] = c
	}
	for c := range shapes {
		if len(shapes[c]) > 0 && isWord(byte(c)) {
			table[c] = 'w'
		}
	}
	for _, c := range []byte("bB") {
		table[c] = 'w'
	}
	return table
}()

func (r *Redactor) scan(s string) string {
	t := scanner{r: r, s: s}
	for i := 0; i < len(s); {
		look := looks[s[i]]
		if look == 0 {
			i++
			continue
		}
		i = max(i+1, t.look(look, i), t.last) // never back into what is settled
	}
	if t.out == nil {
		return s
	}
	return string(append(t.out, s[t.last:]...))
}

// look inspects s at i and returns where to go on; at most i when nothing was
// found.
func (t *scanner) look(look byte, i int) int {
	switch look {
	case 'w':
		if i > 0 && (isWord(t.s[i-1]) || t.s[i-1] == '+') && !t.escaped(i-1) {
			return i
		}
		if isBOrb(t.s[i]) {
			if next := t.scheme(i); next > i {
				return next
			}
		}
		return t.shape(i)
	case ':':
		if strings.HasPrefix(t.s[i:], "://") {
			return t.url(i)
		}
		return t.pair(i)
	case '=':
		return t.pair(i)
	case '-':
		if strings.HasPrefix(t.s[i:], pemBegin) || strings.HasPrefix(t.s[i:], pemEnd) {
			return t.pemBlock(i)
		}
		return t.flag(i)
	case '@':
		return t.userAt(i)
	case '~':
		return t.azureSecret(i)
	case '>':
		return t.element(i)
	case '\'':
		return t.statement(i)
	}
	return t.shape(i)
}

func isBOrb(c byte) bool { return c|0x20 == 'b' }

// escaped reports whether s[i] is the letter of an escape such as \n.
func (t *scanner) escaped(i int) bool {
	return i > 0 && t.s[i-1] == '\\' && (t.s[i] == 'n' || t.s[i] == 'r' || t.s[i] == 't')
}

// replace puts text in the place of s[from:to] and returns to.
func (t *scanner) replace(from, to int, text string) int {
	if t.s[from:to] == text {
		return to
	}
	if t.out == nil {
		t.out = make([]byte, 0, len(t.s)+64)
	}
	t.out = append(append(t.out, t.s[t.last:from]...), text...)
	t.last = to
	return to
}

func (t *scanner) hide(v value) int {
	t.replace(v.from, v.to, t.r.mark(v.text))
	return v.next
}
