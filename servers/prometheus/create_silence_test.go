package prometheus

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// silencesOf lists the silences of an author that are not over, read without
// our tools.
func silencesOf(t *testing.T, author string) (ids []string) {
	t.Helper()
	var all []struct {
		ID        string
		CreatedBy string
		Status    struct{ State string }
	}
	require.NoError(t, stack().Get(t.Context(), stack().Alertmanager+"/api/v2/silences", &all))
	for _, s := range all {
		if s.CreatedBy == author && s.Status.State != "expired" {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func TestCreateSilenceIsGatedAndReallyMutes(t *testing.T) {
	raise(t, []string{"alertname", "Noisy", "severity", "warning", "team", "shop", "queue", "orders", "area", "noisy-1"})
	done := requireGated(t, gatedWrite{
		Tool: createSilence,
		Args: map[string]any{"matchers": `alertname="Noisy", area=~"noisy-.*"`, "end": "2h", "author": "ada", "comment": "we know"},
		Shown: []string{
			`silence {alertname="Noisy", area=~"noisy-.*"}`, "+ silence by ada: we know\n+ until 2h from approval\nmutes 1 alert now:\n" +
				`- Noisy{area="noisy-1", queue="orders", severity="warning", team="shop"} -> shop-orders`,
			"Now: it would end at 20",
		},
		State:  func() string { return fmt.Sprint(len(silencesOf(t, "ada"))) },
		Before: "0",
		After:  "1",
		Disturb: func() {
			raise(t, []string{"alertname", "Noisy", "severity", "warning", "area", "noisy-2"})
		},
		Restore: func() {
			sendAlerts(t.Context(), t, whole(), time.Now().Add(-time.Second), [][]string{{"alertname", "Noisy", "severity", "warning", "area", "noisy-2"}})
			within(t, "the second alert is over", func() bool { return len(held(t, `alertname="Noisy"`)) == 1 })
		},
	})
	var out CreateSilenceOut
	done.Into(t, &out)
	require.Equal(t, silencesOf(t, "ada"), []string{out.ID})
	t.Cleanup(func() { expire(context.Background(), t, out.ID) })
	require.Equal(t, "silenced 1 alert", out.Result)
	require.Equal(t, []string{`Noisy{area="noisy-1", queue="orders", severity="warning", team="shop"} -> shop-orders`}, out.Mutes)

	// What comes now is muted too: Alertmanager says so, and nobody is told.
	quiet := []string{"alertname", "Noisy", "severity", "warning", "team", "shop", "queue", "orders", "area", "noisy-3", "new", "yes"}
	raise(t, quiet, []string{"alertname", "After", "severity", "warning", "team", "shop", "queue", "orders", "area", "noisy-3"})
	require.Equal(t, []string{out.ID}, held(t, `new="yes"`)[0].Status.SilencedBy)
	within(t, "another alert of the receiver is told", func() bool { return told(t, "shop-orders", "After") })
	sent, err := stack().Notifications(t.Context())
	require.NoError(t, err)
	for _, n := range sent {
		for _, a := range n.Message.Alerts {
			require.False(t, a.Labels["new"] == "yes" && a.Status == "firing", "%s was told", n.Receiver)
		}
	}
	require.Equal(t, "notifies nobody: silenced by "+out.ID+"; otherwise shop-orders", explained(t, reading(t), quiet...).Verdict)
	var listed AlertmanagerAlertsOut
	reading(t).Call("alertmanager_alerts", map[string]any{"matchers": `new="yes"`}).Into(t, &listed)
	require.Equal(t, "1 alert: 0 active, 1 silenced", listed.Verdict)
	require.Equal(t, "silence "+out.ID, listed.Alerts.Rows[0][6])
}

func TestCreateSilenceRefuses(t *testing.T) {
	p := &person{Says: "decline"} // one that is not refused must not mute the other tests' alerts
	s := writing(t, whole(), p)
	good := map[string]any{"matchers": `alertname="Refused"`, "end": "1h", "author": "bob", "comment": "why"}
	for _, c := range []struct{ name, value, text string }{
		{"end", "25h", "invalid: a silence of 1d1h is longer than the 1d allowed here; end it by 20"},
		{"end", "2001-01-01T00:00:00Z", "invalid: end 2001-01-01T00:00:00Z is not ahead; it is 20"},
		{"end", "0", "is not ahead"},
		{"end", "", "invalid: end is empty; say when the silence ends"},
		{"end", "tomorrow", `invalid: "tomorrow" is not a time`},
		{"author", " ", "invalid: author is empty; a silence needs matchers, an end, an author and a comment"},
		{"comment", "", "invalid: comment is empty"},
		{"matchers", "", "invalid: matchers is empty"},
		{"matchers", "{}", "invalid: {} matches everything"},
		{"matchers", `alertname`, "invalid: matchers cannot be read: "},
		{"matchers", `alertname=~"("`, "invalid: matchers cannot be read: "},
		{"matchers", `alertname=~".*"`, `invalid: {alertname=~".*"} matches everything, or all but what it names; a silence must name what it mutes`},
		{"matchers", `severity=~".+", alertname!="x"`, "matches everything"},
		{"matchers", `alertname!=""`, "matches everything"},
		{"matchers", `alertname=~"([^x].*|x.*)"`, "matches everything"},
		{"matchers", `team=""`, "matches everything"},
		{"matchers", `team=~"core|"`, "matches everything"},
		{"matchers", `cluster="testbed"`, `invalid: these matchers match every alert that Prometheus sends, for it gives them the labels {cluster="testbed"}`},
		{"matchers", `alertname=~"[A-Z].*"`, "matches everything"},
	} {
		args := map[string]any{}
		for k, v := range good {
			args[k] = v
		}
		args[c.name] = c.value
		requireRefused(t, s, "alertmanager_create_silence", args, c.text)
		delete(args, c.name)
		requireRefused(t, s, "alertmanager_create_silence", args, fmt.Sprintf("invalid: argument %q is required", c.name))
	}
	raise(t, []string{"alertname", "Last", "area", "refused", "severity", "odd"}, []string{"alertname", "Least", "area", "refused", "severity", "odd"})
	names := []string{"CoreDown", "QueueFull"} // Prometheus's own come and go
	for _, a := range held(t, "") {
		names = append(names, a.Labels["alertname"])
	}
	for _, all := range []string{`alertname=~"` + strings.Join(names, "|") + `"`, `alertname=~"[A-M].*|[N-Z].*"`, `alertname=~"...+"`} {
		good["matchers"] = all
		requireRefused(t, s, "alertmanager_create_silence", good, "everything")
	}
	require.Empty(t, p.Asked)
	require.Empty(t, silencesOf(t, "bob"))
}

func TestCreateSilenceSaysWhatItWouldNotMute(t *testing.T) {
	raise(t, []string{"alertname", "Misspelt", "area", "misspelt", "severity", "odd"})
	p := &person{Says: "decline"}
	b := whole()
	b.cfg.MaxSilence = 48 * time.Hour
	s := writing(t, b, p)
	args := map[string]any{"matchers": `alertname="Mispelt"`, "end": time.Now().Add(40 * time.Hour).UTC().Format(time.RFC3339), "author": "bob", "comment": "why"}
	s.Call("alertmanager_create_silence", args)
	require.Contains(t, p.Asked[0], "mutes 0 alerts now:\n- none\n")
	require.Contains(t, p.Asked[0], `Note: it mutes nothing now, which may be a typing error: no alert matches alertname="Mispelt"; the nearest values are Misspelt`)
	require.Contains(t, p.Asked[0], "+ until "+args["end"].(string))

	var many [][]string
	for i := range plannedAlerts + 5 {
		many = append(many, []string{"alertname", "Row", "area", "misspelt", "severity", "odd", "n", fmt.Sprintf("%02d", i)})
	}
	raise(t, many...)
	args["matchers"] = `alertname="Row"`
	s.Call("alertmanager_create_silence", args)
	require.Contains(t, p.Asked[1], "mutes 30 alerts now:\n- Row{area=\"misspelt\", n=\"00\"")
	require.Contains(t, p.Asked[1], "- and 5 more: Row (5)\n")
	p.Asked = p.Asked[:1]

	id := silenced(t, `alertname="Misspelt"`)
	within(t, "it is silenced", func() bool { return len(held(t, `alertname="Misspelt"`)[0].Status.SilencedBy) == 1 })
	args["matchers"] = `alertname="Misspelt"`
	s.Call("alertmanager_create_silence", args)
	require.Contains(t, p.Asked[1], `- Misspelt{area="misspelt", severity="odd"} (already suppressed: silence `+id+`)`)
	require.Contains(t, p.Asked[1], "Note: silence "+id+" by tester mutes the same until ")
	require.NotContains(t, p.Asked[1], "receivers that hear")

	args["matchers"] = `area="core"`
	s.Call("alertmanager_create_silence", args)
	require.Contains(t, p.Asked[2], "-> core, pager")
	require.Contains(t, p.Asked[2], "Note: receivers that hear of no alert any more: ")
	require.True(t, strings.Contains(p.Asked[2], "pager"))
}
