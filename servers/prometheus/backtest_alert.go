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
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var backtestAlert = mcpkit.Tool{
	Name:        "prometheus_backtest_alert",
	Title:       "Would this alert have fired",
	Description: "When an alert would have fired in a past window, and what really fired: of a rule by name, of that rule with other values, or of a proposed query.",
	Narrow:      "give a shorter window, or lower limit",
}

type BacktestAlertIn struct {
	Name          string            `json:"name,omitempty" jsonschema:"existing rule"`
	Group         string            `json:"group,omitempty" jsonschema:"if several groups have it"`
	Query         string            `json:"query,omitempty" jsonschema:"proposed expression"`
	For           *mcpkit.Duration  `json:"for,omitempty" jsonschema:"the rule's or 0s if absent"`
	KeepFiringFor *mcpkit.Duration  `json:"keep_firing_for,omitempty"`
	Labels        map[string]string `json:"labels,omitempty" jsonschema:"added to each alert"`
	Interval      mcpkit.Duration   `json:"interval,omitempty" jsonschema:"the rule's or 1m if absent"`
	Start         mcpkit.When       `json:"start,omitzero" jsonschema:"1d ago if absent"`
	End           mcpkit.When       `json:"end,omitzero" jsonschema:"now if absent"`
	Limit         int               `json:"limit,omitempty" jsonschema:"20 if absent"`
}

func (BacktestAlertIn) Constrain(p mcpkit.Properties) {
	p["keep_firing_for"].Description = "likewise"
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type BacktestAlertOut struct {
	Verdict  string   `json:"verdict" jsonschema:"how often it would have fired, for how long"`
	Findings []string `json:"findings,omitempty" jsonschema:"flapping, near misses, what is uncertain"`
	Really   []string `json:"really,omitempty" jsonschema:"how it compares with what fired"`
	Rule     string   `json:"rule" jsonschema:"what was tried"`
	Window   string   `json:"window" jsonschema:"and how often it was evaluated"`
	Same     string   `json:"same,omitempty" jsonschema:"labels that all firings share"`
	mcpkit.Left
	Firings mcpkit.Table `json:"firings" jsonschema:"newest first"`
}

func (b *Backend) backtestAlert(ctx context.Context, in BacktestAlertIn) (BacktestAlertOut, error) {
	p, err := b.proposal(ctx, in)
	if err != nil {
		return BacktestAlertOut{}, err
	}
	start, end, err := b.window(in.Start, in.End, day)
	if err != nil {
		return BacktestAlertOut{}, err
	}
	t := &backtest{b: b, in: in, p: p, start: start, end: end}
	if err := t.run(ctx); err != nil {
		return BacktestAlertOut{}, err
	}
	return t.out(), nil
}

// proposal is the rule to try.
type proposal struct {
	simulation
	query    parser.Expr
	existing *rule // that it is, or differs from; nil if there is none
	changed  bool  // whether it differs from existing
	group    *ruleGroup
}

// maxHold is how long before the window a backtest may have to begin.
const maxHold = 90 * day

// proposal reads the rule that a call names, proposes or changes.
func (b *Backend) proposal(ctx context.Context, in BacktestAlertIn) (p proposal, err error) {
	if in.Name == "" && in.Query == "" {
		return p, mcpkit.Errorf(mcpkit.Invalid, "give name for an existing rule, or query for a proposed one")
	}
	if len(in.Labels) > 50 {
		return p, mcpkit.Errorf(mcpkit.Invalid, "%d labels are more than an alert has; give at most 50", len(in.Labels))
	}
	p.group = &ruleGroup{Interval: seconds(time.Minute)}
	text := in.Query
	p.labels = model.LabelSet{}
	if in.Name != "" {
		if p.existing, err = b.oneRule(ctx, in); err != nil {
			return p, err
		}
		text = cmp.Or(text, p.existing.Query)
		p.start(in, text)
	}
	p.override(in)
	if p.hold > maxHold || p.keep > maxHold {
		return p, mcpkit.Errorf(mcpkit.Invalid, "for and keep_firing_for can be %s at most here", span(maxHold))
	}
	if p.query, err = b.parse(text); err != nil {
		return p, err
	}
	if t := p.query.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
		return p, mcpkit.Errorf(mcpkit.Invalid, "an alert needs an instant vector or a scalar, and this is a %s; compare a function of it, such as rate(x[5m]) > 1", parser.DocumentedType(t))
	}
	return p, nil
}

