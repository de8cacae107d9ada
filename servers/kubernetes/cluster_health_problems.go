package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// maxAffected is how many objects of one cause are named.
const maxAffected = 5

// problemBook gathers what is broken by cause, from several readers at once.
type problemBook struct {
	mu     sync.Mutex
	causes map[string]*clusterCause
	known  map[string]bool // objects that some cause hits
}

// clusterCause is one cause and all it hits.
type clusterCause struct {
	severity string
	cause    string
	detail   string // in the words of the first that told
	objects  map[string]*affectedObject
}

type affectedObject struct {
	name     string
	pods     int
	restarts int
	note     string
}

// add notes that a cause hits an object, or one of an object's pods.
func (b *problemBook) add(severity, cause, object, detail string, restarts int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.causes == nil {
		b.causes, b.known = map[string]*clusterCause{}, map[string]bool{}
	}
	p := b.causes[cause]
	if p == nil {
		p = &clusterCause{severity: severity, cause: cause, objects: map[string]*affectedObject{}}
		b.causes[cause] = p
	}
	p.detail = cmp.Or(p.detail, detail)
	if severityRank(severity) < severityRank(p.severity) {
		p.severity = severity
	}
	o := p.objects[object]
	if o == nil {
		o = &affectedObject{name: object}
		p.objects[object] = o
	}
	o.pods++
	o.restarts += restarts
	b.known[object] = true
}

// ranked lists the causes, worst first, and of one severity those that hit most.
func (b *problemBook) ranked() []*clusterCause {
	var out []*clusterCause
	for _, cause := range sortedKeys(b.causes) {
		out = append(out, b.causes[cause])
	}
	slices.SortStableFunc(out, func(x, y *clusterCause) int {
		return cmp.Or(cmp.Compare(severityRank(x.severity), severityRank(y.severity)), cmp.Compare(y.size(), x.size()))
	})
	return out
}

func (p *clusterCause) size() int {
	n := 0
	for _, o := range p.objects {
		n += o.pods
	}
	return n
}

// affected names the objects a cause hits, those hit hardest first.
func (p *clusterCause) affected() string {
	var list []*affectedObject
	for _, name := range sortedKeys(p.objects) {
		list = append(list, p.objects[name])
	}
	slices.SortStableFunc(list, func(a, b *affectedObject) int { return cmp.Compare(b.pods, a.pods) })
	var names []string
	for _, o := range list[:min(maxAffected, len(list))] {
		names = append(names, o.String())
	}
	return strings.Join(names, "; ") + more(len(list)-len(names))
}

func (o *affectedObject) String() string {
	var notes []string
	if o.note != "" {
		notes = append(notes, o.note)
	}
	if o.pods > 1 {
		notes = append(notes, plural(o.pods, "pod"))
	}
	if o.restarts > 0 {
		notes = append(notes, plural(o.restarts, "restart"))
	}
	if len(notes) == 0 {
		return o.name
	}
	return fmt.Sprintf("%s (%s)", o.name, strings.Join(notes, ", "))
}
