package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var rules = mcpkit.Tool{
	Name:        "prometheus_rules",
	Title:       "Alerting and recording rules",
	Description: "Lists rules with their state, those that fail or are slow first. For one alert use prometheus_explain_alert.",
	Narrow:      "give name, group, file or type, or lower limit",
}

type RulesIn struct {
	Name  string `json:"name,omitempty" jsonschema:"part of a rule's name"`
	Type  string `json:"type,omitempty"`
	Group string `json:"group,omitempty"`
	File  string `json:"file,omitempty" jsonschema:"end of a file's path"`
	Limit int    `json:"limit,omitempty" jsonschema:"most rules; 30 if absent"`
}

func (RulesIn) Constrain(p mcpkit.Properties) {
	p["type"].Description, p["type"].Enum = "both if absent", []any{"alert", "record"}
	p["group"].Description = "name of a group"
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type RulesOut struct {
	Summary  string       `json:"summary" jsonschema:"how many, and how many have trouble"`
	Problems []string     `json:"problems,omitempty" jsonschema:"what fails, is late or slow, the worst first"`
	Groups   mcpkit.Table `json:"groups"`
	mcpkit.Left
	Rules mcpkit.Table `json:"rules" jsonschema:"those with trouble first, then firing, then in their order"`
}

func (b *Backend) rules(ctx context.Context, in RulesIn) (RulesOut, error) {
	params := url.Values{"exclude_alerts": {"true"}}
	if in.Type != "" {
		params.Set("type", in.Type)
	}
	if in.Group != "" {
		params.Set("rule_group[]", in.Group)
	}
	groups, err := b.ruleGroups(ctx, params)
	if err != nil {
		return RulesOut{}, err
	}
	found := in.among(groups)
	if len(found) == 0 && in != (RulesIn{Limit: in.Limit}) {
		return RulesOut{}, b.noRules(ctx, in)
	}
	now := b.now()
	slices.SortStableFunc(found, func(x, y rule) int {
		worseX, _ := x.fault(now)
		worseY, _ := y.fault(now)
		return cmp.Or(worseY-worseX, stateRank(y.State)-stateRank(x.State))
	})
	out := RulesOut{Summary: rulesSummary(found, now), Problems: ruleProblems(found, now), Groups: groupTable(found, now)}
	out.Rules = mcpkit.Table{Columns: []string{"group", "name", "state", "health", "for", "expr"}, Rows: [][]string{}}
	for _, r := range found {
		out.Rules.Rows = append(out.Rules.Rows, []string{r.group.Name, r.Name, cmp.Or(r.State, "recording"), r.Health, holds(r), r.Query})
	}
	out.Left, out.Rules.Rows = firstRows(out.Rules.Rows, cmp.Or(in.Limit, 30), "rules")
	return out, nil
}

// holds is how long a rule's condition must hold.
func holds(r rule) string {
	if r.Type != alerting {
		return ""
	}
	text := r.Duration.String()
	if r.KeepFiringFor > 0 {
		text += ", keeps firing for " + r.KeepFiringFor.String()
	}
	return text
}

func stateRank(state string) int {
	return slices.Index([]string{"", "inactive", pending, firing}, state)
}

// among filters here too: older versions ignore the filters of a request.
func (in RulesIn) among(groups []*ruleGroup) []rule {
	var out []rule
	kind := map[string]string{"alert": alerting, "record": "recording"}[in.Type]
	for _, g := range groups {
		if in.Group != "" && g.Name != in.Group || !strings.HasSuffix(g.File, in.File) {
			continue
		}
		for _, r := range g.Rules {
			if (kind == "" || r.Type == kind) && strings.Contains(strings.ToLower(r.Name), strings.ToLower(in.Name)) {
				out = append(out, r)
			}
		}
	}
	return out
}

// noRules says which filter lets no rule through, and what comes near.
func (b *Backend) noRules(ctx context.Context, in RulesIn) error {
	groups, err := b.ruleGroups(ctx, url.Values{"exclude_alerts": {"true"}})
	if err != nil {
		return err
	}
	var names, files, groupNames []string
	for _, g := range groups {
		files, groupNames = append(files, g.File), append(groupNames, g.Name)
		for _, r := range g.Rules {
			names = append(names, r.Name)
		}
	}
	for _, f := range []struct {
		noun, wanted string
		filter       RulesIn
		known        []string
	}{{"name", in.Name, RulesIn{Name: in.Name}, names}, {"group", in.Group, RulesIn{Group: in.Group}, groupNames}, {"file", in.File, RulesIn{File: in.File}, files}} {
		if f.wanted == "" || len(f.filter.among(groups)) > 0 {
			continue
		}
		slices.Sort(f.known)
		f.known = slices.Compact(f.known)
		if near := mcpkit.Nearest(f.wanted, f.known); len(near) > 0 {
			f.known = near
		}
		return mcpkit.Errorf(mcpkit.NotFound, "no rule with %s %q; there are %s", f.noun, f.wanted, fewOf(f.known, 10))
	}
	return mcpkit.Errorf(mcpkit.NotFound, "no rule passes all of the filters, though each alone has some; give fewer")
}

func rulesSummary(found []rule, now time.Time) string {
	byRank, states := map[int]int{}, map[string]int{}
	for _, r := range found {
		rank, _ := r.fault(now)
		byRank[rank]++
		states[r.State]++
	}
	return fmt.Sprintf("%s: %d failing, %d not evaluated, %d slow; %d firing, %d pending",
		counted(len(found), "rule"), byRank[3], byRank[2], byRank[1], states[firing], states[pending])
}

func ruleProblems(found []rule, now time.Time) []string {
	const most = 20
	var out []string
	for _, r := range found {
		if _, text := r.fault(now); text != "" {
			out = append(out, r.Name+" in group "+r.group.Name+" "+text)
		}
	}
	if over := len(out) - most; over > 0 {
		out = append(out[:most], fmt.Sprintf("and %d more", over))
	}
	return out
}

// groupTable has the groups of rules, the one that takes most of its interval
// first.
func groupTable(found []rule, now time.Time) mcpkit.Table {
	t := mcpkit.Table{Columns: []string{"group", "file", "rules", "interval", "took", "evaluated"}, Rows: [][]string{}}
	counts := map[*ruleGroup]int{}
	var groups []*ruleGroup
	for _, r := range found {
		if counts[r.group]++; counts[r.group] == 1 {
			groups = append(groups, r.group)
		}
	}
	load := func(g *ruleGroup) float64 { return float64(g.EvaluationTime) / max(float64(g.Interval), 1) }
	slices.SortStableFunc(groups, func(x, y *ruleGroup) int { return cmp.Compare(load(y), load(x)) })
	for _, g := range groups {
		evaluated := "never"
		if !g.LastEvaluation.IsZero() {
			evaluated = since(now, g.LastEvaluation) + " ago"
		}
		t.Rows = append(t.Rows, []string{g.Name, path.Base(g.File), strconv.Itoa(counts[g]), g.Interval.String(), brieftime(time.Duration(g.EvaluationTime)), evaluated})
	}
	return t
}
