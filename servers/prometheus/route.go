package prometheus

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	alertconfig "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// route is one node of the routing tree, with what it inherits.
type route struct {
	path     string // root, 1, 1.2: counted from 1 among its siblings
	parent   *route
	matchers labels.Matchers
	goesOn   bool // continue: siblings after it are tried too
	routes   []*route

	receiver                                 string
	groupBy                                  []string // "..." stands for every label
	groupWait, groupInterval, repeatInterval time.Duration
	mute, active                             []string // names of time intervals; not inherited
}

// newRoute resolves a route and all below it. What the root leaves out takes
// Alertmanager's defaults.
func newRoute(c *routeConfig, parent *route, path string) (*route, error) {
	ms, err := allMatchers(c.Match, c.MatchRE, c.Matchers)
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", path, err)
	}
	from := route{groupWait: 30 * time.Second, groupInterval: 5 * time.Minute, repeatInterval: 4 * time.Hour}
	if parent != nil {
		from = *parent
	}
	r := &route{
		path: path, parent: parent, matchers: ms, goesOn: c.Continue,
		receiver: cmp.Or(c.Receiver, from.receiver), groupBy: from.groupBy,
		groupWait: from.groupWait, groupInterval: from.groupInterval, repeatInterval: from.repeatInterval,
		mute: c.MuteTimeIntervals, active: c.ActiveTimeIntervals,
	}
	if c.GroupBy != nil {
		r.groupBy = c.GroupBy
	}
	for to, set := range map[*time.Duration]*model.Duration{&r.groupWait: c.GroupWait, &r.groupInterval: c.GroupInterval, &r.repeatInterval: c.RepeatInterval} {
		if set != nil {
			*to = time.Duration(*set)
		}
	}
	for i, below := range c.Routes {
		if below == nil {
			continue
		}
		kid, err := newRoute(below, r, strings.TrimPrefix(fmt.Sprintf("%s.%d", path, i+1), "root."))
		if err != nil {
			return nil, err
		}
		r.routes = append(r.routes, kid)
	}
	return r, nil
}

// allMatchers joins the three ways a configuration writes matchers.
func allMatchers(equal map[string]string, regex alertconfig.MatchRegexps, ms alertconfig.Matchers) (labels.Matchers, error) {
	out := slices.Clone(labels.Matchers(ms))
	for name, value := range equal {
		m, err := labels.NewMatcher(labels.MatchEqual, name, value)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	for name, re := range regex {
		m, err := labels.NewMatcher(labels.MatchRegexp, name, re.Original)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(x, y *labels.Matcher) int { return cmp.Compare(x.Name, y.Name) })
	return out, nil
}

// step is one route that was tried for an alert.
type step struct {
	route   *route
	matches bool
	outcome string
}

// walk tries r for an alert: depth first, from left to right, and on to the next
// sibling after a match only where the match says continue. It returns the
// routes that notify and every route that was tried.
func (r *route) walk(l model.LabelSet) (ends []*route, tried []step) {
	if at := slices.IndexFunc(r.matchers, func(m *labels.Matcher) bool { return !m.Matches(string(l[model.LabelName(m.Name)])) }); at >= 0 {
		return nil, []step{{r, false, "no: " + labelIs(l, r.matchers[at].Name)}}
	}
	tried = []step{{route: r, matches: true}}
	after := 0
	for i, kid := range r.routes {
		below, steps := kid.walk(l)
		ends, tried = append(ends, below...), append(tried, steps...)
		if below != nil && !kid.goesOn {
			after = len(r.routes) - i - 1
			break
		}
	}
	outcome := "matches"
	if ends == nil {
		ends, outcome = []*route{r}, "matches and notifies "+r.receiver
	}
	if r.goesOn {
		outcome += "; continue: siblings after it are tried too"
	}
	if after > 0 {
		outcome += fmt.Sprintf("; not tried: %s after the match", counted(after, "route"))
	}
	tried[0].outcome = outcome
	return ends, tried
}

func labelIs(l model.LabelSet, name string) string {
	if value, ok := l[model.LabelName(name)]; ok {
		return fmt.Sprintf("%s is %q", name, value)
	}
	return "it has no label " + name
}

// dead lists the routes at and below r that no alert can reach, and why.
func (r *route) dead(above labels.Matchers) []string {
	all := slices.Concat(above, r.matchers)
	if a, b := contradiction(all); a != nil {
		return []string{fmt.Sprintf("route %s {%s} can never match: %s contradicts %s", r.path, matchersText(r.matchers), a, b)}
	}
	var out []string
	for i, kid := range r.routes {
		if by := slices.IndexFunc(r.routes[:i], func(s *route) bool { return !s.goesOn && implies(slices.Concat(all, kid.matchers), s.matchers) }); by >= 0 {
			out = append(out, fmt.Sprintf("route %s {%s} is never reached: route %s {%s} before it takes all it would match", kid.path, matchersText(kid.matchers), r.routes[by].path, matchersText(r.routes[by].matchers)))
			continue
		}
		out = append(out, kid.dead(all)...)
	}
	return out
}

// contradiction returns two matchers that no one value satisfies.
func contradiction(ms labels.Matchers) (a, b *labels.Matcher) {
	for _, a := range ms {
		if a.Type != labels.MatchEqual {
			continue
		}
		for _, b := range ms {
			if a.Name == b.Name && !b.Matches(a.Value) {
				return b, a
			}
		}
	}
	return nil, nil
}

// implies reports whether what all of ms match, all of wanted match too. It may
// miss that, but is never wrong about it.
func implies(ms, wanted labels.Matchers) bool {
	return !slices.ContainsFunc(wanted, func(w *labels.Matcher) bool {
		return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool {
			same := m.Name == w.Name && m.Type == w.Type && m.Value == w.Value
			return same || m.Name == w.Name && m.Type == labels.MatchEqual && w.Matches(m.Value)
		})
	})
}
