package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// The bounds of taking one rule apart.
const (
	maxConditions    = 12
	maxSelections    = 12
	maxOperandSeries = 2000 // that are read of each side of a comparison
)

// dissection is a rule's expression taken apart, with the values its parts have.
type dissection struct {
	b  *Backend
	at time.Time

	remarks    []string // why it could not be done, or not wholly
	parts      []part
	selectors  []selection
	empty      map[parser.Node]string // selectors without series, and why
	impossible string                 // why the rule cannot fire now, empty if it can
	nearest    string                 // what comes nearest to firing
}

// part is one condition and what it evaluates to.
type part struct {
	condition
	pairs []pair       // of a comparison
	total int          // series of its left side
	value model.Vector // of what is no comparison
	more  bool         // whether there were more series than were read
	err   error
}

// dissect says how a rule's expression comes to its result, at the instant of
// the rule's own last evaluation.
func (r *alertReport) dissect(ctx context.Context, rule rule) (*dissection, error) {
	d := &dissection{b: r.b, at: rule.LastEvaluation, empty: map[parser.Node]string{}}
	if d.at.IsZero() {
		d.at = r.now
	}
	expr, err := r.b.parse(rule.Query)
	if err != nil {
		d.remark("the expression cannot be taken apart here, so only its state is known: %s", err)
		return d, nil
	}
	if cost, tooMuch, err := r.b.guard(ctx, expr, d.at, 1); err == nil && tooMuch {
		d.remark("the expression reads %s samples, too many to take it apart here", count(cost.samples()))
		return d, nil
	}
	all := conditions(expr)
	if over := len(all) - maxConditions; over > 0 {
		d.remark("the expression has %d conditions; the first %d are looked at", len(all), maxConditions)
		all = all[:maxConditions]
	}
	if err := d.evaluate(ctx, expr, all); err != nil {
		return nil, err
	}
	d.judge(expr)
	return d, nil
}

func (d *dissection) remark(format string, args ...any) {
	d.remarks = append(d.remarks, fmt.Sprintf(format, args...))
}

// evaluate asks for the values of all parts, and how many series each selector
// has. What fails is said of its part; only the end of the call is an error.
func (d *dissection) evaluate(ctx context.Context, expr parser.Expr, all []condition) error {
	var steps []func(context.Context) error
	d.parts = make([]part, len(all))
	for i, c := range all {
		d.parts[i].condition = c
		steps = append(steps, func(ctx context.Context) error {
			d.parts[i].err = d.parts[i].evaluate(ctx, d.b, d.at)
			return ctx.Err()
		})
	}
	d.selectors = selections(expr)
	d.selectors = d.selectors[:min(maxSelections, len(d.selectors))]
	reasons := make([]string, len(d.selectors))
	for i, s := range d.selectors {
		steps = append(steps, func(ctx context.Context) error {
			reasons[i] = d.whyEmpty(ctx, s)
			return ctx.Err()
		})
	}
	err := mcpkit.Together(ctx, maxRequests, steps...)
	for i, s := range d.selectors {
		if reasons[i] != "" {
			d.empty[s.node] = reasons[i]
		}
	}
	return err
}

func (p *part) evaluate(ctx context.Context, b *Backend, at time.Time) error {
	if p.left == nil {
		e, err := b.evaluate(ctx, p.expr.String(), at, maxOperandSeries)
		p.value, p.more = asVector(e.value), e.more
		return err
	}
	left, err := b.evaluate(ctx, p.left.String(), at, maxOperandSeries)
	if err != nil {
		return err
	}
	series := asVector(left.value)
	p.total, p.more = len(series), left.more
	right, err := b.evaluate(ctx, p.right.String(), at, maxOperandSeries)
	if err != nil {
		return err
	}
	p.more = p.more || right.more
	if scalar, ok := right.value.(*model.Scalar); ok {
		for _, s := range series {
			if s.Histogram == nil {
				p.pairs = append(p.pairs, p.pair(s.Metric, float64(s.Value), float64(scalar.Value)))
			}
		}
		return nil
	}
	p.pairs = p.condition.pairs(series, asVector(right.value))
	return nil
}

// asVector is a value as series; a scalar is one without labels.
func asVector(v model.Value) model.Vector {
	switch v := v.(type) {
	case model.Vector:
		return v
	case *model.Scalar:
		return model.Vector{{Metric: model.Metric{}, Value: v.Value}}
	}
	return nil
}

// whyEmpty says why a selector has no series; it is empty if it has some.
func (d *dissection) whyEmpty(ctx context.Context, s selection) string {
	look := s.String()
	if s.window > 0 {
		look = fmt.Sprintf("last_over_time(%s[%s])", look, span(s.window))
	}
	if _, some, err := d.b.figure(ctx, "count("+look+")", d.at.Add(-s.offset)); err != nil || some {
		return ""
	}
	why, err := d.b.atInstant(d.at).blame(ctx, s.node.(*parser.VectorSelector))
	if err != nil || len(why) == 0 {
		why = []string{"no series for " + s.String()}
	}
	return strings.Join(append(why, d.b.whyNotRecorded(ctx, s.name)...), "; ")
}

