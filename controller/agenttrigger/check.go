package agenttrigger

import (
	"context"
	"fmt"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/outcome"
	"k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// check finds all that keeps a trigger from asking, and reads its schedule, if it
// has one.
func (r *Reconciler) check(ctx context.Context, t *v1alpha1.AgentTrigger) (*timetable, error) {
	var s *timetable
	var wrong error
	if t.Spec.Schedule != nil {
		s, wrong = newTimetable(t.Spec.Schedule)
	}
	_, filter := r.filters.program(t.Spec.Filter)
	var agent kagent.Agent
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Spec.Agent}, &agent)
	return s, outcome.Join(wrong, filter, noAgent(t, err), resting(t))
}

// noAgent makes an error for users of one of finding the agent.
func noAgent(t *v1alpha1.AgentTrigger, err error) error {
	if errors.IsNotFound(err) {
		return outcome.Stalled("AgentNotFound", "spec.agent: there is no Agent %q in namespace %q; kubectl get agents lists those that can be asked", t.Spec.Agent, t.Namespace)
	}
	if err != nil {
		return fmt.Errorf("read Agent %s/%s: %w", t.Namespace, t.Spec.Agent, err)
	}
	return nil
}

func resting(t *v1alpha1.AgentTrigger) error {
	if t.Spec.Suspend {
		return outcome.Stalled(outcome.Suspended, "it rests, as spec.suspend says")
	}
	return nil
}

// report sets the conditions.
func report(t *v1alpha1.AgentTrigger, err error) {
	t.Status.ObservedGeneration = t.Generation
	if err != nil {
		t.Status.NextRunAt = nil
	}
	message := fmt.Sprintf("asks Agent %q by its schedule", t.Spec.Agent)
	var unserved []string
	if t.Spec.Schedule == nil {
		message = fmt.Sprintf("asks Agent %q about alerts that are posted to %s", t.Spec.Agent, Path(t.Namespace, t.Name))
	} else if t.Spec.Cooldown != nil {
		unserved = append(unserved, "spec.cooldown")
	}
	outcome.Set(&t.Status.Conditions, t.Generation, outcome.Ready, err, "Waiting", message)
	outcome.SetUnsupported(&t.Status.Conditions, t.Generation, unserved, "a schedule keeps its times")
}
