package prometheus

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

const (
	maxNames  = 20_000    // metric names looked through for a near one
	longPast  = 30 * day  // how far back a metric is looked for
	maxValues = 10        // values of a label that are listed
	lookback  = time.Hour // how far back label values are looked for at one instant
)

// blame explains why a selector has no series: which matcher removes them, or
// that there is no such metric, or none any more.
func (l *look) blame(ctx context.Context, vs *parser.VectorSelector) ([]string, error) {
	shifted := *l
	if vs.Timestamp != nil {
		shifted.from, shifted.to = time.UnixMilli(*vs.Timestamp), time.UnixMilli(*vs.Timestamp)
	}
	shifted.from, shifted.to = shifted.from.Add(-vs.OriginalOffset), shifted.to.Add(-vs.OriginalOffset)
	why, err := shifted.blameMatchers(ctx, vs.LabelMatchers)
	l.left = shifted.left
	return why, err
}

func (l *look) blameMatchers(ctx context.Context, all []*labels.Matcher) ([]string, error) {
	var guilty []string
	for i, m := range all {
		rest := slices.Delete(slices.Clone(all), i, i+1)
		switch {
		case m.Name == model.MetricNameLabel:
			continue
		case len(rest) == 0:
			return []string{l.tellMatcher(ctx, m, rest)}, nil
		case !selects(rest):
			continue
		}
		some, err := l.first(ctx, matcherText(rest))
		if err != nil {
			return nil, err
		}
		if some != nil {
			guilty = append(guilty, l.tellMatcher(ctx, m, rest))
		}
	}
	name := fixedName(all)
	switch {
	case len(guilty) > 0:
		return guilty, nil
	case name == "":
		return []string{fmt.Sprintf("no series match %s", matcherText(all))}, nil
	}
	bare := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name)}
	some, err := l.first(ctx, matcherText(bare))
	switch {
	case err != nil:
		return nil, err
	case some != nil:
		return []string{fmt.Sprintf("%s has series, but none that match %s; one is %s", name, matcherText(all), selector(some.Metric))}, nil
	}
	return l.blameName(ctx, name, matcherText(bare))
}

// selects reports whether matchers are a selector Prometheus accepts.
func selects(ms []*labels.Matcher) bool {
	return slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches("") })
}

// tellMatcher says that a matcher leaves nothing of the series the rest select,
// and what it could match.
func (l *look) tellMatcher(ctx context.Context, m *labels.Matcher, rest []*labels.Matcher) string {
	of, text := "", fmt.Sprintf("no series has %s", m)
	if len(rest) > 0 {
		of = matcherText(rest)
		text = fmt.Sprintf("no series of %s has %s", of, m)
	}
	values, err := l.values(ctx, m.Name, of)
	switch {
	case err != nil:
		return text
	case len(values) == 0:
		return text + "; they have no label " + m.Name
	case m.Type == labels.MatchEqual && slices.Contains(values, m.Value):
		last, err := l.lastSeen(ctx, matcherText(append(slices.Clone(rest), m)))
		if err != nil || last.IsZero() {
			return text + " at that time"
		}
		return fmt.Sprintf("%s at that time: the last sample is of %s (%s earlier); it is %s", text, instant(last), span(l.to.Sub(last)), some(slices.DeleteFunc(values, func(v string) bool { return v == m.Value })))
	}
	if near := mcpkit.Nearest(m.Value, values); len(near) > 0 && len(values) > 1 {
		return fmt.Sprintf("%s; the nearest of %d values are %s", text, len(values), strings.Join(near, ", "))
	}
	return fmt.Sprintf("%s; it is %s", text, some(values))
}

// some lists the first values and says how many there are.
func some(values []string) string {
	if len(values) <= maxValues {
		return strings.Join(values, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(values[:maxValues], ", "), len(values)-maxValues)
}

// values are those a label has in the series of a selector.
func (l *look) values(ctx context.Context, label, of string) ([]string, error) {
	c, err := l.b.prometheus()
	if err != nil {
		return nil, err
	}
	from := l.from
	if from.Equal(l.to) {
		from = from.Add(-lookback)
	}
	t := tally{keep: maxNames}
	var match []string
	if of != "" {
		match = []string{of}
	}
	found, _, _, err := c.LabelValues(withTally(ctx, &t), inPath(label), match, from, l.to)
	var out []string
	for _, v := range found {
		out = append(out, string(v))
	}
	return out, translate(err, "list the values of "+label)
}

// blameName tells of a metric that has no series: whether it had some, or
// which names are near.
func (l *look) blameName(ctx context.Context, name, bare string) ([]string, error) {
	last, err := l.lastSeen(ctx, bare)
	switch {
	case err != nil:
		return nil, err
	case !last.IsZero():
		return []string{fmt.Sprintf("%s has no series at that time: its last sample is of %s (%s earlier)", name, instant(last), span(l.to.Sub(last)))}, nil
	}
	if later, err := l.begins(ctx, bare); err != nil || later {
		return []string{fmt.Sprintf("%s has no series at %s, only later", name, instant(l.to))}, err
	}
	text := fmt.Sprintf("there is no metric %s", name)
	names, err := l.values(ctx, model.MetricNameLabel, "")
	if err != nil {
		return []string{text}, nil // the names are a help, not the answer
	}
	if near := mcpkit.Nearest(name, names); len(near) > 0 {
		return []string{text + "; the nearest names are " + strings.Join(near, ", ")}, nil
	}
	return []string{text + "; search names with prometheus_metric_metadata"}, nil
}

// begins reports whether a selector has series after the time looked at.
func (l *look) begins(ctx context.Context, bare string) (bool, error) {
	c, err := l.b.prometheus()
	if err != nil || l.b.now().Sub(l.to) < lookback {
		return false, err
	}
	t := tally{keep: 1}
	later, _, _, err := c.Series(withTally(ctx, &t), []string{bare}, l.to, l.b.now())
	return len(later) > 0, translate(err, "look for the metric")
}

// windows are those in which the last sample of a metric is looked for after
// the last hour, each with the resolution of a look.
var windows = []struct{ over, step time.Duration }{{day, 5 * time.Minute}, {longPast, 2 * time.Hour}}

// lastSeen is when a selector had its last sample, looking back longPast. It is
// zero if there was none, or none for long enough to be found.
func (l *look) lastSeen(ctx context.Context, bare string) (last time.Time, err error) {
	c, err := l.b.prometheus()
	if err != nil {
		return last, err
	}
	t := tally{keep: 1}
	past, _, _, err := c.Series(withTally(ctx, &t), []string{bare}, l.to.Add(-longPast), l.to)
	if err != nil || len(past) == 0 {
		return last, translate(err, "look for the metric's past")
	}
	e, err := l.b.evaluate(ctx, fmt.Sprintf("%s[%s]", bare, span(lookback)), l.to, maxValues)
	m, _ := e.value.(model.Matrix)
	for _, s := range m {
		if samples := timeline(s); len(samples) > 0 && samples[len(samples)-1].at.After(last) {
			last = samples[len(samples)-1].at
		}
	}
	for _, w := range windows {
		if err != nil || !last.IsZero() {
			break
		}
		at, ok, failed := l.b.figure(ctx, fmt.Sprintf("max(max_over_time(timestamp(%s)[%s:%s]))", bare, span(w.over), span(w.step)), l.to)
		if err = failed; ok {
			last = time.UnixMilli(int64(at * 1000))
		}
	}
	return last, err
}
