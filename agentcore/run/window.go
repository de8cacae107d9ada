package run

import (
	"strings"
	"unicode/utf8"

	"github.com/toolcrib/toolcrib/agentcore/model"
)

// defaultWindow is how many tokens a model is taken to read at once of which we
// know nothing.
const defaultWindow = 128_000

// windows are how many tokens models read at once, by the beginning of their
// names; the longest that fits counts.
var windows = []struct {
	prefix string
	tokens int
}{
	{"claude", 200_000},
	{"gpt-3.5", 16_000},
	{"gpt-4", 8_000},
	{"gpt-4-turbo", 128_000},
	{"gpt-4o", 128_000},
	{"gpt-4.1", 1_000_000},
	{"gpt-5", 272_000},
	{"o1", 200_000},
	{"o1-mini", 128_000},
	{"o3", 200_000},
	{"o4", 200_000},
	{"gemini", 1_000_000},
	{"gemini-1.5-pro", 2_000_000},
	{"llama2", 4_000},
	{"llama3", 8_000},
	{"llama3.1", 128_000},
	{"llama3.2", 128_000},
	{"llama3.3", 128_000},
	{"mistral", 32_000},
	{"mixtral", 32_000},
	{"qwen2", 32_000},
	{"qwen3", 40_000},
	{"gemma", 8_000},
	{"gemma3", 128_000},
	{"phi", 4_000},
	{"phi4", 16_000},
}

// window is how many tokens a model reads at once.
func window(name string) int {
	name = strings.ToLower(name[strings.LastIndexByte(name, '/')+1:]) // servers of open models put an organisation before
	best, tokens := -1, defaultWindow
	for _, w := range windows {
		if strings.HasPrefix(name, w.prefix) && len(w.prefix) > best {
			best, tokens = len(w.prefix), w.tokens
		}
	}
	return tokens
}

// estimate is about how many tokens a text takes: one for four letters of
// Latin script, one for each of others.
func estimate(text string) int {
	latin, wide := 0, 0
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			latin++
			i++
			continue
		}
		_, n := utf8.DecodeRuneInString(text[i:])
		wide++
		i += n
	}
	return (latin+3)/4 + wide
}

// messageTokens is what a message takes beside its text.
const messageTokens = 8

// size is about how many tokens a request takes.
func size(r model.Request) int {
	n := estimate(r.System)
	for _, m := range r.Messages {
		n += messageTokens + estimate(m.Text) + estimate(m.Opaque)
		if m.Opaque == "" {
			for _, c := range m.Calls {
				n += messageTokens + estimate(c.Name) + estimate(c.Arguments)
			}
		}
		for _, c := range m.Results {
			n += messageTokens + estimate(c.Text)
		}
	}
	for _, t := range r.Tools {
		n += messageTokens + estimate(t.Name) + estimate(t.Description) + estimate(string(t.Schema))
	}
	return n
}
