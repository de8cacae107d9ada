package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
	"go.yaml.in/yaml/v2"
)

var explainRoute = mcpkit.Tool{
	Name:        "alertmanager_explain_route",
	Title:       "Explain an alert's route",
	Description: "Who is notified of an alert, when, through which routes, or what mutes it: inhibition, silence, time interval. From the configuration Alertmanager runs with; for alerts that fire and ones that might.",
	Narrow:      "give more labels",
}

type ExplainRouteIn struct {
	Name   string            `json:"name,omitempty" jsonschema:"of the alert"`
	Labels map[string]string `json:"labels,omitempty" jsonschema:"such as {\"team\": \"shop\"}; held alerts that have them are explained, else these labels"`
	Exact  bool              `json:"exact,omitempty" jsonschema:"these labels alone, as if such an alert fired"`
}

type ExplainRouteOut struct {
	Verdict string `json:"verdict" jsonschema:"who is notified, or what keeps everybody from it"`
	Alert   string `json:"alert" jsonschema:"which alert this is about, and whether it fires"`
	mcpkit.Left
	MutedBy   []string     `json:"muted_by,omitempty" jsonschema:"silences and inhibitions"`
	Receivers mcpkit.Table `json:"receivers,omitzero" jsonschema:"one row per route that notifies"`
	Path      mcpkit.Table `json:"path,omitzero" jsonschema:"the routes that were tried, in their order"`
	Others    mcpkit.Table `json:"others,omitzero" jsonschema:"alerts with these labels that fare otherwise"`
	Notes     []string     `json:"notes,omitempty" jsonschema:"what could not be read, and routes that no alert can reach"`
}

const (
	shownMisses = 12 // routes that do not match
	shownOthers = 20
	shownDead   = 5
)

func (b *Backend) explainRoute(ctx context.Context, in ExplainRouteIn) (ExplainRouteOut, error) {
	wanted := model.LabelSet{}
	for name, value := range in.Labels {
		wanted[model.LabelName(name)] = model.LabelValue(value)
	}
	if in.Name != "" {
		wanted[model.AlertNameLabel] = model.LabelValue(in.Name)
	}
	if len(wanted) == 0 {
		return ExplainRouteOut{}, mcpkit.Errorf(mcpkit.Invalid, `name and labels are empty; give an alert's name, or its labels such as {"severity": "critical", "team": "shop"}`)
	}
	v, err := b.view(ctx)
	if err != nil {
		return ExplainRouteOut{}, err
	}
	var fates []*fate
	for _, a := range b.meant(ctx, wanted, in.Exact, v.held) {
		f, err := v.explain(a)
		if err != nil {
			return ExplainRouteOut{}, err
		}
		fates = append(fates, f)
	}
	slices.SortStableFunc(fates, func(x, y *fate) int { return cmp.Compare(x.rank(), y.rank()) })
	out := fates[0].answer(v)
	out.addOthers(fates)
	out.addNotes(v)
	return out, nil
}

// meant returns the alerts that labels stand for: one that is held and has just
// these, all that are held and have these among others, or else those that the
// rule of that name would send.
func (b *Backend) meant(ctx context.Context, wanted model.LabelSet, exact bool, held []heldAlert) []heldAlert {
	if same := slices.IndexFunc(held, func(a heldAlert) bool { return a.labels.Equal(wanted) }); same >= 0 {
		return held[same : same+1]
	}
	if exact {
		return []heldAlert{{labels: wanted}}
	}
	if having := slices.DeleteFunc(slices.Clone(held), func(a heldAlert) bool { return !has(a.labels, wanted) }); len(having) > 0 {
		return having
	}
	if ruled := b.ruled(ctx, wanted); len(ruled) > 0 {
		return ruled
	}
	return []heldAlert{{labels: wanted}}
}

// ruled returns what the alerting rules of a name would send: the labels of
// their pending alerts, or those the rule sets itself, and Prometheus's own.
// How it relabels alerts on their way is not looked at. Prometheus need not
// answer for this: without it the labels stand as they were given.
func (b *Backend) ruled(ctx context.Context, wanted model.LabelSet) []heldAlert {
	c, err := b.prometheus()
	if err != nil || wanted[model.AlertNameLabel] == "" {
		return nil
	}
	ctx, enough := context.WithTimeout(ctx, dialTimeout)
	defer enough()
	all, err := c.Rules(ctx, nil)
	if err != nil {
		return nil
	}
	everywhere := externalLabels(ctx, c)
	var out []heldAlert
	add := func(from model.LabelSet) {
		l := everywhere.Clone()
		for name, value := range from {
			if !strings.Contains(string(value), "{{") { // its value shows when it fires
				l[name] = value
			}
		}
		maps.Copy(l, wanted)
		if !slices.ContainsFunc(out, func(a heldAlert) bool { return a.labels.Equal(l) }) {
			out = append(out, heldAlert{labels: l})
		}
	}
	for _, g := range all.Groups {
		for _, r := range g.Rules {
			rule, ok := r.(promv1.AlertingRule)
			if !ok || rule.Name != string(wanted[model.AlertNameLabel]) {
				continue
			}
			for _, a := range rule.Alerts {
				add(a.Labels)
			}
			if len(rule.Alerts) == 0 {
				add(rule.Labels)
			}
		}
	}
	return out
}

