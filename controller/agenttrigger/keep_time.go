package agenttrigger

import (
	"context"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/outcome"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keepTime begins the run that is due, if one is, and says how long it is to the
// next. When that is stands in the status: a controller that was down finds there
// what it has missed.
func (r *Reconciler) keepTime(ctx context.Context, t *v1alpha1.AgentTrigger, s *timetable) (wait time.Duration, err error) {
	if s == nil {
		t.Status.NextRunAt = nil
		return 0, nil
	}
	now := r.clock.Now()
	if due := s.due(expected(t, s, now), now); !due.IsZero() {
		if err := r.ask(ctx, t, due); err != nil {
			return 0, err
		}
	}
	next := s.after(now)
	if next.IsZero() {
		return 0, outcome.Stalled("InvalidSchedule", "spec.schedule.cron: there is no such time in the next five years")
	}
	t.Status.NextRunAt = new(metav1.NewTime(next))
	return next.Sub(now), nil
}

// expected is the time that was to come next when the trigger was last looked
// at: what the status says, if the schedule is still that one; the first time
// since the trigger was made, if nobody has looked yet; else the next from now.
func expected(t *v1alpha1.AgentTrigger, s *timetable, now time.Time) time.Time {
	if next := t.Status.NextRunAt; next != nil && s.has(next.Time) {
		return next.Time
	}
	if t.Status.ObservedGeneration == 0 {
		return s.after(t.CreationTimestamp.Time)
	}
	return s.after(now)
}

// ask begins the run of the time.
func (r *Reconciler) ask(ctx context.Context, t *v1alpha1.AgentTrigger, due time.Time) error {
	run, v, err := r.at(ctx, t, due)
	if err != nil {
		return err
	}
	var y tally
	switch v {
	case start:
		y.begin(run, r.clock.Now())
	case deduplicated:
		return nil // done by whoever was here before
	case cooled:
		y.counts.Cooled++
	}
	y.counts.Received++
	return r.account(ctx, t, y)
}
