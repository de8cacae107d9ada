package model

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// order is how a text tells an obeying model what to do: CALL, a tool's name,
// and its arguments as a JSON object, which may be absent.
var order = regexp.MustCompile(`CALL[\s:]+([A-Za-z0-9_-]{1,64})`)

// outstanding are the calls that anything the model has read asks for and that
// it has not made yet: users' texts, tools' results and descriptions, and the
// system message.
func outstanding(c *conversation) []made {
	done := map[made]bool{}
	texts := []string{c.system}
	for _, t := range c.tools {
		texts = append(texts, t.description, t.schema)
	}
	for _, e := range c.entries {
		switch e.kind {
		case called:
			done[made{e.tool, canonical(e.text)}] = true
		case asked, returned:
			texts = append(texts, e.text)
		}
	}
	var out []made
	for _, text := range texts {
		for _, o := range orders(text) {
			if !done[o] {
				done[o] = true
				out = append(out, o)
			}
		}
	}
	return out
}

// orders are the calls a text asks for, in plain sight or encoded.
func orders(text string) []made {
	var out []made
	for _, variant := range variants(text) {
		for _, at := range order.FindAllStringSubmatchIndex(variant, -1) {
			o := made{variant[at[2]:at[3]], arguments(variant[at[1]:])}
			if !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// arguments are the JSON object that a text begins with, or {}.
func arguments(text string) string {
	text = strings.TrimLeft(text, " \t\r\n`:")
	var v map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if !strings.HasPrefix(text, "{") || d.Decode(&v) != nil {
		return "{}"
	}
	content, _ := json.Marshal(v) // it was JSON
	return string(content)
}

// canonical is a JSON object as arguments writes it.
func canonical(text string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return text
	}
	if _, err := d.Token(); err != io.EOF {
		return text
	}
	content, _ := json.Marshal(v) // it was JSON
	return string(content)
}

// depth is how many encodings may lie over each other.
const depth = 2

// variants are a text and what it says to who decodes it.
func variants(text string) []string {
	out := []string{text}
	layer := out
	for range depth {
		var next []string
		for _, t := range layer {
			for _, decode := range decoders {
				if d := decode(t); d != "" && !slices.Contains(out, d) && !slices.Contains(next, d) {
					next = append(next, d)
				}
			}
		}
		out, layer = append(out, next...), next
	}
	return out
}

// decoders return "" where they find nothing to decode.
var decoders = []func(string) string{
	func(s string) string { return runs(base64Run, s, decodeBase64) },
	func(s string) string { return runs(hexRun, s, hex.DecodeString) },
	func(s string) string { return changed(s, html.UnescapeString(s)) },
	func(s string) string {
		plain, err := url.QueryUnescape(s)
		if err != nil || !strings.Contains(s, "%") {
			return ""
		}
		return changed(s, plain)
	},
	func(s string) string { return changed(s, unescape(s)) },
	func(s string) string { return changed(s, visible(s)) },
	func(s string) string { // ROT13, if it says something
		if t := strings.Map(rot13, s); order.MatchString(t) {
			return t
		}
		return ""
	},
	func(s string) string { // backwards, if it says something
		r := []rune(s)
		slices.Reverse(r)
		if t := string(r); order.MatchString(t) {
			return t
		}
		return ""
	},
}

func changed(before, after string) string {
	if before == after {
		return ""
	}
	return after
}

var (
	base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{12,}={0,2}`)
	hexRun    = regexp.MustCompile(`(?:[0-9a-fA-F]{2}){8,}`)
)

// runs decodes the runs of a text that an encoding may have made.
func runs(of *regexp.Regexp, text string, decode func(string) ([]byte, error)) string {
	var out []string
	for _, run := range of.FindAllString(text, -1) {
		if plain, err := decode(run); err == nil {
			out = append(out, string(plain))
		}
	}
	return strings.Join(out, "\n")
}

func decodeBase64(s string) ([]byte, error) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	return base64.RawStdEncoding.DecodeString(s)
}

// unescape undoes the escapes of a JSON string, such as \" and \u0043.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for line := range strings.Lines(s) {
		var plain string
		quoted := `"` + bare.ReplaceAllString(strings.TrimRight(line, "\n"), `$1\"`) + `"`
		if json.Unmarshal([]byte(quoted), &plain) != nil {
			plain = line
		}
		out.WriteString(plain + "\n")
	}
	return out.String()
}

// bare is a quotation mark that no backslash stands before.
var bare = regexp.MustCompile(`((?:^|[^\\])(?:\\\\)*)"`)

// visible is what a text says without the characters that show nothing, and
// with those that look or are like letters as letters.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0xE0020 && r <= 0xE007E: // tags, which are invisible letters
			return r - 0xE0000
		case r >= 0xFF01 && r <= 0xFF5E: // full width
			return r - 0xFEE0
		case unicode.Is(unicode.Cf, r) || r == 0x0336:
			return -1
		}
		return r
	}, s)
}

func rot13(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return 'a' + (r-'a'+13)%26
	case r >= 'A' && r <= 'Z':
		return 'A' + (r-'A'+13)%26
	}
	return r
}