// whyNotRecorded says of a metric that recording rules make what is wrong with
// them. Their names have colons by convention.
func (b *Backend) whyNotRecorded(ctx context.Context, metric string) []string {
	if !strings.Contains(metric, ":") {
		return nil
	}
	groups, err := b.ruleGroups(ctx, url.Values{"type": {"record"}, "rule_name[]": {metric}})
	if err != nil {
		return nil // the rest of the answer stands without
	}
	var out []string
	for _, r := range (RulesIn{Name: metric, Type: "record"}).among(groups) {
		if _, fault := r.fault(b.now()); fault != "" && r.Name == metric {
			out = append(out, fmt.Sprintf("the rule that records it, in group %s, %s", r.group.Name, fault))
		}
	}
	return out
}

// judge says what the parts come to.
func (d *dissection) judge(expr parser.Expr) {
	isEmpty := func(vs *parser.VectorSelector) bool { return d.empty[vs] != "" }
	if surelyEmpty(expr, isEmpty) {
		var reasons []string
		for _, s := range d.selectors {
			if why := d.empty[s.node]; why != "" && !slices.Contains(reasons, why) {
				reasons = append(reasons, why)
			}
		}
		d.impossible = strings.Join(reasons, "; ")
		return
	}
	var lines []string
	several := false
	for i, p := range d.parts {
		several = several || i > 0 && p.role != inside
		if p.role != inside && p.role != unless && !p.met() {
			lines = append(lines, p.verdict())
		}
	}
	if several && len(lines) == 0 {
		lines = []string{"each condition holds for some series, but together they leave none"}
	}
	d.nearest = strings.Join(lines, "; ")
}

// met reports whether a part has a result.
func (p part) met() bool {
	if p.left == nil {
		return len(p.value) > 0
	}
	return p.asBool && len(p.pairs) > 0 || slices.ContainsFunc(p.pairs, func(x pair) bool { return x.meets })
}

// verdict is what a part evaluates to, in a line.
func (p part) verdict() string {
	text := brieftext(p.expr.String())
	switch {
	case p.err != nil:
		return text + " cannot be evaluated: " + p.err.Error()
	case p.call != "":
		if len(p.value) > 0 {
			return text + " holds: there is no such series"
		}
		return text + " does not hold: there are such series"
	case p.left == nil:
		return fmt.Sprintf("%s has %d series%s", text, len(p.value), p.firstValue())
	case p.total == 0:
		return text + " has nothing to compare: its left side is empty"
	case len(p.pairs) == 0:
		return fmt.Sprintf("%s has nothing to compare: none of the %d series on its left matches one on its right", text, p.total)
	}
	meets := 0
	for _, x := range p.pairs {
		if x.meets {
			meets++
		}
	}
	line := fmt.Sprintf("%d of %d series meet %s", meets, len(p.pairs), text)
	if meets == 0 {
		p.sort()
		line += "; the nearest is " + p.pairs[0].String()
	}
	return line
}

func (p pair) String() string {
	text := fmt.Sprintf("%s: %s against %s", selector(p.series), number(p.value), number(p.threshold))
	if away := p.away(); away > 0 {
		text += ", away by " + rounded(away)
	}
	return text
}

func (p part) firstValue() string {
	if len(p.value) != 1 {
		return ""
	}
	return ", " + selector(p.value[0].Metric) + " = " + cellOf(p.value[0])
}

// sort puts what meets the comparison first, then what is nearest to it.
func (p part) sort() {
	slices.SortStableFunc(p.pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.away(), b.away()), strings.Compare(a.series.String(), b.series.String()))
	})
}

// report adds a rule's dissection to the answer.
func (r *alertReport) report(rule rule, d *dissection) {
	for _, text := range d.remarks {
		r.why(rule, "%s", text)
	}
	for _, p := range d.parts {
		r.reportPart(rule, p)
	}
	var said []string
	for _, s := range d.selectors {
		if why := d.empty[s.node]; why != "" && !slices.Contains(said, why) {
			said = append(said, why)
			r.why(rule, "%s", why)
		}
	}
}

func (r *alertReport) reportPart(rule rule, p part) {
	switch line := p.verdict(); {
	case p.err != nil && rule.LastError != "": // what the rule itself says is enough
	case p.role == inside || p.role == unless:
		r.why(rule, "%s: %s", p.role, line)
	default:
		r.why(rule, "%s", line)
	}
	if p.asBool && p.role == "" {
		r.why(rule, "with bool a comparison yields 0 or 1, and an alert fires for either: take bool away to fire only where it holds")
	}
	if p.left == nil && p.role == "" && p.call == "" {
		r.why(rule, "without a comparison the alert fires for each series that the expression has, whatever its value")
	}
	if p.more {
		r.why(rule, "more than %d series are compared; only so many were looked at", maxOperandSeries)
	}
	r.addPairs(rule, p)
}

func (r *alertReport) addPairs(rule rule, p part) {
	p.pairs = slices.DeleteFunc(slices.Clone(p.pairs), func(x pair) bool { return !concerns(r.matchers, x.series) })
	p.sort()
	for _, x := range p.pairs[:min(r.limit, len(p.pairs))] {
		away := "meets it"
		if !x.meets {
			away = rounded(x.away())
		}
		r.pairs = append(r.pairs, r.cells(rule, brieftext(p.expr.String()), selector(x.series), number(x.value), number(x.threshold), away))
	}
	r.cutTo("series of "+brieftext(p.expr.String()), len(p.pairs))
}

// brieftext holds an expression to what a line can carry.
func brieftext(expr string) string {
	const most = 120
	if len(expr) <= most {
		return expr
	}
	return strings.ToValidUTF8(expr[:most], "") + "..."
}
