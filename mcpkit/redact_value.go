package mcpkit

import (
	"strconv"
	"strings"
)

// value is a value found after a separator.
type value struct {
	text     string // without quotes and escapes
	from, to int    // of what is replaced, inside the quotes
	next     int    // after it, quotes included
	quoted   bool
	block    bool // the header of a YAML block scalar
}

// extent says how far an unquoted value reaches.
type extent byte

const (
	wordValue extent = iota // to the next space
	lineValue               // to the end of the line
)

// valueAt reads the value at p, spaces skipped.
func (t *scanner) valueAt(p int, how extent) (value, bool) {
	s := t.s
	for p < len(s) && (s[p] == ' ' || s[p] == '\t') {
		p++
	}
	if p == len(s) || s[p] == '\n' {
		return value{}, false
	}
	if v, ok := t.quotedAt(p); ok {
		return v, true
	}
	end := t.lineEnd(p)
	if s[p] == '|' || s[p] == '>' {
		if head := strings.TrimRight(s[p:end], " \t"); len(head) <= 3 {
			return value{text: head, from: p, to: end, next: end, block: true}, true
		}
	}
	if how == wordValue {
		end = t.wordEnd(p, end)
	} else if i := escapedEnd(s[p:end]); i >= 0 {
		end = p + i
	}
	text := strings.TrimRight(s[p:end], " \t")
	if text == "" {
		return value{}, false
	}
	return value{text: text, from: p, to: p + len(text), next: p + len(text)}, true
}

func lineEnd(s string, p int) int {
	if i := strings.IndexByte(s[p:], '\n'); i >= 0 {
		return p + i
	}
	return len(s)
}

// escapedEnd finds where a line ends that is part of a quoted string.
func escapedEnd(line string) int {
	for i := 0; i+1 < len(line); i++ {
		if line[i] == '\\' && strings.IndexByte("nr\"", line[i+1]) >= 0 {
			return i
		}
	}
	return -1
}

// quotedAt reads a quoted value, whose quotes may be escaped as those of JSON
// within a string are. One that is not closed ends with its line.
func (t *scanner) quotedAt(p int) (value, bool) {
	s, open := t.s, p
	for p < len(s) && s[p] == '\\' {
		p++
	}
	if p == len(s) || !isQuote(s[p]) {
		return value{}, false
	}
	level, quote := p-open, s[p]
	p++
	end, closed := closing(s, p, quote, level)
	v := value{text: s[p:end], from: p, to: end, next: end, quoted: true}
	if closed {
		v.next = end + level + 1
	}
	if quote == '"' && strings.IndexByte(v.text, '\\') >= 0 {
		v.text = unquote(v.text, level)
	}
	if quote == '\'' && level == 0 {
		v.text = strings.ReplaceAll(v.text, "''", "'")
	}
	return v, true
}

// closing finds the end of the contents of a quoted value.
func closing(s string, p int, quote byte, level int) (end int, closed bool) {
	backslashes := 0
	for ; p < len(s); p++ {
		switch s[p] {
		case '\\':
			backslashes++
			continue
		case '\n':
			return p - backslashes*min(level, 1), false
		case quote:
			switch {
			case quote == '\'' && level == 0 && p+1 < len(s) && s[p+1] == '\'':
				p++
			case quote != '"' && level == 0 || level == 0 && backslashes%2 == 0:
				return p, true
			case backslashes == level && level > 0:
				return p - level, true
			case backslashes < level:
				return p - backslashes, false // the string around it ends
			}
		case '"':
			if level > 0 && backslashes < level {
				return p - backslashes, false
			}
		}
		backslashes = 0
	}
	return p, false
}

// unquote undoes the escapes of JSON, once for each string around.
func unquote(s string, level int) string {
	for n := 0; n <= level && n < 4; n++ {
		plain, err := strconv.Unquote(`"` + s + `"`)
		if err != nil {
			break
		}
		s = plain
	}
	return s
}

// wordEnd finds the end of an unquoted value at p on a line ending at end.
func (t *scanner) wordEnd(p, end int) int {
	s, i := t.s, p
	if strings.HasPrefix(s[p:end], "${") || strings.HasPrefix(s[p:end], "$(") || strings.HasPrefix(s[p:end], "{{") {
		if j := strings.IndexAny(s[p:min(end, p+200)], "})"); j > 0 {
			i = p + j
		}
	}
	if s[p] == '<' {
		if j := strings.IndexByte(s[p:min(end, p+200)], '>'); j > 0 {
			return p + j + 1
		}
	}
	for ; i < end; i++ {
		c := s[i]
		if c == ' ' || c == '\t' || isQuote(c) || c == '<' && i > p ||
			c == '\\' && i+1 < end && strings.IndexByte("nrt\"'\\", s[i+1]) >= 0 ||
			(c == ',' || c == ';' || c == '&') && endsAt(s[i+1:end]) {
			break
		}
	}
	return p + len(trimClosers(s[p:i]))
}

