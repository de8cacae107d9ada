package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var alertmanagerAlerts = mcpkit.Tool{
	Name:        "alertmanager_alerts",
	Title:       "List alerts in Alertmanager",
	Description: "Alerts as Alertmanager holds them, alike ones folded, worst first: who is notified, what is silenced, inhibited or muted. Pending alerts and rules: prometheus_alerts.",
	Narrow:      "pass matchers, state or receiver, or lower limit",
}

// States that alertmanager_alerts tells apart.
const (
	stateActive     = "active"
	stateSuppressed = "suppressed"
)

type AlertmanagerAlertsIn struct {
	Matchers string `json:"matchers,omitempty" jsonschema:"such as severity=\"critical\", team=~\"shop|core\""`
	State    string `json:"state,omitempty" jsonschema:"suppressed: nobody is notified; both if absent"`
	Receiver string `json:"receiver,omitempty" jsonschema:"only alerts routed to it"`
	Limit    int    `json:"limit,omitempty" jsonschema:"most rows; 50 if absent"`
}

func (AlertmanagerAlertsIn) Constrain(p mcpkit.Properties) {
	p["state"].Enum = []any{stateActive, stateSuppressed}
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(1000.0)
}

type AlertmanagerAlertsOut struct {
	Verdict string `json:"verdict" jsonschema:"how many alerts there are, and how many are suppressed by what"`
	mcpkit.Left
	Alerts mcpkit.Table `json:"alerts,omitzero" jsonschema:"one row per name, severity, receivers and what suppresses them; labels that differ as a|b"`
}

func (b *Backend) alertmanagerAlerts(ctx context.Context, in AlertmanagerAlertsIn) (AlertmanagerAlertsOut, error) {
	ms, err := parseMatchers(in.Matchers)
	if err != nil {
		return AlertmanagerAlertsOut{}, err
	}
	held, err := b.heldAlerts(ctx, ms)
	if err != nil {
		return AlertmanagerAlertsOut{}, err
	}
	if in.Receiver != "" {
		if err := b.requireReceiver(ctx, in.Receiver); err != nil {
			return AlertmanagerAlertsOut{}, err
		}
	}
	all := slices.DeleteFunc(slices.Clone(held), func(a heldAlert) bool {
		return in.Receiver != "" && !slices.Contains(a.receivers, in.Receiver) ||
			in.State != "" && a.suppressed() != (in.State == stateSuppressed)
	})
	out := AlertmanagerAlertsOut{Verdict: alertCounts(all)}
	if len(held) == 0 && len(ms) > 0 {
		every, err := b.heldAlerts(ctx, nil)
		if err != nil {
			return AlertmanagerAlertsOut{}, err
		}
		out.Verdict += "; " + whyNone(every, ms)
	}
	folded := foldAlerts(all, b.inhibitors(ctx, held))
	rows, cut := mcpkit.FirstN(folded, in.Limit, 50)
	if cut {
		out.Truncated, out.LeftOut = true, fmt.Sprintf("%d less severe rows; %s", len(folded)-len(rows), alertmanagerAlerts.Narrow)
	}
	if len(rows) > 0 {
		out.Alerts.Columns = []string{"alert", "severity", "state", "count", "since", "receivers", "suppressed_by", "labels", "summary"}
	}
	for _, r := range rows {
		out.Alerts.Rows = append(out.Alerts.Rows, r.cells())
	}
	return out, nil
}

