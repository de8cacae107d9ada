package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	amlabels "github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var alerts = mcpkit.Tool{
	Name:        "prometheus_alerts",
	Title:       "Active alerts",
	Description: "What fires or is pending now, worst severity first. For why use prometheus_explain_alert; for who is told, alertmanager_alerts.",
	Narrow:      "give name, state or matchers, or lower limit",
}

type AlertsIn struct {
	Name     string `json:"name,omitempty" jsonschema:"part of an alert's name"`
	State    string `json:"state,omitempty"`
	Matchers string `json:"matchers,omitempty" jsonschema:"such as severity=\"critical\", team=~\"a|b\""`
	Limit    int    `json:"limit,omitempty" jsonschema:"most alerts; 30 if absent"`
}

func (AlertsIn) Constrain(p mcpkit.Properties) {
	p["state"].Description, p["state"].Enum = "both if absent", []any{firing, pending}
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type AlertsOut struct {
	Summary   string       `json:"summary" jsonschema:"how many fire and how many are pending"`
	NotLooked []string     `json:"not_looked_at,omitempty"`
	ByAlert   mcpkit.Table `json:"by_alert" jsonschema:"worst severity first"`
	mcpkit.Left
	Alerts mcpkit.Table `json:"alerts" jsonschema:"one row per series, in the same order"`
}

func (b *Backend) alerts(ctx context.Context, in AlertsIn) (AlertsOut, error) {
	matchers, err := parseMatchers(in.Matchers)
	if err != nil {
		return AlertsOut{}, err
	}
	var out AlertsOut
	all, err := b.activeAlerts(ctx)
	if isMissing(err) {
		var more bool
		out.NotLooked = []string{"when each became active, values and annotations: " + err.(*mcpkit.Error).Text + ". What is said here comes from the series ALERTS"}
		if all, more, err = b.alertsFromSeries(ctx); more {
			out.NotLooked = append(out.NotLooked, fmt.Sprintf("there are more than %d series ALERTS", len(all)))
		}
	}
	if err != nil {
		return AlertsOut{}, err
	}
	found := slices.DeleteFunc(slices.Clone(all), func(a activeAlert) bool { return !in.wants(a, matchers) })
	if len(found) == 0 && len(all) > 0 {
		return AlertsOut{}, in.nothing(all, matchers)
	}
	slices.SortStableFunc(found, worstFirst)
	out.Summary = alertSummary(found)
	now := b.now()
	out.ByAlert = byAlert(found, now)
	out.Alerts = mcpkit.Table{Columns: []string{"alert", "labels", "state", "since", "value"}, Rows: [][]string{}}
	for _, a := range found {
		out.Alerts.Rows = append(out.Alerts.Rows, []string{a.name(), a.rest(), a.stateText(), ago(now, a.ActiveAt), a.number()})
	}
	out.Left, out.Alerts.Rows = firstRows(out.Alerts.Rows, cmp.Or(in.Limit, 30), "alerts")
	return out, nil
}

func (b *Backend) activeAlerts(ctx context.Context) ([]activeAlert, error) {
	type answer struct {
		Alerts []activeAlert `json:"alerts"`
	}
	a, err := fetch[answer](ctx, b, "alerts", url.Values{}, "list the alerts")
	return a.Alerts, err
}

// alertsFromSeries answers what it can where the backend lists no alerts, and
// says whether there are more.
func (b *Backend) alertsFromSeries(ctx context.Context) (out []activeAlert, more bool, err error) {
	const most = 2000
	e, err := b.evaluate(ctx, "ALERTS", b.now(), most)
	if err != nil {
		return nil, false, err
	}
	vector, _ := e.value.(model.Vector)
	for _, s := range vector {
		labels := model.LabelSet(s.Metric).Clone()
		a := activeAlert{State: string(labels["alertstate"]), Labels: labels}
		delete(labels, model.MetricNameLabel)
		delete(labels, "alertstate")
		out = append(out, a)
	}
	return out, e.more, nil
}

func (in AlertsIn) wants(a activeAlert, ms amlabels.Matchers) bool {
	return strings.Contains(strings.ToLower(a.name()), strings.ToLower(in.Name)) && (in.State == "" || a.State == in.State) && ms.Matches(a.Labels)
}

// nothing is the answer when alerts are active, but none passes the filters.
func (in AlertsIn) nothing(all []activeAlert, ms amlabels.Matchers) error {
	var names []string
	for _, a := range all {
		names = append(names, a.name())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	text := "no active alert passes all of the filters"
	switch held := heldFrom(all); {
	case in.Name != "" && !slices.ContainsFunc(all, func(a activeAlert) bool { return AlertsIn{Name: in.Name}.wants(a, nil) }):
		text = fmt.Sprintf("no active alert is called %q; if a rule of that name exists, prometheus_explain_alert says why it is not active", in.Name)
	case len(ms) > 0 && len(matching(held, ms)) == 0:
		text = whyNone(held, ms)
	}
	return mcpkit.Errorf(mcpkit.NotFound, "%s. Active are %s", text, fewOf(names, 10))
}

// heldFrom are alerts in the form that matchers are explained with.
func heldFrom(all []activeAlert) []heldAlert {
	out := make([]heldAlert, len(all))
	for i, a := range all {
		out[i].labels = a.Labels
	}
	return out
}

func (a activeAlert) name() string { return string(a.Labels[model.AlertNameLabel]) }

func (a activeAlert) severity() string { return string(a.Labels["severity"]) }

// rest are the labels that a row does not say elsewhere.
func (a activeAlert) rest() string {
	return selector(without(model.Metric(a.Labels), model.Metric{model.AlertNameLabel: "", "severity": ""}))
}

func (a activeAlert) stateText() string {
	if a.State == firing && !a.KeepFiringSince.IsZero() {
		return "firing, kept"
	}
	return a.State
}

// worstFirst orders by severity, firing before pending, then name and age.
func worstFirst(x, y activeAlert) int {
	return cmp.Or(severityRank(x.severity())-severityRank(y.severity()), stateRank(y.State)-stateRank(x.State),
		cmp.Compare(x.name(), y.name()), x.ActiveAt.Compare(y.ActiveAt), cmp.Compare(x.rest(), y.rest()))
}

func alertSummary(found []activeAlert) string {
	states, severities := map[string]int{}, map[string]int{}
	var order []string
	for _, a := range found {
		states[a.State]++
		if a.State == firing {
			s := cmp.Or(a.severity(), "no severity")
			if severities[s]++; severities[s] == 1 {
				order = append(order, s)
			}
		}
	}
	if len(found) == 0 {
		return "nothing fires and nothing is pending"
	}
	var parts []string
	for _, s := range order {
		parts = append(parts, fmt.Sprintf("%d %s", severities[s], s))
	}
	text := fmt.Sprintf("%d firing", states[firing])
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return fmt.Sprintf("%s, %d pending", text, states[pending])
}

// byAlert has one row per alert and severity, in the order given.
func byAlert(found []activeAlert, now time.Time) mcpkit.Table {
	t := mcpkit.Table{Columns: []string{"severity", "alert", "firing", "pending", "oldest", "says"}, Rows: [][]string{}}
	type group struct {
		first, oldest activeAlert
		states        map[string]int
	}
	byKey := map[[2]string]*group{}
	var order []*group
	for _, a := range found {
		key := [2]string{a.severity(), a.name()}
		g := byKey[key]
		if g == nil {
			g = &group{first: a, oldest: a, states: map[string]int{}}
			byKey[key], order = g, append(order, g)
		}
		g.states[a.State]++
		if a.ActiveAt.Before(g.oldest.ActiveAt) {
			g.oldest = a
		}
	}
	for _, g := range order {
		t.Rows = append(t.Rows, []string{g.first.severity(), g.first.name(), strconv.Itoa(g.states[firing]), strconv.Itoa(g.states[pending]), ago(now, g.oldest.ActiveAt), g.first.says()})
	}
	return t
}

// says is what the alert tells people.
func (a activeAlert) says() string {
	return cmp.Or(string(a.Annotations["summary"]), string(a.Annotations["description"]), string(a.Annotations["message"]))
}

// ago is a moment and how long ago it was; empty if there is none.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return utc(t) + " (" + since(now, t) + ")"
}

// utc is a moment to the second.
func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }
