package prometheus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var createSilence = mcpkit.Tool{
	Name:        "alertmanager_create_silence",
	Title:       "Silence alerts",
	Description: "Mutes the alerts that all matchers match, from now until end. The plan lists the alerts it mutes now. Never for everything, never without an end. To end one early use alertmanager_expire_silence.",
	Idempotent:  true,
}

// DefaultMaxSilence is the longest a silence may last unless an operator says
// otherwise: a day, so that a forgotten one is noticed the next.
const DefaultMaxSilence = 24 * time.Hour

type CreateSilenceIn struct {
	Matchers string      `json:"matchers"`
	End      mcpkit.When `json:"end"`
	Author   string      `json:"author"`
	Comment  string      `json:"comment"`
}

func (CreateSilenceIn) Constrain(p mcpkit.Properties) {
	p["matchers"].Description = `in Alertmanager's syntax, such as alertname="CoreDown", area=~"core|edge"; = != =~ !~`
	p["end"].Description = `when it ends: a duration from now such as "2h", or an RFC 3339 time`
	p["author"].Description = "the person it is made for; taken as given, nothing proves it"
	p["comment"].Description = "why, for whoever wonders at the silence"
}

type CreateSilenceOut struct {
	Result string   `json:"result" jsonschema:"what was done"`
	ID     string   `json:"id" jsonschema:"of the silence"`
	Ends   string   `json:"ends" jsonschema:"RFC 3339"`
	Mutes  []string `json:"mutes,omitempty" jsonschema:"alerts it mutes now"`
	mcpkit.Left
}

// muting is a silence that is planned.
type muting struct {
	matchers labels.Matchers
	ends     time.Time
	mutes    []heldAlert
	names    map[string]string // of alerts, by fingerprint
	same     *heldSilence      // does this already
}

const (
	shownMuted    = 100             // alerts of an answer
	plannedAlerts = 25              // alerts of a plan that are shown with all their labels
	sameEnd       = 2 * time.Minute // ends this near are the same to who asks twice
)

func (b *Backend) planCreateSilence(ctx context.Context, in CreateSilenceIn) (mcpkit.Plan, error) {
	m, err := b.muting(in)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	held, err := b.heldAlerts(ctx, nil)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if all := b.onEveryAlert(ctx); len(all) > 0 && m.matchers.Matches(all) {
		return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.Invalid, "these matchers match every alert that Prometheus sends, for it gives them the labels %s; name what is to be muted more narrowly, such as with alertname", labelText(all))
	}
	all, err := b.heldSilences(ctx)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	m.mutes, m.names = matching(held, m.matchers), namesOf(held)
	if mutesAll(held, m.mutes) {
		return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.Invalid, "these matchers match all %d alerts there are (%s), so they would mute everything; silence them one alertname at a time", len(held), fewOf(alertNames(held), 10))
	}
	if at := slices.IndexFunc(all, func(s heldSilence) bool {
		return s.state == silenceActive && sameMatchers(s.matchers, m.matchers) && s.ends.After(m.ends.Add(-sameEnd))
	}); at >= 0 {
		m.same = &all[at]
	}
	return m.plan(in, held, all), nil
}

// muting checks what can be checked without asking Alertmanager.
func (b *Backend) muting(in CreateSilenceIn) (*muting, error) {
	for name, text := range map[string]string{"author": in.Author, "comment": in.Comment, "matchers": in.Matchers} {
		if strings.TrimSpace(text) == "" {
			return nil, mcpkit.Errorf(mcpkit.Invalid, "%s is empty; a silence needs matchers, an end, an author and a comment", name)
		}
	}
	ms, err := parseMatchers(in.Matchers)
	if err != nil {
		return nil, err
	}
	if mutesAnything(ms) {
		return nil, mcpkit.Errorf(mcpkit.Invalid, `{%s} matches everything, or all but what it names; a silence must name what it mutes with = or =~, such as alertname="CoreDown"`, matchersText(ms))
	}
	now := b.now()
	ends := in.End.Time(now)
	if d, ok := in.End.Duration(); ok {
		ends = now.Add(d)
	}
	switch longest := b.cfg.maxSilence(); {
	case in.End.IsZero():
		return nil, mcpkit.Errorf(mcpkit.Invalid, `end is empty; say when the silence ends, such as "2h" or an RFC 3339 time`)
	case !ends.After(now):
		return nil, mcpkit.Errorf(mcpkit.Invalid, "end %s is not ahead; it is %s now", ends.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case ends.Sub(now) > longest:
		return nil, mcpkit.Errorf(mcpkit.Invalid, "a silence of %s is longer than the %s allowed here; end it by %s, and make another one then if need be. An operator sets the limit with --max-silence", span(ends.Sub(now)), span(longest), now.Add(longest).UTC().Format(time.RFC3339))
	}
	return &muting{matchers: ms, ends: ends}, nil
}

func (c Config) maxSilence() time.Duration {
	if c.MaxSilence <= 0 {
		return DefaultMaxSilence
	}
	return c.MaxSilence
}

// sameMatchers reports whether two sets hold the same matchers in any order.
func sameMatchers(x, y labels.Matchers) bool {
	return len(x) == len(y) && implies(x, y) && implies(y, x) && slices.Equal(sortedTexts(x), sortedTexts(y))
}

func sortedTexts(ms labels.Matchers) []string {
	var out []string
	for _, m := range ms {
		out = append(out, m.String())
	}
	slices.Sort(out)
	return out
}

// plan shows exactly the alerts that would be muted. Which they are is what it
// rests on: when one comes or goes it is stale.
func (m *muting) plan(in CreateSilenceIn, held []heldAlert, all []heldSilence) mcpkit.Plan {
	p := mcpkit.Plan{Target: "silence {" + matchersText(m.matchers) + "}", State: m}
	if m.same != nil {
		return p
	}
	var diff strings.Builder
	fmt.Fprintf(&diff, "+ silence by %s: %s\n+ until %s\n", onOneLine(in.Author), onOneLine(in.Comment), m.until(in))
	fmt.Fprintf(&diff, "mutes %s now:\n", counted(len(m.mutes), "alert"))
	p.Diff = diff.String() + planLines("- ", m.mutes, m.names)
	p.Notes = m.notes(held, all)
	if _, ok := in.End.Duration(); ok {
		p.Now = append(p.Now, "it would end at "+m.ends.UTC().Format(time.RFC3339))
	}
	for _, a := range m.mutes {
		p.Seen = append(p.Seen, a.fingerprint)
	}
	slices.Sort(p.Seen)
	return p
}

// onOneLine keeps words from posing as lines of a plan of their own.
func onOneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// until says when the silence ends, in words that stay while a person decides.
func (m *muting) until(in CreateSilenceIn) string {
	if d, ok := in.End.Duration(); ok {
		return span(d) + " from approval"
	}
	return m.ends.UTC().Format(time.RFC3339)
}

// planLines writes alerts for a plan, one a line; of many the last ones by name
// alone, so that a person is shown all there is to know in what they can read.
func planLines(mark string, alerts []heldAlert, names map[string]string) string {
	lines := mutedLines(alerts, names)
	text := mark + strings.Join(lines[:min(plannedAlerts, len(lines))], "\n"+mark)
	if over := lines[min(plannedAlerts, len(lines)):]; len(over) > 0 {
		byName := map[string]int{}
		for _, line := range over {
			name, _, _ := strings.Cut(line, "{")
			byName[name]++
		}
		var names []string
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			names = append(names, fmt.Sprintf("%s (%d)", name, byName[name]))
		}
		text += fmt.Sprintf("\n%sand %d more: %s", mark, len(over), fewOf(names, 50))
	}
	if len(alerts) == 0 {
		return mark + "none"
	}
	return text
}

