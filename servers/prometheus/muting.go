package prometheus

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // intervals name time zones, and an image has none

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
)

// inhibitRule says which alerts keep which others quiet.
type inhibitRule struct {
	name           string
	source, target labels.Matchers
	equal          []string
}

// inhibition is an alert that keeps another one quiet, and by which rule.
type inhibition struct {
	rule string
	by   heldAlert
}

// inhibitions lists the alerts that inhibit one with labels l, one for each
// rule. Alerts that are silenced or inhibited themselves still inhibit.
func (r *routing) inhibitions(l model.LabelSet, held []heldAlert) []inhibition {
	var out []inhibition
	for _, rule := range r.inhibit {
		if !rule.target.Matches(l) {
			continue
		}
		both := rule.source.Matches(l) // then what is both source and target does not inhibit it, itself least of all
		by := slices.IndexFunc(held, func(a heldAlert) bool {
			return rule.source.Matches(a.labels) && !(both && rule.target.Matches(a.labels)) && rule.agrees(a.labels, l)
		})
		if by >= 0 {
			out = append(out, inhibition{rule.name, held[by]})
		}
	}
	return out
}

// agrees reports whether two alerts agree on the labels the rule compares; one
// that both lack counts as equal.
func (rule inhibitRule) agrees(x, y model.LabelSet) bool {
	return !slices.ContainsFunc(rule.equal, func(name string) bool { return x[model.LabelName(name)] != y[model.LabelName(name)] })
}

// foresight is how far ahead the end of a time interval is looked for.
const foresight = 8 * 24 * time.Hour

// quiet says which time intervals mute a route at a time; empty when none does,
// as far as they could be read.
func (r *routing) quiet(at *route, now time.Time) string {
	within := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return !slices.ContainsFunc(r.intervals[name], func(t timeinterval.TimeInterval) bool { return t.ContainsTime(now.UTC()) })
		})
	}
	known := func(name string) bool { _, is := r.intervals[name]; return is }
	if len(at.active) > 0 && len(within(at.active)) == 0 && slices.ContainsFunc(at.active, known) {
		return "outside active time interval " + strings.Join(at.active, ", ")
	}
	if in := within(at.mute); len(in) > 0 {
		return "mute time interval " + strings.Join(in, ", ")
	}
	return ""
}

// quietUntil is when the time intervals of a route stop to mute it.
func (r *routing) quietUntil(at *route, now time.Time) string {
	for t := now.Truncate(time.Minute).Add(time.Minute); t.Before(now.Add(foresight)); t = t.Add(time.Minute) {
		if r.quiet(at, t) == "" {
			return "until " + t.UTC().Format(time.RFC3339)
		}
	}
	return fmt.Sprintf("for longer than %s", model.Duration(foresight))
}
