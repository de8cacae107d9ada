package prometheus

import (
	"math"
	"time"

	"github.com/prometheus/common/model"
)

// simulation is what decides when a rule fires, beside its expression.
type simulation struct {
	hold   time.Duration  // for
	keep   time.Duration  // keep_firing_for
	limit  int            // of alerts, above which an evaluation fails; 0 is none
	labels model.LabelSet // that the rule adds
	lowest bool           // whether the worst value is the lowest
}

// stream is one series of the rule's expression over time.
type stream struct {
	metric model.Metric
	points []point // in order
}

type point struct {
	at    model.Time
	value float64
}

// episode is one time that one series fired.
type episode struct {
	labels     model.LabelSet
	active     time.Time // when it became pending
	start, end time.Time // first evaluation at which it fired, first at which it no longer did
	peak       float64   // worst value while active; NaN if it had none
	open       bool      // whether it fired to the end
	before     bool      // whether it began before the window
}

// simulated is what came of a simulation.
type simulated struct {
	fired       []episode
	nearest     episode // the longest pending that never fired
	evaluations int
	failed      int // evaluations that Prometheus would not have counted
}

// watched is one label set as Prometheus keeps it.
type watched struct {
	labels    model.LabelSet
	active    time.Time
	fires     bool
	started   time.Time
	keepSince time.Time
	peak      float64
}

// playback walks through all streams at once, evaluation by evaluation.
type playback struct {
	streams    []stream
	identities []model.LabelSet // of the alert of each stream
	keys       []model.Fingerprint
	next       []int // point of each stream
}

func (s simulation) play(streams []stream) *playback {
	p := &playback{streams: streams, next: make([]int, len(streams))}
	for _, st := range streams {
		identity := s.identity(st.metric)
		p.identities, p.keys = append(p.identities, identity), append(p.keys, identity.Fingerprint())
	}
	return p
}

// at returns the streams that have a point at a moment, by alert. It reports
// false if two of them would be the same alert: Prometheus fails such an
// evaluation.
func (p *playback) at(now model.Time) (present map[model.Fingerprint]int, ok bool) {
	present, ok = map[model.Fingerprint]int{}, true
	for i, st := range p.streams {
		for p.next[i] < len(st.points) && st.points[p.next[i]].at < now {
			p.next[i]++
		}
		if p.next[i] == len(st.points) || st.points[p.next[i]].at != now {
			continue
		}
		_, twice := present[p.keys[i]]
		ok = ok && !twice
		present[p.keys[i]] = i
	}
	return present, ok
}

func (p *playback) value(stream int) float64 { return p.streams[stream].points[p.next[stream]].value }

// simulate evaluates the rule at each step from first to last. It follows
// AlertingRule.Eval of Prometheus: a label set is pending from the evaluation
// at which it appears, fires once it has been there for hold, is forgotten at
// the first evaluation without it, and once firing stays for keep. An
// evaluation that fails leaves all as it was, but for the limit, which ends all.
func (s simulation) simulate(streams []stream, first, last time.Time, step time.Duration) simulated {
	var out simulated
	p, active := s.play(streams), map[model.Fingerprint]*watched{}
	for at := first; !at.After(last); at = at.Add(step) {
		out.evaluations++
		present, ok := p.at(model.TimeFromUnixNano(at.UnixNano()))
		if !ok {
			out.failed++
			continue
		}
		for key, i := range present {
			if active[key] == nil {
				active[key] = &watched{labels: p.identities[i], active: at, peak: math.NaN()}
			}
			active[key].peak = s.worse(active[key].peak, p.value(i))
		}
		s.advance(active, present, at, &out)
		if s.limit > 0 && len(active) > s.limit {
			out.failed++
			stopAll(active, at, &out)
		}
	}
	end := last.Add(step)
	for key, w := range active {
		if w.fires {
			out.fired = append(out.fired, episode{w.labels, w.active, w.started, end, w.peak, true, false})
			delete(active, key)
		}
	}
	stopAll(active, end, &out)
	return out
}

func stopAll(active map[model.Fingerprint]*watched, at time.Time, out *simulated) {
	for key, w := range active {
		w.stop(at, out)
		delete(active, key)
	}
}

// advance takes every label set through one evaluation.
func (s simulation) advance(active map[model.Fingerprint]*watched, present map[model.Fingerprint]int, at time.Time, out *simulated) {
	for key, w := range active {
		if _, there := present[key]; there {
			w.keepSince = time.Time{}
		} else {
			if w.keepSince.IsZero() {
				w.keepSince = at
			}
			if !w.fires || at.Sub(w.keepSince) >= s.keep {
				w.stop(at, out)
				delete(active, key)
				continue
			}
		}
		if !w.fires && at.Sub(w.active) >= s.hold {
			w.fires, w.started = true, at
		}
	}
}

// stop ends what a label set was: an episode, or a pending that led to none.
func (w *watched) stop(at time.Time, out *simulated) {
	e := episode{labels: w.labels, active: w.active, start: w.started, end: at, peak: w.peak}
	switch {
	case w.fires:
		out.fired = append(out.fired, e)
	case at.Sub(w.active) > out.nearest.end.Sub(out.nearest.active):
		out.nearest = e
	}
}

// identity are the labels of the alert for a series of the expression.
func (s simulation) identity(m model.Metric) model.LabelSet {
	out := model.LabelSet(m).Clone()
	delete(out, model.MetricNameLabel)
	for name, value := range s.labels {
		out[name] = value
	}
	for name, value := range out {
		if value == "" { // an empty label is none
			delete(out, name)
		}
	}
	return out
}

func (s simulation) worse(a, b float64) float64 {
	if math.IsNaN(a) || s.lowest && b < a || !s.lowest && b > a {
		return b
	}
	return a
}

// clip forgets what lies outside the window.
func (s *simulated) clip(start, end time.Time) {
	kept := s.fired[:0]
	for _, e := range s.fired {
		if !e.end.After(start) {
			continue
		}
		if e.start.Before(start) {
			e.start, e.before = start, true
		}
		if e.end.After(end) {
			e.end = end
		}
		kept = append(kept, e)
	}
	s.fired = kept
	if !s.nearest.end.After(start) {
		s.nearest = episode{}
	}
}
