package bench

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// question is one that an engineer asks, with our one call that answers it.
type question struct {
	text string
	tool string
	args args

	// What every answer to it must hold. "0.8|8e-01" is a fact that may be
	// written either way.
	facts []string
}

// args are the arguments of a call.
type args map[string]any

// with are the arguments and one more.
func (a args) with(name string, value any) args {
	out := maps.Clone(a)
	out[name] = value
	return out
}

// peer answers a question by other means.
type peer struct {
	name   string
	answer func(context.Context) (string, error)
}

func (p peer) contender() contender {
	return contender{p.name, func(ctx context.Context) (int, error) {
		text, err := p.answer(ctx)
		return len(text), err
	}}
}

// comparison is what one question took and cost.
type comparison struct {
	question
	text, whole, peer int      // bytes of our text, of our text and structured result, and of the peer's answer
	results           []result // ours over HTTP, ours over stdio, then the others; the last is what ours are held against
}

// bytes is our text against the peer's answer.
func (c comparison) bytes() float64 { return float64(c.text) / float64(c.peer) }

// time is our p50 over HTTP against that of the last contender.
func (c comparison) time() float64 {
	return float64(c.results[0].p50) / float64(c.results[len(c.results)-1].p50)
}

// compare answers a question by our call and by the peer, requires every fact
// of both answers, and then measures both side by side with the others.
func compare(ctx context.Context, srv *server, rounds int, q question, p peer, others ...contender) (comparison, error) {
	ours, err := srv.ask(ctx, q.tool, q.args)
	if err != nil {
		return comparison{}, fmt.Errorf("%s: %w", q.text, err)
	}
	theirs, err := p.answer(ctx)
	if err != nil {
		return comparison{}, fmt.Errorf("%s: %s: %w", q.text, p.name, err)
	}
	if lost := missing(ours.text, q.facts); len(lost) > 0 {
		return comparison{}, fmt.Errorf("%s: %s does not say %s:\n%s", q.text, q.tool, strings.Join(lost, ", "), beginning(ours.text))
	}
	if lost := missing(theirs, q.facts); len(lost) > 0 {
		return comparison{}, fmt.Errorf("%s: %s does not say %s, so the two cannot be compared:\n%s", q.text, p.name, strings.Join(lost, ", "), beginning(theirs))
	}
	contenders := []contender{over("ours over HTTP", srv.http, q.tool, q.args), over("ours over stdio", srv.stdio, q.tool, q.args), p.contender()}
	results, err := sideBySide(ctx, rounds, append(contenders, others...)...)
	if err != nil {
		return comparison{}, fmt.Errorf("%s: %w", q.text, err)
	}
	return comparison{q, len(ours.text), ours.whole(), len(theirs), results}, nil
}

// beginning is as much of an answer as an error can show.
func beginning(text string) string { return text[:min(len(text), 3000)] }

// missing are the facts that text does not hold.
func missing(text string, facts []string) (lost []string) {
	text = unescape.Replace(text)
	for _, fact := range facts {
		held := false
		for form := range strings.SplitSeq(fact, "|") {
			held = held || holds(text, form)
		}
		if !held {
			lost = append(lost, fmt.Sprintf("%q", fact))
		}
	}
	return lost
}

// unescape undoes what JSON does to text within it, so that words end where
// they do for a reader.
var unescape = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\"`, `"`, `\u003e`, ">", `\u003c`, "<")

// holds reports whether text has word, and not as a part of a longer word or
// number.
func holds(text, word string) bool {
	pattern := regexp.QuoteMeta(word)
	if wordly.MatchString(word[:1]) {
		pattern = `(?:^|[^\w.]|(?:^|\D)\.)` + pattern
	}
	if wordly.MatchString(word[len(word)-1:]) {
		pattern += `(?:$|[^\w.]|\.(?:\D|$))`
	}
	return regexp.MustCompile(pattern).MatchString(text)
}

var wordly = regexp.MustCompile(`\w`)
