package kubernetes

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
)

// eventPool is the grouped events around one object, of which findings quote
// some: what is quoted is not shown again.
type eventPool struct {
	tally eventTally
	told  map[eventKey]bool
}

func newEventPool(now time.Time) eventPool {
	return eventPool{tally: eventTally{now: now, groups: map[eventKey]*eventGroup{}}, told: map[eventKey]bool{}}
}

// about lists the groups that concern an object, such as "Pod/web-0", newest
// first and warnings before the rest.
func (p *eventPool) about(object string, reasons ...string) []*eventGroup {
	kind, name, _ := strings.Cut(object, "/")
	var out []*eventGroup
	for _, g := range p.tally.ranked() {
		if g.kind == kind && g.objects[name] && (len(reasons) == 0 || slices.Contains(reasons, g.reason)) {
			out = append(out, g)
		}
	}
	return out
}

// find is the newest group about an object with one of the reasons, whose
// message has part; nil when there is none.
func (p *eventPool) find(object, part string, reasons ...string) *eventGroup {
	for _, g := range p.about(object, reasons...) {
		if strings.Contains(g.latest, part) {
			return g
		}
	}
	return nil
}

// tell marks what is said of an object for reasons as told: a finding says the same.
func (p *eventPool) tell(object string, reasons ...string) {
	for _, g := range p.about(object, reasons...) {
		p.told[g.eventKey] = true
	}
}

// quote is a group in a line of evidence; it counts as told from then on.
func (p *eventPool) quote(g *eventGroup) string {
	p.told[g.eventKey] = true
	times := age(g.last, p.tally.now) + " ago"
	if g.count > 1 {
		times = strconv.FormatInt(g.count, 10) + " times, last " + times
	}
	return "event " + g.reason + ", " + times + ": " + abridge(g.latest, 300)
}

// warnings shows up to n warnings that no finding has told.
func (p *eventPool) warnings(n int) mcpkit.Table {
	out := mcpkit.Table{}
	for _, g := range p.tally.ranked() {
		if p.told[g.eventKey] || g.severity != corev1.EventTypeWarning || len(out.Rows) == n {
			continue
		}
		out.Columns = []string{"object", "reason", "count", "last_seen", "message"}
		out.Rows = append(out.Rows, []string{g.who(), g.reason, strconv.FormatInt(g.count, 10), age(g.last, p.tally.now), abridge(g.latest, 240)})
	}
	return out
}

// frequent shows the n groups that occurred most, cluster-wide with namespaces.
func (p *eventPool) frequent(n int) mcpkit.Table {
	groups := p.tally.ranked()
	slices.SortStableFunc(groups, func(a, b *eventGroup) int { return cmp.Compare(b.count, a.count) })
	out := mcpkit.Table{}
	for _, g := range groups[:min(n, len(groups))] {
		out.Columns = []string{"namespace", "object", "reason", "count", "last_seen", "message"}
		out.Rows = append(out.Rows, []string{g.namespace, g.who(), g.reason, strconv.FormatInt(g.count, 10), age(g.last, p.tally.now), abridge(g.latest, 200)})
	}
	return out
}

// partOf is the container an event is about: spec.containers{main}; empty where
// it is about the whole object.
func partOf(ev *corev1.Event) string {
	_, name, _ := strings.Cut(ev.InvolvedObject.FieldPath, "{")
	return strings.TrimSuffix(name, "}")
}
