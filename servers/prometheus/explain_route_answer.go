package prometheus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// answer writes a fate down, the verdict first.
func (f *fate) answer(v *view) ExplainRouteOut {
	out := ExplainRouteOut{Verdict: f.verdict(v), Alert: f.about(), MutedBy: f.mutedBy(), Notes: f.differs}
	out.Receivers.Columns = []string{"receiver", "route", "sends", "group_by", "group_wait", "group_interval", "repeat_interval", "next"}
	for _, r := range f.ends {
		if f.unroutable {
			out.Receivers.Rows = append(out.Receivers.Rows, []string{r.receiver, "?", v.integrations(r.receiver), "?", "?", "?", "?", "?"})
			continue
		}
		out.Receivers.Rows = append(out.Receivers.Rows, []string{
			r.receiver, r.path, v.integrations(r.receiver), f.group(r),
			model.Duration(r.groupWait).String(), model.Duration(r.groupInterval).String(), model.Duration(r.repeatInterval).String(),
			f.next(r, v),
		})
	}
	out.addPath(f.tried)
	return out
}

func (out *ExplainRouteOut) addPath(tried []step) {
	misses, left := 0, 0
	for _, s := range tried {
		if !s.matches {
			if misses++; misses > shownMisses {
				left++
				continue
			}
		}
		out.Path.Columns = []string{"route", "matchers", "outcome"}
		out.Path.Rows = append(out.Path.Rows, []string{s.route.path, "{" + matchersText(s.route.matchers) + "}", s.outcome})
	}
	if left > 0 {
		out.leave(fmt.Sprintf("%d more routes that do not match", left))
	}
}

// verdict is the fate in one line; with a view it says for how long, too.
func (f *fate) verdict(v *view) string {
	var told, quiet []string
	for _, r := range f.ends {
		if by := f.quiet[r]; by != "" {
			if v != nil {
				by += " " + v.quietUntil(r, v.now)
			}
			quiet = append(quiet, fmt.Sprintf("%s (%s)", r.receiver, by))
		} else {
			told = append(told, r.receiver)
		}
	}
	if v != nil {
		for i, name := range told {
			if kinds, known := v.receivers[name]; known && len(kinds) == 0 {
				told[i] = name + " (which has no integration, so it sends nothing)"
			}
		}
	}
	to := strings.Join(told, ", ")
	switch {
	case len(f.inhibited) > 0:
		return "notifies nobody: inhibited by " + f.inhibited[0].by.name() + f.otherwise()
	case len(told) == 0:
		return "notifies nobody: muted for " + strings.Join(quiet, ", ")
	case len(f.silenced) > 0:
		return "notifies nobody: silenced by " + f.silenced[0].id + f.otherwise()
	case len(quiet) > 0:
		return "notifies: " + to + "; muted for " + strings.Join(quiet, ", ")
	}
	return "notifies: " + to
}

// otherwise names the receivers an alert would reach if nothing suppressed it.
func (f *fate) otherwise() string {
	var names []string
	for _, r := range f.ends {
		if f.quiet[r] == "" {
			names = append(names, r.receiver)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; otherwise " + strings.Join(names, ", ")
}

func (f *fate) about() string {
	if !f.fires {
		return f.alert.String() + " does not fire; this is what would become of it"
	}
	return f.alert.String() + " fires since " + f.alert.starts.UTC().Format(time.RFC3339)
}

// mutedBy says what suppresses the alert for all its receivers.
func (f *fate) mutedBy() []string {
	var out []string
	for _, i := range f.inhibited {
		out = append(out, fmt.Sprintf("inhibited by %s through inhibit rule %s", i.by, i.rule))
	}
	for _, s := range f.silenced {
		out = append(out, fmt.Sprintf("silence %s {%s} until %s, by %s: %s", s.id, matchersText(s.matchers), s.ends.UTC().Format(time.RFC3339), s.by, s.comment))
	}
	return out
}

// integrations says how a receiver sends; a name alone where it is not known.
func (r *routing) integrations(receiver string) string {
	kinds, known := r.receivers[receiver]
	switch {
	case !known:
		return "?"
	case len(kinds) == 0:
		return "nothing"
	}
	return strings.Join(kinds, ", ")
}

// group writes the group the alert falls into at a route.
func (f *fate) group(r *route) string {
	if slices.Contains(r.groupBy, "...") {
		return "every label"
	}
	if len(r.groupBy) == 0 {
		return "all alerts of the route"
	}
	parts := make([]string, len(r.groupBy))
	for i, name := range r.groupBy {
		parts[i] = fmt.Sprintf("%s=%q", name, f.alert.labels[model.LabelName(name)])
	}
	return strings.Join(parts, ", ")
}

// next says when a route sends about the alert: Alertmanager does not tell when
// it last did, so of what was sent already only the rhythm is known.
func (f *fate) next(r *route, v *view) string {
	if until := f.heldUntil(r, v); until != "" {
		return until
	}
	companions := slices.ContainsFunc(v.held, func(a heldAlert) bool {
		return a.fingerprint != f.alert.fingerprint && slices.Contains(a.receivers, r.receiver) && sameGroup(a, f.alert, r)
	})
	first := f.alert.starts.Add(r.groupWait)
	switch {
	case !f.fires && companions:
		return fmt.Sprintf("by %s, with its group", v.now.Add(r.groupInterval).UTC().Format(time.RFC3339))
	case !f.fires:
		return fmt.Sprintf("at %s if it fired now", v.now.Add(r.groupWait).UTC().Format(time.RFC3339))
	case first.After(v.now):
		return "at " + first.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("due since %s; again within %s of a change in its group, else after %s", first.UTC().Format(time.RFC3339), model.Duration(r.groupInterval), model.Duration(r.repeatInterval))
}

// heldUntil says what a notification waits for; empty when for nothing.
func (f *fate) heldUntil(r *route, v *view) string {
	switch {
	case len(f.inhibited) > 0:
		return "not while " + f.inhibited[0].by.name() + " fires"
	case f.quiet[r] != "":
		return "not " + v.quietUntil(r, v.now)
	case len(f.silenced) > 0:
		last := slices.MaxFunc(f.silenced, func(x, y heldSilence) int { return x.ends.Compare(y.ends) })
		return "not until " + last.ends.UTC().Format(time.RFC3339)
	}
	return ""
}

// sameGroup reports whether a route puts two alerts into one notification.
func sameGroup(x, y heldAlert, r *route) bool {
	if slices.Contains(r.groupBy, "...") {
		return x.labels.Equal(y.labels)
	}
	return inhibitRule{equal: r.groupBy}.agrees(x.labels, y.labels)
}