// endsAt reports whether a value ends at a comma or its like before rest: at
// the end of everything, before space, and before another key.
func endsAt(rest string) bool {
	if rest == "" || strings.IndexByte(" \t\"'`\\]})", rest[0]) >= 0 {
		return true
	}
	for i := 0; i < len(rest) && i < 40; i++ {
		if rest[i] == '=' || rest[i] == ':' {
			return i > 0
		}
		if !isKeyByte(rest[i]) && rest[i] != '"' && rest[i] != ' ' {
			return false
		}
	}
	return false
}

// trimClosers drops brackets at the end that nothing in v opened.
func trimClosers(v string) string {
	for v != "" {
		var open string
		switch v[len(v)-1] {
		case ')':
			open = "("
		case ']':
			open = "["
		case '}':
			open = "{"
		default:
			return v
		}
		if strings.Contains(v, open) {
			return v
		}
		v = v[:len(v)-1]
	}
	return v
}

// list redacts the quoted strings of a list at p, and the bytes of Go's
// notation.
func (t *scanner) list(p int, is noun) int {
	i := p + 1
	for i < len(t.s) {
		if c := t.s[i]; c == ' ' || c == ',' || c == '\n' || c == '\t' {
			i++
			continue
		}
		v, ok := t.quotedAt(i)
		if !ok {
			break
		}
		if v.to == v.from && v.next == v.to {
			break
		}
		if !is.keeps(v.text) {
			t.hide(v)
		}
		i = v.next
	}
	return i
}

// items redacts the items of a YAML list that begins on the line after p.
func (t *scanner) items(k keyPlace, is noun, p int) int {
	if !k.lineStart || is == secretNoun || is == authNoun || is == connNoun {
		return p
	}
	column := k.from - (strings.LastIndexByte(t.s[:k.from], '\n') + 1)
	for q := t.lineEnd(p); q < len(t.s); {
		end := t.lineEnd(q + 1)
		line := t.s[q+1 : end]
		indent := indentOf(line)
		if indent <= column || indent < 2 || line[indent-2] != '-' || strings.Contains(line, ": ") || strings.HasSuffix(line, ":") {
			return q
		}
		v, ok := t.valueAt(q+1+indent, lineValue)
		if ok && !v.block && !is.keeps(v.text) {
			t.hide(v)
		}
		q = end
	}
	return p
}

// toSemicolon takes in the spaces a password in a connection string may hold.
func (v *value) toSemicolon(s string) {
	more := strings.IndexAny(s[v.to:min(len(s), v.to+128)], ";\"'`")
	if more > 0 && s[v.to+more] == ';' && endsAt(s[v.to+more+1:]) {
		v.to += more
		v.text, v.next = s[v.from:v.to], v.to
	}
}

// hideBlock redacts the indented lines after a YAML block scalar's header.
func (t *scanner) hideBlock(k keyPlace, head value) int {
	s := t.s
	column := k.from - (strings.LastIndexByte(s[:k.from], '\n') + 1)
	start := -1
	p := head.to
	for p < len(s) {
		end := lineEnd(s, p+1)
		line := s[p+1 : end]
		if indent := indentOf(line); strings.TrimSpace(line) != "" {
			if indent <= column {
				break
			}
			if start < 0 {
				start = p + 1 + indent
			}
		}
		p = end
	}
	if start < 0 {
		return head.next
	}
	body := strings.TrimRight(s[start:p], " \t\n")
	var lines []string
	for line := range strings.SplitSeq(body, "\n") {
		lines = append(lines, line[min(len(line), indentOf(line)):])
	}
	text := strings.Join(lines, "\n")
	if isMark(text) {
		return start + len(body)
	}
	return t.replace(start, start+len(body), t.r.mark(text))
}

// indentOf is the column of a line's first byte of content, behind a sign of a
// diff and those of YAML's lists.
func indentOf(line string) int {
	i := 0
	if line != "" && (line[0] == '+' || line[0] == '-') {
		i++
	}
	for i < len(line) {
		switch {
		case line[i] == ' ' || line[i] == '\t':
			i++
		case line[i] == '-' && i+1 < len(line) && line[i+1] == ' ':
			i += 2
		default:
			return i
		}
	}
	return i
}
