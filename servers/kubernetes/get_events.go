package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

var getEvents = mcpkit.Tool{
	Name:        "k8s_get_events",
	Title:       "Read events, grouped",
	Description: "Events of one object, a namespace or the cluster, grouped by reason with counts, warnings first. Why something is broken: k8s_diagnose.",
	Narrow:      "name an object or a namespace, or set since",
	Rules:       readable,
}

type GetEventsIn struct {
	ResourceType string      `json:"resource_type,omitempty" jsonschema:"with resource_name: of this object alone"`
	ResourceName string      `json:"resource_name,omitempty"`
	Namespace    string      `json:"namespace,omitempty" jsonschema:"all if absent and no object is named"`
	Since        mcpkit.When `json:"since,omitzero" jsonschema:"15m, or RFC 3339"`
	Limit        int         `json:"limit,omitempty" jsonschema:"most groups; 30 if absent"`
}

func (GetEventsIn) Constrain(p mcpkit.Properties) {
	p["resource_name"].Description = "its name"
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type GetEventsOut struct {
	Found string `json:"found" jsonschema:"how many events there are, and what is worth knowing about them"`
	mcpkit.Left
	mcpkit.Table
}

// eventGroups is how many groups are held while pages go by; the least telling
// are dropped beyond twice as many.
const eventGroups = 2000

func (b *Backend) getEvents(ctx context.Context, in GetEventsIn) (GetEventsOut, error) {
	if err := checkNames(in.Namespace); err != nil {
		return GetEventsOut{}, err
	}
	e := &eventTally{in: in, now: b.now(), groups: map[eventKey]*eventGroup{}}
	q, err := b.eventQuery(ctx, in)
	if err != nil {
		return GetEventsOut{}, err
	}
	if err := b.eachEvent(ctx, q.namespace, q.selector, e.add); err != nil {
		return GetEventsOut{}, err
	}
	if e.total == 0 && q.within != nil {
		if _, _, err := b.get(ctx, *q.within); isKind(err, mcpkit.NotFound) {
			return GetEventsOut{}, err
		}
	}
	return e.answer(q), nil
}

// eventQuery is what to ask the API server for.
type eventQuery struct {
	namespace string
	selector  string
	within    *Ref // the object or namespace named, without which there can be no events
	about     string
}

func (b *Backend) eventQuery(ctx context.Context, in GetEventsIn) (eventQuery, error) {
	if in.ResourceType == "" && in.ResourceName == "" {
		q := eventQuery{namespace: in.Namespace, about: named("events", in.Namespace, "")}
		if in.Namespace != "" {
			q.within = &Ref{ResourceType: "namespaces", ResourceName: in.Namespace}
		}
		mcpkit.SetTarget(ctx, q.about)
		return q, nil
	}
	if in.ResourceType == "" || in.ResourceName == "" {
		return eventQuery{}, mcpkit.Errorf(mcpkit.Invalid, "resource_type and resource_name name one object together; give both, or neither for all events")
	}
	t, err := b.resolve(ctx, in.ResourceType)
	if err != nil {
		return eventQuery{}, err
	}
	c, err := b.open()
	if err != nil {
		return eventQuery{}, err
	}
	ns := c.scope(t, in.Namespace)
	q := eventQuery{
		namespace: ns, // events of cluster-wide objects lie in any namespace
		selector:  fields.Set{"involvedObject.kind": t.Kind, "involvedObject.name": in.ResourceName}.String(),
		within:    &Ref{ResourceType: in.ResourceType, ResourceName: in.ResourceName, Namespace: in.Namespace},
		about:     "events of " + named(t.String(), ns, in.ResourceName),
	}
	mcpkit.SetTarget(ctx, q.about)
	return q, nil
}

// eachEvent gives do every event of a selection, page by page.
func (b *Backend) eachEvent(ctx context.Context, namespace, fieldSelector string, do func(*corev1.Event)) error {
	c, err := b.open()
	if err != nil {
		return err
	}
	o := metav1.ListOptions{FieldSelector: fieldSelector}
	return translate(each(ctx, c.typed.CoreV1().Events(namespace).List, o, do), "list "+named("events", namespace, ""))
}

// eventKey is what makes events one group: the same was said of objects of the
// same kind and the same part of it, numbers, ids and the objects' own names apart.
type eventKey struct{ kind, part, namespace, severity, reason, message string }

// eventGroup is how often it was said, of whom, and when.
type eventGroup struct {
	eventKey
	objects     map[string]bool
	count       int64
	first, last time.Time
	latest      string // message
}

// objectNames is how many names of objects a group keeps.
const objectNames = 200

// eventTally groups events while pages go by.
type eventTally struct {
	in      GetEventsIn
	now     time.Time
	groups  map[eventKey]*eventGroup
	total   int64 // occurrences
	older   int   // events not since the time asked for
	dropped int   // groups
}

func (e *eventTally) add(ev *corev1.Event) {
	first, last, count := occurrences(ev)
	if !e.in.Since.IsZero() && last.Before(e.in.Since.Time(e.now)) {
		e.older++
		return
	}
	o := ev.InvolvedObject
	k := eventKey{o.Kind, partOf(ev), o.Namespace, ev.Type, ev.Reason, gist(ev.Message, o.Name)}
	g := e.groups[k]
	if g == nil {
		g = &eventGroup{eventKey: k, objects: map[string]bool{}, first: first}
		e.groups[k] = g
	}
	if len(g.objects) < objectNames {
		g.objects[o.Name] = true
	}
	g.count += count
	e.total += count
	if first.Before(g.first) {
		g.first = first
	}
	if !last.Before(g.last) {
		g.last, g.latest = last, podMention.ReplaceAllString(strings.TrimSpace(ev.Message), "")
	}
	if len(e.groups) > 2*eventGroups {
		e.drop()
	}
}

// podMention is how the kubelet ends messages about a container: the object
// column says the same.
var podMention = regexp.MustCompile(` in pod \S+_\S+\([0-9a-f-]{36}\)$`)

// generated is what the cluster puts after a name to make the names of what
// belongs to it, or after that of its template.
var generated = regexp.MustCompile(`^(-[bcdfghjklmnpqrstvwxz2456789]{5,10}){0,2}`)

// gist is a message without what differs between events that say the same:
// the object's name and names made from it, numbers and ids.
func gist(message, name string) string {
	message = strings.TrimPrefix(message, "(combined from similar events): ")
	var b strings.Builder
	for head, rest, found := strings.Cut(message, name); found && name != ""; head, rest, found = strings.Cut(message, name) {
		b.WriteString(head + "*")
		message = rest[len(generated.FindString(rest)):]
	}
	b.WriteString(message)
	return foldable(b.String()).fixed
}

// drop forgets the least telling groups.
func (e *eventTally) drop() {
	for _, g := range e.ranked()[eventGroups:] {
		delete(e.groups, g.eventKey)
		e.dropped++
	}
}

// occurrences is when an event first and last occurred and how often, in
// whichever of the three ways its reporter wrote it.
func occurrences(ev *corev1.Event) (first, last time.Time, count int64) {
	first, last, count = ev.FirstTimestamp.Time, ev.LastTimestamp.Time, int64(ev.Count)
	if first.IsZero() {
		first = ev.EventTime.Time
	}
	if first.IsZero() {
		first = ev.CreationTimestamp.Time
	}
	if s := ev.Series; s != nil {
		count = max(count, int64(s.Count))
		if s.LastObservedTime.After(last) {
			last = s.LastObservedTime.Time
		}
	}
	if last.Before(first) {
		last = first
	}
	return first, last, max(count, 1)
}

// ranked lists the groups, warnings first, then the latest.
func (e *eventTally) ranked() []*eventGroup {
	rank := func(g *eventGroup) int {
		if g.severity == corev1.EventTypeNormal {
			return 1
		}
		return 0
	}
	var all []*eventGroup
	for _, g := range e.groups {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *eventGroup) int {
		return cmp.Or(rank(a)-rank(b), b.last.Compare(a.last), cmp.Compare(b.count, a.count),
			cmp.Compare(a.reason, b.reason), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.message, b.message))
	})
	return all
}

