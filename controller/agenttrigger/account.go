package agenttrigger

import (
	"context"
	"fmt"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// How many runs a status remembers: all within the cooldown up to the most, and
// the least in any case.
const (
	mostRecent  = 100
	leastRecent = 10
)

// patience is for as many as may write one status at the same moment: a dozen
// seconds, unless the request ends before.
var patience = wait.Backoff{Steps: 25, Duration: 20 * time.Millisecond, Factor: 1.2, Jitter: 1}

// tally is what became of what came in, and the runs that began.
type tally struct {
	counts v1alpha1.TriggerCounts
	recent []v1alpha1.TriggerRecent
}

// begin notes a run.
func (y *tally) begin(run *v1alpha1.AgentRun, now time.Time) {
	y.counts.Started++
	y.recent = append(y.recent, v1alpha1.TriggerRecent{Key: run.Spec.Trigger.Key, Run: run.Name, At: metav1.NewTime(now)})
}

// account adds the tally to the trigger's status. Whoever else does so at the
// same time is not overwritten.
func (s *starter) account(ctx context.Context, t *v1alpha1.AgentTrigger, y tally) error {
	err := retry.RetryOnConflict(patience, func() error {
		var live v1alpha1.AgentTrigger
		if err := s.fresh.Get(ctx, client.ObjectKeyFromObject(t), &live); err != nil {
			return client.IgnoreNotFound(err)
		}
		before := live.DeepCopy()
		y.addTo(&live.Status, s.clock.Now().Add(-cooldown(&live)))
		if equality.Semantic.DeepEqual(before.Status, live.Status) {
			return nil
		}
		return s.client.Status().Patch(ctx, &live, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write the status of AgentTrigger %s/%s: %w", t.Namespace, t.Name, err)
	}
	return nil
}

// addTo adds the tally; of what began before since, little is remembered.
func (y tally) addTo(s *v1alpha1.AgentTriggerStatus, since time.Time) {
	s.Counts.Received += y.counts.Received
	s.Counts.Filtered += y.counts.Filtered
	s.Counts.Deduplicated += y.counts.Deduplicated
	s.Counts.Cooled += y.counts.Cooled
	s.Counts.Started += y.counts.Started
	if len(y.recent) == 0 {
		return
	}
	last := y.recent[len(y.recent)-1]
	s.LastRun, s.LastRunAt = last.Run, &last.At
	s.Recent = append(s.Recent, y.recent...)
	for len(s.Recent) > mostRecent || len(s.Recent) > leastRecent && s.Recent[0].At.Time.Before(since) {
		s.Recent = s.Recent[1:]
	}
}
