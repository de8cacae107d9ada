package agenttrigger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/labels"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The labels of runs that a trigger began.
const (
	triggerLabel = "toolcrib.dev/trigger"
	keyLabel     = "toolcrib.dev/trigger-key" // digest of what the run is about
)

// mostAttempts is how often a run is decided about anew because somebody else
// began one at the same moment.
const mostAttempts = 100

// starter begins runs. Several may do so at once, in one process or in many.
type starter struct {
	client client.Client
	fresh  client.Reader
	clock  clock.PassiveClock
}

// question is a run that may begin.
type question struct {
	key, data, requestedBy string
}

// about begins a run about alerts, if there is to be one.
func (s *starter) about(ctx context.Context, t *v1alpha1.AgentTrigger, q question) (run *v1alpha1.AgentRun, v verdict, err error) {
	prefix, taken := prefixOf(t.Name), 0
	for range mostAttempts {
		h, err := s.history(ctx, t)
		if err != nil {
			return nil, start, err
		}
		if v := h.decide(q.key, s.clock.Now(), cooldown(t), int(max(t.Spec.MaxActive, 1))); v != start {
			return nil, v, nil
		}
		n := max(h.next(prefix), taken+1)
		run := newRun(t, prefix+strconv.Itoa(n), q)
		err = s.client.Create(ctx, run)
		if err == nil {
			return run, start, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, start, fmt.Errorf("make AgentRun %s/%s: %w", run.Namespace, run.Name, err)
		}
		if taken, err = s.foreign(ctx, run, n, taken); err != nil {
			return nil, start, err
		}
	}
	return nil, start, fmt.Errorf("begin a run of AgentTrigger %s/%s: others began runs of it %d times meanwhile; try again", t.Namespace, t.Name, mostAttempts)
}

// foreign passes over a number whose name belongs to somebody else's run.
func (s *starter) foreign(ctx context.Context, run *v1alpha1.AgentRun, n, taken int) (int, error) {
	there := metadataOf("AgentRun", v1alpha1.GroupVersion.String())
	if err := s.fresh.Get(ctx, client.ObjectKeyFromObject(run), there); err != nil {
		return taken, client.IgnoreNotFound(err)
	}
	if there.Labels[triggerLabel] == run.Labels[triggerLabel] {
		return taken, nil
	}
	return n, nil
}

// history is what the trigger has begun, as the API server knows it now.
func (s *starter) history(ctx context.Context, t *v1alpha1.AgentTrigger) (history, error) {
	h := history{}
	for _, only := range [][]client.ListOption{nil, {client.MatchingFieldsSelector{Selector: notOver}}} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AgentRunList"))
		options := append(only, client.InNamespace(t.Namespace), client.MatchingLabels{triggerLabel: label(t.Name)})
		if err := s.fresh.List(ctx, list, options...); err != nil {
			return nil, fmt.Errorf("list the runs of AgentTrigger %s/%s: %w", t.Namespace, t.Name, err)
		}
		for _, run := range list.Items {
			h[run.Name] = earlier{key: run.Labels[keyLabel], began: run.CreationTimestamp.Time, active: only != nil}
		}
	}
	h.remember(t.Status.Recent)
	return h, nil
}

// notOver selects the runs that are not over. Metadata does not say.
var notOver = func() fields.Selector {
	var all []fields.Selector
	for _, phase := range []v1alpha1.RunPhase{v1alpha1.RunCompleted, v1alpha1.RunStopped, v1alpha1.RunFailed, v1alpha1.RunCancelled} {
		all = append(all, fields.OneTermNotEqualSelector("status.phase", string(phase)))
	}
	return fields.AndSelectors(all...)
}()

// at begins the run of a time that is due, once: its name is the time's.
func (s *starter) at(ctx context.Context, t *v1alpha1.AgentTrigger, due time.Time) (run *v1alpha1.AgentRun, v verdict, err error) {
	q := question{key: due.UTC().Format(time.RFC3339)}
	h, err := s.history(ctx, t)
	if err != nil {
		return nil, start, err
	}
	run = newRun(t, prefixOf(t.Name)+due.UTC().Format("20060102-1504"), q)
	if _, done := h[run.Name]; done {
		return nil, deduplicated, nil
	}
	if v := h.decide(q.key, s.clock.Now(), 0, int(max(t.Spec.MaxActive, 1))); v != start {
		return nil, v, nil
	}
	err = s.client.Create(ctx, run)
	if apierrors.IsAlreadyExists(err) {
		return nil, deduplicated, nil
	}
	if err != nil {
		return nil, start, fmt.Errorf("make AgentRun %s/%s: %w", run.Namespace, run.Name, err)
	}
	return run, start, nil
}

// newRun is a run of the trigger. The trigger does not own it: the record
// outlives it, until its time is over.
func newRun(t *v1alpha1.AgentTrigger, name string, q question) *v1alpha1.AgentRun {
	return &v1alpha1.AgentRun{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: t.Namespace, Name: name,
			Labels: map[string]string{labels.ManagedBy: labels.Us, labels.Agent: label(t.Spec.Agent), triggerLabel: label(t.Name), keyLabel: digest(q.key)},
		},
		Spec: v1alpha1.AgentRunSpec{
			Agent: t.Spec.Agent, Prompt: t.Spec.Prompt, Data: q.data, RequestedBy: q.requestedBy,
			Trigger:                 &v1alpha1.RunTrigger{Kind: v1alpha1.TriggerAgentTrigger, Name: t.Name, Key: q.key},
			TTLSecondsAfterFinished: t.Spec.TTLSecondsAfterFinished,
		},
	}
}

// prefixOf is what the names of a trigger's runs begin with.
func prefixOf(trigger string) string {
	const most = 253 - len("-20060102-1504")
	if len(trigger) > most {
		trigger = trigger[:most-33] + "-" + digest(trigger)
	}
	return trigger + "-"
}

// label is a name as the value of a label, which has less room.
func label(name string) string {
	if len(name) > 63 {
		return name[:63-33] + "-" + digest(name)
	}
	return name
}

func metadataOf(kind, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: kind, APIVersion: version}}
}
