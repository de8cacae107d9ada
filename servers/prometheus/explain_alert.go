package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	amlabels "github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var explainAlert = mcpkit.Tool{
	Name:        "prometheus_explain_alert",
	Title:       "Why an alert fires or does not",
	Description: "Why one alert fires, is pending or does neither: its rule, values against the threshold, empty selectors, evaluation errors, and whether Alertmanager has it.",
	Narrow:      "give matchers or group, or lower limit",
}

type ExplainAlertIn struct {
	Name     string `json:"name" jsonschema:"of the alert"`
	Group    string `json:"group,omitempty" jsonschema:"if several groups have it"`
	Matchers string `json:"matchers,omitempty" jsonschema:"labels of the series, such as instance=\"a\""`
	Limit    int    `json:"limit,omitempty" jsonschema:"most series; 20 if absent"`
}

func (ExplainAlertIn) Constrain(p mcpkit.Properties) {
	p["name"].MinLength = new(1)
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type ExplainAlertOut struct {
	State     []string `json:"state" jsonschema:"of each rule of that name"`
	Why       []string `json:"why,omitempty" jsonschema:"what the state rests on"`
	Delivery  []string `json:"delivery,omitempty" jsonschema:"whether Alertmanager has it"`
	NotLooked []string `json:"not_looked_at,omitempty"`
	mcpkit.Left
	Alerts mcpkit.Table `json:"alerts,omitzero" jsonschema:"series that are pending or fire"`
	Series mcpkit.Table `json:"series,omitzero" jsonschema:"what is compared, nearest to firing first"`
	Rules  []RuleText   `json:"rules"`
}

// RuleText is a rule as it is configured.
type RuleText struct {
	Group         string         `json:"group" jsonschema:"and its file"`
	Expr          string         `json:"expr"`
	For           string         `json:"for"`
	KeepFiringFor string         `json:"keep_firing_for,omitempty"`
	Labels        model.LabelSet `json:"labels,omitempty"`
	Annotations   model.LabelSet `json:"annotations,omitempty" jsonschema:"expanded where the alert is active"`
	Evaluation    string         `json:"evaluation" jsonschema:"when it was, how long it took and how it ended"`
}

func (b *Backend) explainAlert(ctx context.Context, in ExplainAlertIn) (ExplainAlertOut, error) {
	matchers, err := parseMatchers(in.Matchers)
	if err != nil {
		return ExplainAlertOut{}, err
	}
	found, err := b.alertRules(ctx, in.Name)
	if err != nil {
		return ExplainAlertOut{}, err
	}
	if found, err = ofGroup(found, in.Name, in.Group); err != nil {
		return ExplainAlertOut{}, err
	}
	if meant := slices.DeleteFunc(slices.Clone(found), func(r rule) bool { return !concerns(matchers, model.Metric(r.Labels)) }); len(meant) > 0 {
		found = meant
	}
	r := &alertReport{b: b, in: in, matchers: matchers, now: b.now(), rules: found, limit: cmp.Or(in.Limit, 20)}
	for _, rule := range found[:min(maxExplained, len(found))] {
		if err := r.explain(ctx, rule); err != nil {
			return ExplainAlertOut{}, err
		}
	}
	if len(found) > maxExplained {
		r.cut = append(r.cut, fmt.Sprintf("rules: %d of %d of that name explained, give group", maxExplained, len(found)))
	}
	if err := r.deliver(ctx); err != nil {
		return ExplainAlertOut{}, err
	}
	return r.finish(), nil
}

// ofGroup keeps the rules of the group a call names.
func ofGroup(found []rule, name, group string) ([]rule, error) {
	if group == "" {
		return found, nil
	}
	var groups []string
	for _, r := range found {
		groups = append(groups, r.group.Name)
	}
	found = slices.DeleteFunc(found, func(r rule) bool { return r.group.Name != group })
	if len(found) == 0 {
		return nil, mcpkit.Errorf(mcpkit.NotFound, "no rule %q in group %q; it is in %s", name, group, fewOf(groups, 10))
	}
	return found, nil
}

// maxExplained is how many rules of one name a call explains.
const maxExplained = 10

// alertReport is one call on its way.
type alertReport struct {
	b        *Backend
	in       ExplainAlertIn
	matchers amlabels.Matchers
	now      time.Time
	rules    []rule // of that name
	limit    int

	fires []activeAlert
	rows  []activeRow // of all rules
	pairs [][]string
	cut   []string
	out   ExplainAlertOut
}

// activeRow is an active alert of one rule.
type activeRow struct {
	activeAlert
	rule rule
	held string // what Alertmanager does with it
}

// called tells a rule from the others of its name: by its group, and by its
// labels where they share that.
func (r *alertReport) called(rule rule) string {
	for _, other := range r.rules {
		if other.group == rule.group && !other.Labels.Equal(rule.Labels) {
			return rule.group.Name + " " + selector(model.Metric(rule.Labels))
		}
	}
	return rule.group.Name
}

// where is how lines about a rule begin when several have its name.
func (r *alertReport) where(rule rule) string {
	if len(r.rules) < 2 {
		return ""
	}
	return "group " + r.called(rule) + ": "
}

// why adds a line, unless the state of the same rule says it already.
func (r *alertReport) why(rule rule, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !strings.Contains(r.out.State[len(r.out.State)-1], line) {
		r.out.Why = append(r.out.Why, r.where(rule)+line)
	}
}

// explain adds what there is to say of one rule.
func (r *alertReport) explain(ctx context.Context, rule rule) error {
	active := slices.DeleteFunc(slices.Clone(rule.Alerts), func(a activeAlert) bool { return !concerns(r.matchers, model.Metric(a.Labels)) })
	slices.SortFunc(active, worstFirst)
	for _, a := range active {
		r.rows = append(r.rows, activeRow{activeAlert: a, rule: rule})
		if a.State == firing {
			r.fires = append(r.fires, a)
		}
	}
	d, err := r.dissect(ctx, rule)
	if err != nil {
		return err
	}
	r.out.State = append(r.out.State, r.where(rule)+r.state(rule, active, d))
	if _, fault := rule.fault(r.now); fault != "" {
		r.why(rule, "the rule %s", fault)
	}
	r.report(rule, d)
	r.out.Rules = append(r.out.Rules, r.text(rule, active))
	return nil
}

// concerns reports whether no matcher speaks against labels. A label that is
// not there does not: what is compared has fewer labels than its alert.
func concerns(ms amlabels.Matchers, labels model.Metric) bool {
	for _, m := range ms {
		if value, ok := labels[model.LabelName(m.Name)]; ok && !m.Matches(string(value)) {
			return false
		}
	}
	return true
}

// state is the first line of the answer.
func (r *alertReport) state(rule rule, active []activeAlert, d *dissection) string {
	fires, waits, kept := stateCounts(active)
	switch {
	case len(fires) > 0:
		text := fmt.Sprintf("firing: %d series, the first since %s", len(fires), ago(r.now, oldest(fires).ActiveAt.Add(time.Duration(rule.Duration))))
		if len(kept) > 0 {
			first := oldest(kept)
			text += fmt.Sprintf("; %d of them only because of keep_firing_for, until %s", len(kept), utc(first.KeepFiringSince.Add(time.Duration(rule.KeepFiringFor))))
		}
		if len(waits) > 0 {
			text += fmt.Sprintf("; %d more pending", len(waits))
		}
		return text
	case len(waits) > 0:
		first := oldest(waits)
		fires := first.ActiveAt.Add(time.Duration(rule.Duration))
		return fmt.Sprintf("pending: %d series, the first since %s; fires at %s (in %s) if the condition holds until then", len(waits), ago(r.now, first.ActiveAt), utc(fires), span(max(fires.Sub(r.now), 0)))
	case rule.LastError != "":
		return "not evaluated: the last evaluation failed"
	case rule.LastEvaluation.IsZero():
		return "unknown: the rule is not evaluated yet"
	case d.impossible != "":
		return "inactive, and cannot fire: " + d.impossible
	case len(r.matchers) > 0 && len(rule.Alerts) > 0:
		return fmt.Sprintf("inactive for %s, though %d other series are active", r.in.Matchers, len(rule.Alerts))
	}
	return "inactive: " + cmp.Or(d.nearest, "the expression has no result")
}

func stateCounts(active []activeAlert) (fires, waits, kept []activeAlert) {
	for _, a := range active {
		switch {
		case a.State == pending:
			waits = append(waits, a)
		case a.State == firing && !a.KeepFiringSince.IsZero():
			kept = append(kept, a)
			fires = append(fires, a)
		case a.State == firing:
			fires = append(fires, a)
		}
	}
	return fires, waits, kept
}

func oldest(active []activeAlert) activeAlert {
	return slices.MinFunc(active, func(a, b activeAlert) int { return a.ActiveAt.Compare(b.ActiveAt) })
}

// text is the rule as configured, with the annotations of its first alert.
func (r *alertReport) text(rule rule, active []activeAlert) RuleText {
	t := RuleText{
		Group: fmt.Sprintf("%s in %s, every %s", rule.group.Name, rule.group.File, rule.group.Interval),
		Expr:  rule.Query, For: rule.Duration.String(), Labels: rule.Labels, Annotations: rule.Annotations,
	}
	if rule.KeepFiringFor > 0 {
		t.KeepFiringFor = rule.KeepFiringFor.String()
	}
	if len(active) > 0 {
		t.Annotations = active[0].Annotations
	}
	t.Evaluation = "never"
	if !rule.LastEvaluation.IsZero() {
		t.Evaluation = fmt.Sprintf("%s ago, took %s: %s", since(r.now, rule.LastEvaluation), brieftime(time.Duration(rule.EvaluationTime)), cmp.Or(rule.Health, "unknown"))
	}
	return t
}

// finish makes the tables.
func (r *alertReport) finish() ExplainAlertOut {
	if len(r.rows) > 0 {
		r.out.Alerts = mcpkit.Table{Columns: r.columns("labels", "state", "active_since", "next", "value", "alertmanager"), Rows: [][]string{}}
		for _, a := range r.rows[:min(r.limit, len(r.rows))] {
			r.out.Alerts.Rows = append(r.out.Alerts.Rows, r.cells(a.rule, a.rest(), a.stateText(), ago(r.now, a.ActiveAt), a.next(), a.number(), a.held))
		}
		r.cutTo("alerts", len(r.rows))
	}
	if len(r.pairs) > 0 {
		r.out.Series = mcpkit.Table{Columns: r.columns("condition", "series", "value", "threshold", "away"), Rows: r.pairs}
	}
	if len(r.cut) > 0 {
		r.out.Left = mcpkit.Left{Truncated: true, LeftOut: strings.Join(r.cut, "; ") + "; raise limit"}
	}
	return r.out
}

// cutTo notes that of a table only limit rows are shown.
func (r *alertReport) cutTo(what string, total int) {
	if total > r.limit {
		r.cut = append(r.cut, fmt.Sprintf("%s: %d of %d shown", what, r.limit, total))
	}
}

// columns has the rule's group in front where it is needed.
func (r *alertReport) columns(names ...string) []string {
	if len(r.rules) > 1 {
		return append([]string{"group"}, names...)
	}
	return names
}

func (r *alertReport) cells(rule rule, cells ...string) []string {
	if len(r.rules) > 1 {
		return append([]string{r.called(rule)}, cells...)
	}
	return cells
}

// next is when the alert's state changes if its condition does not.
func (a activeRow) next() string {
	switch {
	case a.State == pending:
		return "fires at " + utc(a.ActiveAt.Add(time.Duration(a.rule.Duration)))
	case !a.KeepFiringSince.IsZero():
		return "ends at " + utc(a.KeepFiringSince.Add(time.Duration(a.rule.KeepFiringFor)))
	}
	return ""
}

// deliver says whether what fires has reached Alertmanager.
func (r *alertReport) deliver(ctx context.Context) error {
	c, err := r.b.prometheus()
	if err != nil {
		return err
	}
	known, err := c.AlertManagers(ctx)
	switch err = translate(err, "say which Alertmanagers it sends to"); {
	case err != nil:
		r.skip("which Alertmanagers Prometheus sends to", err)
	case len(known.Active) == 0:
		r.out.Delivery = append(r.out.Delivery, "Prometheus knows no Alertmanager, so nobody is told: check alerting.alertmanagers in its configuration")
	default:
		r.out.Delivery = append(r.out.Delivery, "Prometheus sends to "+counted(len(known.Active), "Alertmanager"))
	}
	if len(r.fires) == 0 {
		return ctx.Err()
	}
	byName, err := amlabels.NewMatcher(amlabels.MatchEqual, model.AlertNameLabel, r.in.Name)
	if err != nil {
		return err
	}
	asking, enough := context.WithTimeout(ctx, dialTimeout) // the rest of the answer stands without it
	defer enough()
	held, err := r.b.heldAlerts(asking, amlabels.Matchers{byName})
	if err != nil {
		r.skip("what Alertmanager does with it", err)
		return ctx.Err()
	}
	r.judgeHeld(held)
	return ctx.Err()
}

func (r *alertReport) skip(what string, err error) {
	r.out.NotLooked = append(r.out.NotLooked, what+": "+err.Error())
}

func (r *alertReport) judgeHeld(held []heldAlert) {
	quiet, missing := 0, 0
	for i, row := range r.rows {
		if row.State != firing {
			continue
		}
		at := slices.IndexFunc(held, func(h heldAlert) bool { return has(h.labels, row.Labels) }) // and the external ones
		if at < 0 {
			missing++
			r.rows[i].held = "not there"
			continue
		}
		r.rows[i].held = treatment(held[at])
		if held[at].suppressed() {
			quiet++
		}
	}
	total := len(r.fires)
	text := fmt.Sprintf("Alertmanager has %d of the %d that fire", total-missing, total)
	if quiet > 0 {
		text += fmt.Sprintf("; of %d nobody is told", quiet)
	}
	r.out.Delivery = append(r.out.Delivery, text)
	if missing > 0 {
		r.out.Delivery = append(r.out.Delivery, "what is not there was dropped or changed by alert_relabel_configs, could not be sent (see prometheus_notifications_errors_total), or has only just begun")
	}
}

// treatment is what Alertmanager does with an alert.
func treatment(h heldAlert) string {
	switch {
	case len(h.silencedBy) > 0:
		return "silenced by " + fewOf(h.silencedBy, 2)
	case len(h.inhibitedBy) > 0:
		return "inhibited by " + counted(len(h.inhibitedBy), "alert")
	case h.suppressed():
		return "muted by a time interval, for " + fewOf(h.receivers, 3)
	}
	return "to " + fewOf(h.receivers, 3)
}