func (e *eventTally) answer(q eventQuery) GetEventsOut {
	all := e.ranked()
	shown, cut := mcpkit.FirstN(all, e.in.Limit, 30)
	out := GetEventsOut{Found: e.found(q, all)}
	out.Columns = []string{"type", "object", "reason", "count", "first_seen", "last_seen", "message"}
	wide := q.namespace == "" && q.within == nil
	if wide {
		out.Columns = slices.Insert(out.Columns, 1, "namespace")
	}
	for _, g := range shown {
		row := []string{g.severity, g.who(), g.reason, strconv.FormatInt(g.count, 10), age(g.first, e.now), age(g.last, e.now), abridge(g.latest, 240)}
		if wide {
			row = slices.Insert(row, 1, g.namespace)
		}
		out.Rows = append(out.Rows, row)
	}
	if out.Truncated = cut || e.dropped > 0; out.Truncated {
		out.LeftOut = fmt.Sprintf("rows: %d of %d groups shown; %s", len(shown), len(all)+e.dropped, getEvents.Narrow)
	}
	return out
}

// found sums up, and says why there may be less than happened.
func (e *eventTally) found(q eventQuery, all []*eventGroup) string {
	since := ""
	if !e.in.Since.IsZero() {
		since = " since " + e.in.Since.Time(e.now).UTC().Format(time.RFC3339)
	}
	if e.total == 0 {
		older := "; the cluster forgets events after an hour or so"
		if e.older > 0 {
			older = fmt.Sprintf("; %d older ones", e.older)
		}
		return "no " + q.about + since + older
	}
	warnings := int64(0)
	for _, g := range all {
		if g.severity != corev1.EventTypeNormal {
			warnings += g.count
		}
	}
	return fmt.Sprintf("%d occurrences%s, %d of them warnings", e.total, since, warnings)
}

// who names the objects of a group: "Pod/web-1, web-2 and 3 more".
func (g *eventGroup) who() string {
	return g.kind + "/" + some(sortedKeys(g.objects), 3)
}
