package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var expireSilence = mcpkit.Tool{
	Name:        "alertmanager_expire_silence",
	Title:       "End a silence",
	Description: "Ends an active silence now, or withdraws a pending one. The plan lists the alerts that would notify again.",
	Idempotent:  true,
}

type ExpireSilenceIn struct {
	ID string `json:"id" jsonschema:"of the silence, from alertmanager_silences"`
}

type ExpireSilenceOut struct {
	Result  string   `json:"result" jsonschema:"what was done"`
	Unmuted []string `json:"unmuted,omitempty" jsonschema:"alerts that notify again"`
	mcpkit.Left
}

// unmuting is the end of a silence that is planned.
type unmuting struct {
	silence heldSilence
	again   []heldAlert // notify again
}

func (b *Backend) planExpireSilence(ctx context.Context, in ExpireSilenceIn) (mcpkit.Plan, error) {
	all, err := b.heldSilences(ctx)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	at := slices.IndexFunc(all, func(s heldSilence) bool { return s.id == strings.TrimSpace(in.ID) })
	if at < 0 {
		return mcpkit.Plan{}, noSilence(in.ID, all)
	}
	u := &unmuting{silence: all[at]}
	s := u.silence
	p := mcpkit.Plan{Target: fmt.Sprintf("silence %s {%s}", s.id, matchersText(s.matchers)), State: u}
	if s.state == silenceExpired {
		return p, nil
	}
	held, err := b.heldAlerts(ctx, s.matchers)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	p.Diff = fmt.Sprintf("- %s silence by %s until %s: %s", s.state, onOneLine(s.by), s.ends.UTC().Format(time.RFC3339), onOneLine(s.comment))
	still := 0
	for _, a := range held {
		if !slices.Contains(a.silencedBy, s.id) {
			continue
		}
		if a.silencedBy = slices.DeleteFunc(slices.Clone(a.silencedBy), func(id string) bool { return id == s.id }); a.suppressed() {
			still++
		} else {
			u.again = append(u.again, a)
		}
		p.Seen = append(p.Seen, a.fingerprint)
	}
	slices.Sort(p.Seen)
	p.Diff += fmt.Sprintf("\n%s would notify again:\n%s", counted(len(u.again), "alert"), planLines("+ ", u.again, nil))
	if still > 0 {
		p.Notes = append(p.Notes, counted(still, "alert")+" would stay suppressed by something else")
	}
	return p, nil
}

// noSilence says which silences come near an id that is not there.
func noSilence(id string, all []heldSilence) error {
	var ids, live []string
	for _, s := range all {
		ids = append(ids, s.id)
		if s.state != silenceExpired {
			live = append(live, fmt.Sprintf("%s {%s}", s.id, matchersText(s.matchers)))
		}
	}
	if near := mcpkit.Nearest(id, ids); len(near) > 0 {
		return mcpkit.Errorf(mcpkit.NotFound, "no silence %q; the nearest ids are %s", id, strings.Join(near, ", "))
	}
	return mcpkit.Errorf(mcpkit.NotFound, "no silence %q; active or pending are: %s", id, cmp.Or(fewOf(live, 5), "none"))
}

func (b *Backend) expireSilence(ctx context.Context, _ ExpireSilenceIn, p mcpkit.Plan) (ExpireSilenceOut, error) {
	u := p.State.(*unmuting)
	if u.silence.state == silenceExpired {
		return ExpireSilenceOut{Result: fmt.Sprintf("silence %s is over since %s; nothing was written", u.silence.id, u.silence.ends.UTC().Format(time.RFC3339))}, nil
	}
	c, err := b.openAlertmanager(ctx)
	if err != nil {
		return ExpireSilenceOut{}, err
	}
	if _, err := c.Silence.DeleteSilence(silence.NewDeleteSilenceParamsWithContext(ctx).WithSilenceID(strfmt.UUID(u.silence.id))); err != nil {
		return ExpireSilenceOut{}, translateAlertmanager(err, "end the silence")
	}
	out := ExpireSilenceOut{Result: fmt.Sprintf("ended silence %s; %s", u.silence.id, counted(len(u.again), "alert")+" may notify again")}
	lines, cut := mcpkit.FirstN(mutedLines(u.again, nil), 0, shownMuted)
	if out.Unmuted = lines; cut {
		out.Truncated, out.LeftOut = true, fmt.Sprintf("%d more alerts; alertmanager_alerts lists them", len(u.again)-len(lines))
	}
	return out, nil
}
