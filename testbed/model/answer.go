package model

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// answer is what a rule makes of a request, whatever wire it goes out on.
type answer struct {
	rule  string
	think string
	text  string
	calls []made
	stop  string // stopEnd, stopTools, stopLength or stopRefusal
	fail  *Fail
	chunk Chunk
	usage *Tokens
	id    string // hash of the request: the same request gets the same ids
}

// made is a call in an answer, its arguments as the model wrote them.
type made struct{ tool, arguments string }

// Why an answer ends.
const (
	stopEnd     = "end"
	stopTools   = "tools"
	stopLength  = "max_tokens"
	stopRefusal = "refusal"
)

// script is a scenario being played.
type script struct {
	*Scenario
	mu     sync.Mutex
	played []int // how often, by rule
}

func play(s *Scenario) *script { return &script{Scenario: s, played: make([]int, len(s.Rules))} }

// answer plays the first rule that fits. An error says that the scenario lacks one.
func (s *script) answer(c *conversation, request int) (*answer, error) {
	for i := range s.Rules {
		r := &s.Rules[i]
		found, ok := r.When.fits(c, request)
		if !ok {
			continue
		}
		var orders []made
		if r.Obey {
			if orders = outstanding(c); len(orders) == 0 {
				continue
			}
		}
		if !s.take(i) {
			continue
		}
		return s.perform(r, found, orders, c)
	}
	return nil, fmt.Errorf("the scenario %s has no rule for this request: the user's last text begins %.60q, and after it %d calls were made, the last result of which begins %.60q", s.Name, c.user(), len(c.said(called)), lastResult(c))
}

// take counts a rule's playing, unless it has been played often enough.
func (s *script) take(rule int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most := s.Rules[rule].Times; most > 0 && s.played[rule] >= most {
		return false
	}
	s.played[rule]++
	return true
}

func lastResult(c *conversation) string {
	if results := c.said(returned); len(results) > 0 {
		return results[len(results)-1].text
	}
	return ""
}

func (s *script) perform(r *Rule, found captures, orders []made, c *conversation) (*answer, error) {
	a := &answer{rule: r.Name, text: found.quote(r.Say), think: found.quote(r.Think), calls: orders, stop: r.Stop, chunk: s.Chunk, usage: r.Usage}
	a.text += filler(r.Fill)
	for _, call := range r.Call {
		arguments, err := found.arguments(call)
		if err != nil {
			return nil, err
		}
		a.calls = append(a.calls, made{call.Tool, arguments})
	}
	if r.Chunk != nil {
		a.chunk = *r.Chunk
	}
	if r.Fail != nil {
		fail := *r.Fail
		fail.Message = found.quote(fail.Message)
		a.fail = &fail
	}
	a.finish(c)
	return a, nil
}

// finish settles why the answer ends, and holds it to what was asked for.
func (a *answer) finish(c *conversation) {
	if !c.thinking {
		a.think = ""
	}
	if a.stop == "" {
		a.stop = stopEnd
		if len(a.calls) > 0 {
			a.stop = stopTools
		}
	}
	if most := c.maxTokens * bytesPerToken; c.maxTokens > 0 && len(a.text) > most {
		for most > 0 && !utf8.RuneStart(a.text[most]) {
			most--
		}
		a.text, a.calls, a.stop = a.text[:most], nil, stopLength
	}
}

// output is how many tokens the answer has.
func (a *answer) output() int {
	n := tokens(len(a.text)) + tokens(len(a.think))
	for _, call := range a.calls {
		n += tokens(len(call.tool)+len(call.arguments)) + 8 // what holds them together
	}
	return max(n, 1)
}

const fillerLine = "The quick brown fox jumps over the lazy dog, and nothing else is to be said about it.\n"

// filler is text of a length.
func filler(length int) string {
	return strings.Repeat(fillerLine, length/len(fillerLine)+1)[:length]
}

// pieces cuts a text as a model streams it, between characters.
func (ch Chunk) pieces(text string) []string {
	size := ch.Bytes
	if size <= 0 {
		size = 24
	}
	var out []string
	for len(text) > 0 {
		end := min(size, len(text))
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end++
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	return out
}