// alertCounts says how many alerts there are, and what suppresses how many.
func alertCounts(alerts []heldAlert) string {
	var silenced, inhibited, muted, suppressed int
	for _, a := range alerts {
		switch {
		case len(a.silencedBy) > 0:
			silenced++
		case len(a.inhibitedBy) > 0:
			inhibited++
		case a.suppressed():
			muted++
		}
		if a.suppressed() {
			suppressed++
		}
	}
	if len(alerts) == 0 {
		return "no alerts"
	}
	text := fmt.Sprintf("%s: %d active", counted(len(alerts), "alert"), len(alerts)-suppressed)
	for _, part := range []struct {
		n    int
		what string
	}{{silenced, "silenced"}, {inhibited, "inhibited"}, {muted, "muted by a time interval"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	return text
}

// alertRow is alerts of one name and severity that fare alike.
type alertRow struct {
	severity, state, suppressedBy, receivers string
	alerts                                   []heldAlert
}

// foldAlerts puts alike alerts into one row each, worst first: active before
// suppressed, then by severity, then the oldest.
func foldAlerts(alerts []heldAlert, names map[string]string) []*alertRow {
	folded := map[[4]string]*alertRow{}
	for _, a := range alerts {
		r := alertRow{severity: string(a.labels["severity"]), state: stateActive, suppressedBy: suppressedBy(a, names), receivers: strings.Join(a.receivers, ", ")}
		if a.suppressed() {
			r.state = stateSuppressed
		}
		key := [4]string{a.name(), r.severity, r.suppressedBy, r.receivers}
		if folded[key] == nil {
			folded[key] = &r
		}
		folded[key].alerts = append(folded[key].alerts, a)
	}
	rows := slices.Collect(maps.Values(folded))
	for _, r := range rows {
		slices.SortFunc(r.alerts, func(x, y heldAlert) int {
			return cmp.Or(x.starts.Compare(y.starts), cmp.Compare(x.String(), y.String()))
		})
	}
	slices.SortFunc(rows, func(x, y *alertRow) int {
		return cmp.Or(
			cmp.Compare(x.state, y.state),
			cmp.Compare(severityRank(x.severity), severityRank(y.severity)),
			x.alerts[0].starts.Compare(y.alerts[0].starts),
			cmp.Compare(x.alerts[0].String(), y.alerts[0].String()),
		)
	})
	return rows
}

// severityRank orders the usual severities, worst first; words it does not know
// come between warnings and informations.
func severityRank(severity string) int {
	for rank, words := range [][]string{
		{"critical", "page", "emergency", "fatal", "disaster"}, {"error", "high", "major"}, {"warning", "warn", "medium"}, {},
		{"", "minor", "low"}, {"info", "notice", "none", "debug"},
	} {
		if slices.Contains(words, strings.ToLower(severity)) {
			return rank
		}
	}
	return 3
}

// inhibitors names alerts by fingerprint, also those that are not among held
// and inhibit one of them. One that cannot be named goes by its fingerprint.
func (b *Backend) inhibitors(ctx context.Context, held []heldAlert) map[string]string {
	names := namesOf(held)
	if !slices.ContainsFunc(held, func(a heldAlert) bool {
		return slices.ContainsFunc(a.inhibitedBy, func(f string) bool { return names[f] == "" })
	}) {
		return names
	}
	every, err := b.heldAlerts(ctx, nil)
	if err != nil {
		return names
	}
	return namesOf(every)
}

func namesOf(alerts []heldAlert) map[string]string {
	names := map[string]string{}
	for _, a := range alerts {
		names[a.fingerprint] = a.name()
	}
	return names
}

// suppressedBy names what keeps an alert from its receivers.
func suppressedBy(a heldAlert, names map[string]string) string {
	var by []string
	for _, id := range a.silencedBy {
		by = append(by, "silence "+id)
	}
	for _, f := range a.inhibitedBy {
		by = append(by, "alert "+cmp.Or(names[f], f))
	}
	for _, r := range a.quiet() {
		by = append(by, fmt.Sprintf("time interval %s (%s)", strings.Join(a.mutedBy[r], ", "), r))
	}
	slices.Sort(by)
	return strings.Join(slices.Compact(by), "; ")
}

func (r *alertRow) cells() []string {
	first := r.alerts[0]
	return []string{
		first.name(), r.severity, r.state, fmt.Sprint(len(r.alerts)), first.starts.UTC().Format(time.RFC3339),
		r.receivers, r.suppressedBy, foldedLabels(r.alerts), cmp.Or(first.annotations["summary"], first.annotations["description"], first.annotations["message"]),
	}
}

// foldedLabels writes the labels of several alerts at once: name=value where
// they agree, name=a|b where they differ.
func foldedLabels(alerts []heldAlert) string {
	const shown = 4 // values of one label
	values := map[model.LabelName][]string{}
	for _, a := range alerts {
		for name, value := range a.labels {
			if name != model.AlertNameLabel && name != "severity" && !slices.Contains(values[name], string(value)) {
				values[name] = append(values[name], string(value))
			}
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		slices.Sort(values[name])
		text := strings.Join(values[name][:min(shown, len(values[name]))], "|")
		if over := len(values[name]) - shown; over > 0 {
			text += fmt.Sprintf("|(%d more)", over)
		}
		parts = append(parts, string(name)+"="+text)
	}
	return strings.Join(parts, " ")
}

// requireReceiver says which receivers there are when name is not one of them.
func (b *Backend) requireReceiver(ctx context.Context, name string) error {
	c, err := b.openAlertmanager(ctx)
	if err != nil {
		return err
	}
	names, err := receiverNames(ctx, c)
	if err != nil || slices.Contains(names, name) {
		return err
	}
	text := fmt.Sprintf("no receiver %q; there are %s", name, fewOf(names, 20))
	if near := mcpkit.Nearest(name, names); len(near) > 0 {
		text = fmt.Sprintf("no receiver %q; the nearest names are %s", name, strings.Join(near, ", "))
	}
	return mcpkit.Errorf(mcpkit.NotFound, "%s", text)
}