// externalLabels are those that Prometheus adds to every alert it sends; none
// where it does not tell.
func externalLabels(ctx context.Context, c *client) model.LabelSet {
	var config struct {
		Global struct {
			Labels map[string]string `yaml:"external_labels"`
		} `yaml:"global"`
	}
	out := model.LabelSet{}
	res, err := c.Config(ctx)
	if err != nil || yaml.Unmarshal([]byte(res.YAML), &config) != nil {
		return out
	}
	for name, value := range config.Global.Labels {
		out[model.LabelName(name)] = model.LabelValue(value)
	}
	return out
}

// has reports whether l has all of wanted; an empty value stands for no label.
func has(l, wanted model.LabelSet) bool {
	for name, value := range wanted {
		if l[name] != value {
			return false
		}
	}
	return true
}

// view is Alertmanager at one moment: what it was told to do, and what it holds.
type view struct {
	*routing
	held     []heldAlert
	silences []heldSilence
	now      time.Time
}

func (b *Backend) view(ctx context.Context) (*view, error) {
	v := &view{now: b.now()}
	err := mcpkit.Together(ctx, 3,
		func(ctx context.Context) (err error) { v.routing, err = b.routing(ctx); return err },
		func(ctx context.Context) (err error) { v.held, err = b.heldAlerts(ctx, nil); return err },
		func(ctx context.Context) (err error) { v.silences, err = b.heldSilences(ctx); return err },
	)
	return v, err
}

// fate is what becomes of one alert.
type fate struct {
	alert      heldAlert
	fires      bool
	ends       []*route
	tried      []step
	inhibited  []inhibition
	silenced   []heldSilence
	quiet      map[*route]string // time intervals that mute it
	differs    []string          // where Alertmanager itself says otherwise
	unroutable bool              // the tree could not be read
}

func (v *view) explain(a heldAlert) (*fate, error) {
	f := &fate{alert: a, fires: a.fingerprint != "", quiet: map[*route]string{}}
	f.inhibited = v.inhibitions(a.labels, v.held)
	for _, s := range v.silences {
		if s.state == silenceActive && s.matchers.Matches(a.labels) {
			f.silenced = append(f.silenced, s)
		}
	}
	switch {
	case v.root != nil:
		f.ends, f.tried = v.root.walk(a.labels)
	case f.fires:
		f.unroutable = true
		for _, name := range a.receivers {
			f.ends = append(f.ends, &route{receiver: name, path: "?"})
		}
	default:
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the routes cannot be followed: %s", strings.Join(v.unread, "; "))
	}
	for _, r := range f.ends {
		if by := v.quiet(r, v.now); by != "" {
			f.quiet[r] = by
		}
	}
	f.compare()
	return f, nil
}

// compare holds what was worked out against what Alertmanager says of an alert
// it holds.
func (f *fate) compare() {
	if !f.fires || f.unroutable {
		return
	}
	var receivers, silences []string
	for _, r := range f.ends {
		receivers = append(receivers, r.receiver)
	}
	for _, s := range f.silenced {
		silences = append(silences, s.id)
	}
	differ := func(what string, ours, theirs []string) {
		ours, theirs = slices.Sorted(slices.Values(ours)), slices.Sorted(slices.Values(theirs))
		if ours, theirs = slices.Compact(ours), slices.Compact(theirs); !slices.Equal(ours, theirs) {
			f.differs = append(f.differs, fmt.Sprintf("Alertmanager itself says %s %s", what, cmp.Or(strings.Join(theirs, ", "), "none")))
		}
	}
	differ("its receivers are", receivers, f.alert.receivers)
	differ("it is silenced by", silences, f.alert.silencedBy)
	if (len(f.inhibited) > 0) != (len(f.alert.inhibitedBy) > 0) {
		f.differs = append(f.differs, "Alertmanager itself says it is inhibited by "+cmp.Or(strings.Join(f.alert.inhibitedBy, ", "), "none"))
	}
}

// rank puts the alerts somebody is told of before the others.
func (f *fate) rank() int {
	switch {
	case len(f.inhibited)+len(f.silenced) > 0:
		return 2
	case len(f.quiet) == len(f.ends):
		return 1
	}
	return 0
}

// addOthers lists the alerts that fare otherwise than the first.
func (out *ExplainRouteOut) addOthers(fates []*fate) {
	alike, first := 0, fates[0].verdict(nil)
	var rows [][]string
	for _, f := range fates[1:] {
		if v := f.verdict(nil); v != first {
			rows = append(rows, []string{f.alert.String(), v})
		} else {
			alike++
		}
	}
	if alike > 0 {
		out.Alert += fmt.Sprintf("; %s with these labels likewise", counted(alike, "more alert"))
	}
	if len(rows) == 0 {
		return
	}
	out.Verdict += fmt.Sprintf("; %s with these labels otherwise, see others", counted(len(rows), "more alert"))
	shown, cut := mcpkit.FirstN(rows, 0, shownOthers)
	out.Others = mcpkit.Table{Columns: []string{"alert", "verdict"}, Rows: shown}
	if cut {
		out.leave(fmt.Sprintf("%d more alerts with these labels; %s", len(rows)-len(shown), explainRoute.Narrow))
	}
}

func (out *ExplainRouteOut) addNotes(v *view) {
	out.Notes = append(out.Notes, v.unread...)
	if v.root == nil {
		return
	}
	dead := v.root.dead(nil)
	out.Notes = append(out.Notes, dead[:min(shownDead, len(dead))]...)
	if over := len(dead) - shownDead; over > 0 {
		out.leave(fmt.Sprintf("%d more routes that no alert can reach", over))
	}
}

// leave says what the answer leaves out.
func (out *ExplainRouteOut) leave(what string) {
	if out.Truncated = true; out.LeftOut != "" {
		what = out.LeftOut + "; " + what
	}
	out.LeftOut = what
}
