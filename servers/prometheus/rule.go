package prometheus

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// ruleGroup is a group of rules, evaluated one after another.
type ruleGroup struct {
	Name           string    `json:"name"`
	File           string    `json:"file"`
	Interval       seconds   `json:"interval"`
	Limit          int       `json:"limit"` // of alerts a rule may have; 0 is none
	EvaluationTime seconds   `json:"evaluationTime"`
	LastEvaluation time.Time `json:"lastEvaluation"`
	Rules          []rule    `json:"rules"`
}

// rule is an alerting or a recording rule with its state.
type rule struct {
	Type           string         `json:"type"` // alerting or recording
	Name           string         `json:"name"`
	Query          string         `json:"query"`
	State          string         `json:"state"`
	Duration       seconds        `json:"duration"` // how long the condition must hold
	KeepFiringFor  seconds        `json:"keepFiringFor"`
	Labels         model.LabelSet `json:"labels"`
	Annotations    model.LabelSet `json:"annotations"`
	Alerts         []activeAlert  `json:"alerts"`
	Health         string         `json:"health"`
	LastError      string         `json:"lastError"`
	EvaluationTime seconds        `json:"evaluationTime"`
	LastEvaluation time.Time      `json:"lastEvaluation"`

	group *ruleGroup
}

// activeAlert is one series for which a rule is pending or firing.
type activeAlert struct {
	Labels          model.LabelSet `json:"labels"`
	Annotations     model.LabelSet `json:"annotations"`
	State           string         `json:"state"`
	ActiveAt        time.Time      `json:"activeAt"`
	KeepFiringSince time.Time      `json:"keepFiringSince"` // zero while the condition holds
	Value           string         `json:"value"`
}

// number is the alert's value as other tools write it.
func (a activeAlert) number() string {
	v, err := strconv.ParseFloat(a.Value, 64)
	if err != nil {
		return a.Value
	}
	return number(v)
}

const (
	firing   = "firing"
	pending  = "pending"
	alerting = "alerting"
)

// seconds is a duration that the API writes as a number of seconds.
type seconds time.Duration

// UnmarshalJSON reads a number of seconds.
func (s *seconds) UnmarshalJSON(b []byte) error {
	var f float64
	err := json.Unmarshal(b, &f)
	*s = seconds(f * float64(time.Second))
	return err
}

func (s seconds) String() string { return span(time.Duration(s)) }

// groupsPerPage is how many groups one request asks for, and maxPages how many
// requests one call makes. Older versions answer with all groups at once.
const (
	groupsPerPage = 200
	maxPages      = 20
)

// ruleGroups returns the groups that have rules params select, page by page.
func (b *Backend) ruleGroups(ctx context.Context, params url.Values) ([]*ruleGroup, error) {
	type page struct {
		Groups []*ruleGroup `json:"groups"`
		Next   string       `json:"groupNextToken"`
	}
	params.Set("group_limit", strconv.Itoa(groupsPerPage))
	var all []*ruleGroup
	for range maxPages {
		p, err := fetch[page](ctx, b, "rules", params, "list the rules")
		if err != nil {
			return nil, err
		}
		for _, g := range p.Groups {
			for i := range g.Rules {
				g.Rules[i].group = g
			}
		}
		all = append(all, p.Groups...)
		if p.Next == "" {
			return all, nil
		}
		params.Set("group_next_token", p.Next)
	}
	return nil, mcpkit.Errorf(mcpkit.TooLarge, "there are more than %d groups of rules; ask for one file or one group", maxPages*groupsPerPage)
}

// alertRules returns the alerting rules of a name, or an error that names the
// nearest.
func (b *Backend) alertRules(ctx context.Context, name string) ([]rule, error) {
	groups, err := b.ruleGroups(ctx, url.Values{"type": {"alert"}, "rule_name[]": {name}})
	if err != nil {
		return nil, err
	}
	if found := alertsNamed(groups, name); len(found) > 0 {
		return found, nil
	}
	if groups, err = b.ruleGroups(ctx, url.Values{"type": {"alert"}, "exclude_alerts": {"true"}}); err != nil {
		return nil, err
	}
	var names []string
	for _, g := range groups {
		for _, r := range g.Rules {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	text := "Prometheus has no alerting rules"
	if len(names) > 0 {
		text = "no alerting rule is called " + strconv.Quote(name) + "; the names are " + fewOf(names, 10)
	}
	if near := mcpkit.Nearest(name, names); len(near) > 0 {
		text = "no alerting rule is called " + strconv.Quote(name) + "; the nearest names are " + strings.Join(near, ", ")
	}
	return nil, mcpkit.Errorf(mcpkit.NotFound, "%s", text)
}

// alertsNamed filters here too: older versions ignore the filters of a request.
func alertsNamed(groups []*ruleGroup, name string) []rule {
	var found []rule
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Type == alerting && r.Name == name {
				found = append(found, r)
			}
		}
	}
	return found
}

// slot is the last moment, not after t, for which a group's rules are
// evaluated: Prometheus spreads groups over their interval by a hash of file
// and name.
func (g *ruleGroup) slot(t time.Time) time.Time {
	interval := int64(g.Interval)
	if interval <= 0 {
		return t
	}
	offset := int64(0)
	if g.Name != "" { // else it is only proposed
		offset = int64(labels.FromStrings("name", g.Name, "file", g.File).Hash() % uint64(interval))
	}
	since := t.UnixNano() - offset
	return time.Unix(0, since-since%interval+offset)
}

// fault is what is wrong with a rule's evaluation, worst first by rank; none if
// it is empty.
func (r rule) fault(now time.Time) (rank int, text string) {
	interval := time.Duration(r.group.Interval)
	late := now.Sub(r.LastEvaluation)
	switch {
	case r.Health == "err" || r.LastError != "":
		return 3, "fails: " + cmp.Or(r.LastError, "no error given")
	case r.LastEvaluation.IsZero():
		return 2, "is not evaluated yet"
	case interval > 0 && late > 3*interval+10*time.Second:
		return 2, "was not evaluated for " + span(late) + " though its interval is " + span(interval)
	case interval > 0 && time.Duration(r.EvaluationTime) > interval/2:
		return 1, "is slow: it takes " + brieftime(time.Duration(r.EvaluationTime)) + " of its interval of " + span(interval)
	}
	return 0, ""
}

// brieftime writes a duration to two or three digits: 1.2ms, 340ms, 4.1s. Of
// what took no time nothing is known.
func brieftime(d time.Duration) string {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 10).String()
		}
	}
	return ""
}

// since writes how long ago a moment was.
func since(now, t time.Time) string { return span(max(now.Sub(t), 0)) }