// mutedLines writes one alert a line, those that notify somebody now first.
func mutedLines(alerts []heldAlert, names map[string]string) []string {
	var told, quiet []string
	for _, a := range alerts {
		if a.suppressed() {
			quiet = append(quiet, a.String()+" (already suppressed: "+suppressedBy(a, names)+")")
		} else {
			told = append(told, a.String()+" -> "+strings.Join(a.receivers, ", "))
		}
	}
	slices.Sort(told)
	slices.Sort(quiet)
	return slices.Concat(told, quiet)
}

func (m *muting) notes(held []heldAlert, all []heldSilence) []string {
	var notes []string
	if len(m.mutes) == 0 {
		notes = append(notes, "it mutes nothing now, which may be a typing error: "+whyNone(held, m.matchers))
	}
	if len(m.mutes) > 1 && len(m.mutes) == len(held) {
		notes = append(notes, "these are all the alerts there are")
	}
	if quiet := goQuiet(held, m.mutes); len(quiet) > 0 {
		notes = append(notes, "receivers that hear of no alert any more: "+strings.Join(quiet, ", "))
	}
	for _, s := range all {
		if s.state == silenceActive && sameMatchers(s.matchers, m.matchers) {
			notes = append(notes, fmt.Sprintf("silence %s by %s mutes the same until %s; it stays beside the new one", s.id, s.by, s.ends.UTC().Format(time.RFC3339)))
		}
	}
	return notes
}

// goQuiet lists the receivers whose every notifying alert is among mutes.
func goQuiet(held, mutes []heldAlert) []string {
	muted := map[string]bool{}
	for _, m := range mutes {
		muted[m.fingerprint] = true
	}
	left, lost := map[string]bool{}, map[string]bool{}
	for _, a := range held {
		if a.suppressed() {
			continue
		}
		for _, r := range a.receivers {
			if muted[a.fingerprint] {
				lost[r] = true
			} else {
				left[r] = true
			}
		}
	}
	maps.DeleteFunc(lost, func(r string, _ bool) bool { return left[r] })
	return slices.Sorted(maps.Keys(lost))
}

func (b *Backend) createSilence(ctx context.Context, in CreateSilenceIn, p mcpkit.Plan) (CreateSilenceOut, error) {
	m := p.State.(*muting)
	if s := m.same; s != nil {
		return CreateSilenceOut{Result: "a silence like this is active already, made by " + s.by + "; nothing was written", ID: s.id, Ends: s.ends.UTC().Format(time.RFC3339)}, nil
	}
	c, err := b.openAlertmanager(ctx)
	if err != nil {
		return CreateSilenceOut{}, err
	}
	res, err := c.Silence.PostSilences(silence.NewPostSilencesParamsWithContext(ctx).WithSilence(&models.PostableSilence{Silence: models.Silence{
		Matchers: apiMatchers(m.matchers), CreatedBy: &in.Author, Comment: &in.Comment,
		StartsAt: new(strfmt.DateTime(b.now())), EndsAt: new(strfmt.DateTime(m.ends)),
	}}))
	if err != nil {
		return CreateSilenceOut{}, translateAlertmanager(err, "create the silence")
	}
	out := CreateSilenceOut{Result: "silenced " + counted(len(m.mutes), "alert"), ID: res.Payload.SilenceID, Ends: m.ends.UTC().Format(time.RFC3339)}
	lines, cut := mcpkit.FirstN(mutedLines(m.mutes, m.names), 0, shownMuted)
	if out.Mutes = lines; cut {
		out.Truncated, out.LeftOut = true, fmt.Sprintf("%d more alerts; alertmanager_alerts lists them", len(m.mutes)-len(lines))
	}
	return out, nil
}
