package agenttrigger

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/cel-go/cel"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/outcome"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// answer is what became of a notification.
type answer struct {
	Suspended    bool     `json:"suspended,omitempty"`
	Received     int64    `json:"received"`
	Filtered     int64    `json:"filtered"`
	Deduplicated int64    `json:"deduplicated"`
	Cooled       int64    `json:"cooled"`
	Started      []string `json:"started"`         // names of AgentRuns
	Notes        []string `json:"notes,omitempty"` // filters that could not be evaluated
}

// take does with the alerts what the trigger says.
func (r *Receiver) take(ctx context.Context, key client.ObjectKey, m Message, sender string) (*answer, error) {
	t, filter, err := r.trigger(ctx, key)
	if err != nil {
		return nil, err
	}
	if t.Spec.Suspend {
		return &answer{Suspended: true, Started: []string{}}, nil
	}
	a := &answer{Started: []string{}}
	var y tally
	y.counts.Received = int64(len(m.Alerts))
	groups, notes := sorted(ctx, t, filter, m.Alerts)
	for _, g := range groups {
		y.counts.Filtered -= int64(len(g.alerts))
	}
	y.counts.Filtered += y.counts.Received
	var failed error
	for _, g := range groups {
		if failed = r.ask(ctx, t, g, m.TruncatedAlerts, sender, &y); failed != nil {
			break
		}
	}
	if err := errors.Join(failed, r.account(ctx, t, y)); err != nil {
		return nil, err
	}
	for _, run := range y.recent {
		a.Started = append(a.Started, run.Run)
	}
	a.Received, a.Filtered, a.Deduplicated, a.Cooled, a.Notes = y.counts.Received, y.counts.Filtered, y.counts.Deduplicated, y.counts.Cooled, notes
	return a, nil
}

// ask begins a run about the group, if there is to be one. Of alerts that are
// the same, one begins it and the others join.
func (r *Receiver) ask(ctx context.Context, t *v1alpha1.AgentTrigger, g group, truncated int, sender string, y *tally) error {
	text, err := data(g.alerts, truncated)
	if err != nil {
		return err
	}
	run, v, err := r.about(ctx, t, question{key: g.key, data: text, requestedBy: sender})
	if err != nil {
		return err
	}
	switch n := int64(len(g.alerts)); v {
	case start:
		y.begin(run, r.clock.Now())
		y.counts.Deduplicated += n - 1
	case deduplicated:
		y.counts.Deduplicated += n
	case cooled:
		y.counts.Cooled += n
	}
	return nil
}

// group is alerts that are the same to the trigger.
type group struct {
	key    string
	alerts []Alert
}

// sorted sorts out what is not to be asked about, and puts together what is the
// same. The notes say what the filter could not be evaluated for.
func sorted(ctx context.Context, t *v1alpha1.AgentTrigger, filter cel.Program, alerts []Alert) (groups []group, notes []string) {
	const mostNotes = 5
	at := map[string]int{}
	for _, a := range alerts {
		if a.Status == resolved && !t.Spec.Alertmanager.Resolved {
			continue
		}
		ok, err := passes(ctx, filter, a)
		if err != nil && len(notes) < mostNotes {
			notes = append(notes, "spec.filter: "+err.Error())
		}
		if !ok {
			continue
		}
		k := key(a, t.Spec.Dedupe)
		i, known := at[k]
		if !known {
			i, at[k] = len(groups), len(groups)
			groups = append(groups, group{key: k})
		}
		groups[i].alerts = append(groups[i].alerts, a)
	}
	return groups, notes
}

// trigger is the trigger as it is now, with its filter. It is refused if it
// could not ask about any alert.
func (r *Receiver) trigger(ctx context.Context, key client.ObjectKey) (*v1alpha1.AgentTrigger, cel.Program, error) {
	var t v1alpha1.AgentTrigger
	err := r.fresh.Get(ctx, key, &t)
	if apierrors.IsNotFound(err) {
		return nil, nil, refuse(http.StatusNotFound, "there is no AgentTrigger %s", key)
	}
	if err != nil {
		return nil, nil, err
	}
	if t.Spec.Alertmanager == nil {
		return nil, nil, refuse(http.StatusConflict, "AgentTrigger %s asks by a schedule; set spec.alertmanager on another one", key)
	}
	filter, err := r.filters.program(t.Spec.Filter)
	if err == nil {
		agent := metadataOf("Agent", kagent.GroupVersion.String())
		err = noAgent(&t, r.fresh.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Spec.Agent}, agent))
	}
	var wrong *outcome.Error
	if errors.As(err, &wrong) { // Alertmanager tries again, and whoever mends it loses no alert
		return nil, nil, refuse(http.StatusServiceUnavailable, "AgentTrigger %s cannot ask: %s", key, wrong.Message)
	}
	return &t, filter, err
}
