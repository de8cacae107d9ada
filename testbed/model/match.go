package model

import (
	"regexp"
	"slices"
	"strconv"
)

// fits reports whether a request is what a rule waits for, and what was
// captured on the way.
func (w *When) fits(c *conversation, request int) (captures, bool) {
	calls := c.said(called)
	found := captures{"user": c.user(), "calls": strconv.Itoa(len(calls)), "request": strconv.Itoa(request)}
	if results := c.said(returned); len(results) > 0 {
		found["last"] = results[len(results)-1].text
	}
	made := func(tool string) bool {
		return slices.ContainsFunc(calls, func(e entry) bool { return e.tool == tool })
	}
	ok := found.match(w.User, c.user) && found.match(w.Read, c.read) &&
		found.match(w.System, func() string { return c.system }) && found.match(w.Model, func() string { return c.model }) &&
		(w.Calls == nil || w.Calls.fits(len(calls))) &&
		all(w.Called, made) && none(w.NotCalled, made) && all(w.Offered, c.offers) && none(w.NotOffered, c.offers) &&
		(len(w.Requests) == 0 || slices.Contains(w.Requests, request)) && (w.Every == 0 || request%w.Every == 0)
	for i := 0; ok && i < len(w.Results); i++ {
		ok = found.result(&w.Results[i], c)
	}
	return found, ok
}

func all(tools []string, holds func(string) bool) bool {
	return !slices.ContainsFunc(tools, func(t string) bool { return !holds(t) })
}

func none(tools []string, holds func(string) bool) bool { return !slices.ContainsFunc(tools, holds) }

// match keeps the groups of a pattern that matches.
func (c captures) match(p *Pattern, text func() string) bool {
	if p == nil {
		return true
	}
	re := p.Regexp
	if p.source != "" {
		literal := captures{}
		for name, value := range c {
			literal[name] = regexp.QuoteMeta(value)
		}
		var err error
		if re, err = regexp.Compile(literal.quote(p.source)); err != nil { // it compiled with another word there
			return false
		}
	}
	m := re.FindStringSubmatch(text())
	for i, name := range re.SubexpNames() {
		if m != nil && name != "" {
			c[name] = m[i]
		}
	}
	return m != nil
}

// result looks for a result that fits, the newest first.
func (c captures) result(want *Result, from *conversation) bool {
	results := from.said(returned)
	for _, e := range slices.Backward(results) {
		if (want.Tool == "" || want.Tool == e.tool) && (want.Error == nil || *want.Error == e.failed) &&
			c.match(want.Matches, func() string { return e.text }) {
			return true
		}
	}
	return false
}
