package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var silences = mcpkit.Tool{
	Name:        "alertmanager_silences",
	Title:       "List silences",
	Description: "Silences, those that end first on top: who made each, why, until when, and the alerts it mutes now.",
	Narrow:      "pass matchers, or lower limit",
}

type SilencesIn struct {
	Matchers string `json:"matchers,omitempty" jsonschema:"only silences that mute an alert these match"`
	Expired  bool   `json:"expired,omitempty" jsonschema:"also those that are over"`
	Limit    int    `json:"limit,omitempty" jsonschema:"50 if absent"`
}

func (SilencesIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(1000.0)
}

type SilencesOut struct {
	Verdict string `json:"verdict" jsonschema:"how many silences there are of each state"`
	mcpkit.Left
	Silences mcpkit.Table `json:"silences,omitzero" jsonschema:"mutes: how many alerts it matches now, and their names"`
}

// endsSoon is how near the end of a silence is pointed out.
const endsSoon = 30 * time.Minute

func (b *Backend) silences(ctx context.Context, in SilencesIn) (SilencesOut, error) {
	ms, err := parseMatchers(in.Matchers)
	if err != nil {
		return SilencesOut{}, err
	}
	all, err := b.heldSilences(ctx)
	if err != nil {
		return SilencesOut{}, err
	}
	held, err := b.heldAlerts(ctx, nil)
	if err != nil {
		return SilencesOut{}, err
	}
	if len(ms) > 0 {
		wanted := matching(held, ms)
		all = slices.DeleteFunc(all, func(s heldSilence) bool { return len(matching(wanted, s.matchers)) == 0 })
	}
	out := SilencesOut{Verdict: silenceCounts(all, in.Expired)}
	if !in.Expired {
		all = slices.DeleteFunc(all, func(s heldSilence) bool { return s.state == silenceExpired })
	}
	rows, cut := mcpkit.FirstN(all, in.Limit, 50)
	if cut {
		out.Truncated, out.LeftOut = true, fmt.Sprintf("%d that end later; %s", len(all)-len(rows), silences.Narrow)
	}
	if len(rows) > 0 {
		out.Silences.Columns = []string{"id", "state", "matchers", "mutes", "starts", "ends", "by", "comment"}
	}
	for _, s := range rows {
		out.Silences.Rows = append(out.Silences.Rows, s.cells(held, b.now()))
	}
	return out, nil
}

func silenceCounts(all []heldSilence, expired bool) string {
	count := map[string]int{}
	for _, s := range all {
		count[s.state]++
	}
	text := fmt.Sprintf("%d active, %d pending, %d expired", count[silenceActive], count[silencePending], count[silenceExpired])
	if !expired && count[silenceExpired] > 0 {
		text += " (not listed)"
	}
	return text
}

// The states of a silence.
const (
	silenceActive  = models.SilenceStatusStateActive
	silencePending = models.SilenceStatusStatePending
	silenceExpired = models.SilenceStatusStateExpired
)

// heldSilence is a silence as Alertmanager holds it.
type heldSilence struct {
	id, state    string
	matchers     labels.Matchers
	starts, ends time.Time
	by, comment  string
}

// heldSilences lists every silence that Alertmanager still remembers: those that
// are active or will be by their end, then the expired ones, latest first.
func (b *Backend) heldSilences(ctx context.Context) ([]heldSilence, error) {
	c, err := b.openAlertmanager(ctx)
	if err != nil {
		return nil, err
	}
	res, err := c.Silence.GetSilences(silence.NewGetSilencesParamsWithContext(ctx))
	if err != nil {
		return nil, translateAlertmanager(err, "list the silences")
	}
	var all []heldSilence
	for _, s := range res.Payload {
		held, err := holdSilence(s)
		if err != nil {
			return nil, fmt.Errorf("read silence: %w", err)
		}
		all = append(all, held)
	}
	slices.SortFunc(all, func(x, y heldSilence) int {
		switch {
		case (x.state == silenceExpired) != (y.state == silenceExpired):
			if x.state == silenceExpired {
				return 1
			}
			return -1
		case x.state == silenceExpired:
			return cmp.Or(y.ends.Compare(x.ends), cmp.Compare(x.id, y.id))
		}
		return cmp.Or(x.ends.Compare(y.ends), cmp.Compare(x.id, y.id))
	})
	return all, nil
}

func holdSilence(s *models.GettableSilence) (heldSilence, error) {
	ms, err := silenceMatchers(s.Matchers)
	h := heldSilence{matchers: ms}
	for to, from := range map[*string]*string{&h.id: s.ID, &h.by: s.CreatedBy, &h.comment: s.Comment} {
		if from != nil {
			*to = *from
		}
	}
	if s.Status != nil && s.Status.State != nil {
		h.state = *s.Status.State
	}
	if s.StartsAt != nil && s.EndsAt != nil {
		h.starts, h.ends = time.Time(*s.StartsAt), time.Time(*s.EndsAt)
	}
	return h, err
}

func (s heldSilence) cells(held []heldAlert, now time.Time) []string {
	ends := s.ends.UTC().Format(time.RFC3339)
	if left := s.ends.Sub(now); s.state == silenceActive && left < endsSoon {
		ends += fmt.Sprintf(" (in %s)", left.Round(time.Second))
	}
	mutes := "0"
	if hit := matching(held, s.matchers); s.state != silenceExpired && len(hit) > 0 {
		mutes = fmt.Sprintf("%d: %s", len(hit), fewOf(alertNames(hit), 5))
	}
	return []string{s.id, s.state, matchersText(s.matchers), mutes, s.starts.UTC().Format(time.RFC3339), ends, s.by, s.comment}
}

// alertNames lists the names of alerts, each once, sorted.
func alertNames(alerts []heldAlert) []string {
	var names []string
	for _, a := range alerts {
		names = append(names, a.name())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
