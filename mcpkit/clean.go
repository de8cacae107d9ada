package mcpkit

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean strips from foreign text what a person reading it would not see and a
// model or a terminal might obey: ANSI escapes, control characters other than
// newline and tab, invisible and direction-changing Unicode, invalid UTF-8.
// Line ends of every kind become newlines.
func Clean(s string) string {
	i := firstUnclean(s)
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:i])
	for i < len(s) {
		c := s[i]
		if c >= ' ' && c < 0x7f || c == '\n' || c == '\t' {
			b.WriteByte(c)
			i++
			continue
		}
		if n := escapeLen(s[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
		case r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			b.WriteByte('\n')
		case r == utf8.RuneError && n == 1 || invisible(r):
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// oneLine is s on one line of at most max bytes, its spaces single: what stands in
// a list can then pass for no other line or column of it.
func oneLine(s string, max int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= max {
		return s
	}
	const cut = "…"
	return strings.ToValidUTF8(s[:max-len(cut)], "") + cut
}

// inSight writes out what Clean would strip, as Go does: \x1b, \u200b. Line ends
// of every kind become newlines.
func inSight(s string) string {
	if firstUnclean(s) == len(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
		case r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			b.WriteByte('\n')
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case invisible(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func firstUnclean(s string) int {
	for i := range len(s) {
		if c := s[i]; (c < ' ' && c != '\n' && c != '\t') || c >= 0x7f {
			return i
		}
	}
	return len(s)
}

// invisible reports whether r shows nothing, or only changes how its
// neighbours show.
func invisible(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.Is(unicode.Cf, r):
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	}
	return unicode.IsControl(r) ||
		r >= 0xE0000 && r <= 0xE0FFF ||
		r >= 0xFFF0 && r <= 0xFFFB ||
		unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point)
}

// escapeLen is the length of the ECMA-48 escape sequence s begins with, 0 when
// it begins with none.
func escapeLen(s string) int {
	kind, n := byte(0), 0
	switch {
	case s[0] == 0x1b && len(s) > 1:
		kind, n = s[1], 2
	case len(s) > 1 && s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f: // C1 controls, encoded
		kind, n = s[1]-0x40, 2
	default:
		return 0
	}
	switch {
	case kind == '[':
		return n + paramsLen(s[n:])
	case kind == ']' || kind == 'P' || kind == 'X' || kind == '^' || kind == '_':
		return n + stringLen(s[n:])
	case s[0] == 0xc2:
		return 0 // a control without arguments
	case kind >= ' ' && kind <= '/': // ESC ( B and its like
		for n < len(s) && s[n] >= ' ' && s[n] <= '/' {
			n++
		}
		if n < len(s) && s[n] >= '0' && s[n] <= '~' {
			n++
		}
		return n
	case kind >= '0' && kind <= '~':
		return n
	}
	return 1
}

// paramsLen is the length of a control sequence's parameters and final byte.
func paramsLen(s string) int {
	n := 0
	for n < len(s) && s[n] >= ' ' && s[n] <= '?' {
		n++
	}
	if n < len(s) && s[n] >= '@' && s[n] <= '~' {
		n++
	}
	return n
}

// stringLen is the length of a control string with its terminator. One that is
// not terminated on its line hides nothing: the text after it is kept.
func stringLen(s string) int {
	for n := 0; n < len(s) && n < 4096 && s[n] != '\n'; n++ {
		switch {
		case s[n] == 0x07:
			return n + 1
		case s[n] == 0x1b && n+1 < len(s) && s[n+1] == '\\',
			s[n] == 0xc2 && n+1 < len(s) && s[n+1] == 0x9c:
			return n + 2
		}
	}
	return 0
}