// start takes what the existing rule says, of which the call may change parts.
func (p *proposal) start(in BacktestAlertIn, query string) {
	r := p.existing
	p.hold, p.keep, p.limit = time.Duration(r.Duration), time.Duration(r.KeepFiringFor), r.group.Limit
	if r.group.Interval > 0 {
		p.group = r.group
	}
	maps.Copy(p.labels, r.Labels)
	p.changed = query != r.Query || in.For != nil || in.KeepFiringFor != nil || len(in.Labels) > 0 || in.Interval != 0
}

// override takes what the call says.
func (p *proposal) override(in BacktestAlertIn) {
	if in.For != nil {
		p.hold = time.Duration(*in.For)
	}
	if in.KeepFiringFor != nil {
		p.keep = time.Duration(*in.KeepFiringFor)
	}
	for name, value := range in.Labels {
		p.labels[model.LabelName(name)] = model.LabelValue(value)
	}
	if in.Interval != 0 {
		p.group = &ruleGroup{Name: p.group.Name, File: p.group.File, Interval: seconds(max(time.Duration(in.Interval), time.Second))}
	}
}

// oneRule is the one existing rule that a call names.
func (b *Backend) oneRule(ctx context.Context, in BacktestAlertIn) (*rule, error) {
	found, err := b.alertRules(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if found, err = ofGroup(found, in.Name, in.Group); err != nil {
		return nil, err
	}
	if len(found) > 1 {
		var each []string
		for _, r := range found {
			each = append(each, fmt.Sprintf("%s (%s)", r.group.Name, brieftext(r.Query)))
		}
		return nil, mcpkit.Errorf(mcpkit.Invalid, "%d rules are called %s, in the groups %s; give group, or query and for where they share one", len(found), in.Name, fewOf(each, 10))
	}
	return &found[0], nil
}

// String is the rule in a line.
func (p proposal) String() string {
	text := fmt.Sprintf("%s for %s", p.query, span(p.hold))
	if p.keep > 0 {
		text += ", keeps firing for " + span(p.keep)
	}
	if len(p.labels) > 0 {
		text += ", labels " + selector(model.Metric(p.labels))
	}
	switch {
	case p.existing == nil:
		return "proposed: " + text
	case p.changed:
		return p.existing.Name + ", changed: " + text
	}
	return p.existing.Name + ": " + text
}

// backtest is one call on its way.
type backtest struct {
	b          *Backend
	in         BacktestAlertIn
	p          proposal
	start, end time.Time
	step       time.Duration

	result   simulated
	findings []string
	really   []string
}

// run evaluates the rule over the window and before it, as long as a state from
// before can last, and holds it against what fired.
func (t *backtest) run(ctx context.Context) error {
	if r := t.p.existing; r != nil && t.end.After(r.LastEvaluation) && t.start.Before(r.LastEvaluation) {
		t.end = r.LastEvaluation // later, the rule itself does not know yet
	}
	interval := time.Duration(t.p.group.Interval)
	before := t.p.hold + t.p.keep + interval
	if err := t.chooseStep(ctx, t.start.Add(-before), interval); err != nil {
		return err
	}
	streams, err := t.read(ctx, t.p.query.String(), t.start.Add(-before))
	if err != nil {
		return err
	}
	first, last := t.slots(t.start.Add(-before))
	t.p.lowest = lowestPeaks(t.p.query)
	t.result = t.p.simulate(streams, first, last, t.step)
	t.result.clip(t.start, t.end)
	t.remark(interval)
	if len(streams) == 0 {
		t.findings = append(t.findings, t.whyNever(ctx)...)
	}
	return t.compareReal(ctx)
}

// The most evaluations of one backtest, and of one request of it: Prometheus
// answers with at most 11,000 points a series.
const (
	maxEvaluations        = 44_000
	evaluationsPerRequest = 5_500
	maxBacktestSeries     = 500
)

// chooseStep takes the group's interval, or a multiple of it where the window
// is long or the expression costly.
func (t *backtest) chooseStep(ctx context.Context, from time.Time, interval time.Duration) error {
	times := int64(1)
	evaluations := int64(t.end.Sub(from) / interval)
	times = max(times, (evaluations+maxEvaluations-1)/maxEvaluations)
	cost, tooMuch, err := t.b.guard(ctx, t.p.query, t.end, int(evaluations/times))
	if err != nil {
		return err
	}
	if tooMuch {
		const most = 100
		over := int64(cost.samples()/maxSamples) + 1
		if over > most {
			return mcpkit.Errorf(mcpkit.TooLarge, "to try this rule in this window Prometheus would read %s samples (%s); give a shorter window, or a narrower expression", count(cost.samples()), strings.Join(cost.lines(), "; "))
		}
		times *= over
	}
	t.step = interval * time.Duration(times)
	return nil
}

// slots are the first and the last evaluation from a moment on to the end.
func (t *backtest) slots(from time.Time) (first, last time.Time) {
	first = t.p.group.slot(from)
	if first.Before(from) {
		first = first.Add(time.Duration(t.p.group.Interval))
	}
	first = first.Truncate(time.Millisecond) // as samples are
	n := max(0, t.end.Sub(first)/t.step)
	return first, first.Add(n * t.step)
}

// read evaluates an expression at each evaluation of the rule. Where the answer
// is too large, it goes on with larger steps.
func (t *backtest) read(ctx context.Context, expr string, from time.Time) (streams []stream, err error) {
	const coarser, tries = 4, 3
	for range tries {
		if streams, err = t.readOnce(ctx, expr, from); !isTooLarge(err) {
			return streams, err
		}
		t.step *= coarser
	}
	return nil, err
}

// out says what came of it.
func (t *backtest) out() BacktestAlertOut {
	out := BacktestAlertOut{Verdict: t.verdict(), Findings: t.findings, Really: t.really, Rule: t.p.String()}
	out.Window = fmt.Sprintf("%s, evaluated every %s", stretch{t.start, t.end}, span(t.step))
	episodes := slices.Clone(t.result.fired)
	slices.SortStableFunc(episodes, func(a, b episode) int {
		return cmp.Or(b.start.Compare(a.start), strings.Compare(a.labels.String(), b.labels.String()))
	})
	var series []model.Metric
	var cells [][]string
	for _, e := range episodes {
		series, cells = append(series, model.Metric(e.labels)), append(cells, e.cells())
	}
	out.Same, out.Firings = tabulate(series, []string{"start", "end", "lasted", "peak"}, cells)
	out.Left, out.Firings.Rows = firstRows(out.Firings.Rows, cmp.Or(t.in.Limit, 20), "firings")
	return out
}

func (e episode) cells() []string {
	start, end := utc(e.start), utc(e.end)
	if e.before {
		start = "before " + start
	}
	if e.open {
		end = "still fires"
	}
	return []string{start, end, span(e.end.Sub(e.start)), rounded(e.peak)}
}

func (t *backtest) verdict() string {
	fired := t.result.fired
	if len(fired) == 0 {
		return "it would not have fired"
	}
	series := map[model.Fingerprint]bool{}
	total, longest := time.Duration(0), time.Duration(0)
	for _, e := range fired {
		series[e.labels.Fingerprint()] = true
		total += e.end.Sub(e.start)
		longest = max(longest, e.end.Sub(e.start))
	}
	text := fmt.Sprintf("it would have fired %s, on %d series, for %s added up, the longest for %s", timesText(len(fired)), len(series), span(total), span(longest))
	if open := len(slices.DeleteFunc(slices.Clone(fired), func(e episode) bool { return !e.open })); open > 0 {
		text += fmt.Sprintf("; %d still fire at the end", open)
	}
	return text
}

func timesText(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
