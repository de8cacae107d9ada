package prometheus

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/monitoring"
)

func explained(t *testing.T, s *mcptest.Session, labels ...string) ExplainRouteOut {
	t.Helper()
	l := map[string]any{}
	for i := 0; i+1 < len(labels); i += 2 {
		l[labels[i]] = labels[i+1]
	}
	var out ExplainRouteOut
	s.Call("alertmanager_explain_route", map[string]any{"labels": l}).Into(t, &out)
	return out
}

func (out ExplainRouteOut) receivers() string {
	var names []string
	for _, r := range out.Receivers.Rows {
		names = append(names, r[0])
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// Alertmanager's own answers are the witness: for every mix of the labels that
// its routes look at, the receivers, the inhibitions and the mutes agree.
func TestExplainRouteAgreesWithAlertmanager(t *testing.T) {
	var alerts [][]string
	for _, severity := range []string{"critical", "warning", "info", "odd"} {
		for _, team := range []string{"shop", "other"} {
			for _, queue := range []string{"mail", "billing", "orders", "none"} {
				for _, area := range []string{"core", "agree-" + severity + team + queue, "agree-shared"} {
					alerts = append(alerts, []string{"alertname", "Agree", "severity", severity, "team", team, "queue", queue, "area", area})
				}
			}
		}
	}
	raise(t, alerts...)
	within(t, "CoreDown fires", func() bool { return len(held(t, `alertname="CoreDown"`)) == 1 })
	s := reading(t)
	for _, labels := range alerts {
		var out ExplainRouteOut
		within(t, "the answer rests on one moment", func() bool {
			out = explained(t, s, labels...)
			return len(out.Notes) == 0 // it says where Alertmanager itself differs
		})
		is := held(t, matchersOf(labels))
		require.Len(t, is, 1)
		require.Equal(t, is[0].receivers(), out.receivers(), labels)
		require.Equal(t, len(is[0].Status.InhibitedBy) > 0, strings.HasPrefix(out.Verdict, "notifies nobody: inhibited by "), "%s: %s", labels, out.Verdict)
	}
	requireMutesAgree(t, s, alerts)
}

// thicket is a tree of everything that makes routes hard to follow.
const thicket = `
route:
  receiver: top
  group_wait: 0s
  routes:
  - {match: {a: "1"}, receiver: legacy, continue: true}
  - match_re: {a: "1|2"}
    receiver: legacy-re
    continue: true
    routes:
    - {matchers: ['b!="1"'], receiver: not-one, continue: true}
    - matchers: ['b=~"|2"']
      routes:
      - {matchers: ['c=""'], receiver: no-c}
      - {matchers: ['c!~"x.*"'], receiver: no-x}
    - {matchers: ['b="3"'], receiver: three}
  - {matchers: [a="2"], receiver: two}
  - matchers: []
    continue: true
    receiver: all
    routes: [{matchers: ['"a"="3"', b=~"1.*"], receiver: deep}]
  - {matchers: ['a=~".+"'], receiver: some}
  - {matchers: ['a="3"'], receiver: never}
inhibit_rules:
- {source_match: {a: "1"}, target_match_re: {a: "1|2"}, equal: [b, nowhere]}
- {source_matchers: ['c="xy"'], target_matchers: ['c=~"x.*"']}
receivers: [{name: top}, {name: legacy}, {name: legacy-re}, {name: not-one}, {name: no-c}, {name: no-x}, {name: three}, {name: two}, {name: all}, {name: deep}, {name: some}, {name: never}]
`

func TestExplainRouteAgreesWithAlertmanagerInAThicket(t *testing.T) {
	t.Parallel()
	s, err := monitoring.Start(t.Context(), monitoring.Options{AlertmanagerConfig: thicket})
	require.NoError(t, err)
	defer s.Stop()
	b := New(Config{Alertmanager: Endpoint{URL: s.Alertmanager}})
	var alerts [][]string
	for _, a := range []string{"", "1", "2", "3"} {
		for _, bb := range []string{"", "1", "2", "3", "11"} {
			for _, c := range []string{"", "xy", "xz", "y"} {
				alerts = append(alerts, []string{"alertname", "Thicket", "a", a, "b", bb, "c", c})
			}
		}
	}
	sendAlerts(t.Context(), t, b, time.Now().Add(time.Hour), alerts)
	within(t, "Alertmanager has seen which alerts inhibit which, and agrees", func() bool {
		v, err := b.view(t.Context())
		require.NoError(t, err)
		require.Empty(t, v.unread)
		require.Equal(t, []string{`route 6 {a="3"} is never reached: route 5 {a=~".+"} before it takes all it would match`}, v.root.dead(nil))
		mine := matching(v.held, labels.Matchers{{Type: labels.MatchEqual, Name: "alertname", Value: "Thicket"}})
		require.Len(t, mine, len(alerts))
		var differs []string
		for _, a := range mine {
			f, err := v.explain(a)
			require.NoError(t, err)
			differs = append(differs, f.differs...)
		}
		return len(differs) == 0
	})
}

// requireMutesAgree holds which groups Alertmanager mutes by a time interval
// against what is explained of their alerts.
func requireMutesAgree(t *testing.T, s *mcptest.Session, alerts [][]string) {
	t.Helper()
	muted := 0
	for _, labels := range alerts {
		var groups []struct {
			Receiver struct{ Name string }
			Alerts   []apiAlert
		}
		within(t, "every group was flushed once, which is when Alertmanager marks it", func() bool {
			require.NoError(t, stack().Get(t.Context(), stack().Alertmanager+"/api/v2/alerts/groups?"+filters(matchersOf(labels)), &groups))
			verdict := explained(t, s, labels...).Verdict
			if strings.Contains(verdict, "inhibited") {
				return true // and so not told apart further
			}
			_, quiet, _ := strings.Cut(verdict, "muted for ")
			for _, g := range groups {
				if (len(g.Alerts[0].Status.MutedBy) > 0) != strings.Contains(quiet, g.Receiver.Name+" (") {
					return false
				}
				if len(g.Alerts[0].Status.MutedBy) > 0 {
					muted++
				}
			}
			return true
		})
	}
	require.Positive(t, muted)
}

func TestExplainRouteOfAnAlertThatNotifies(t *testing.T) {
	within(t, "both were told", func() bool { return told(t, "pager", "CoreDown") && told(t, "core", "CoreDown") })
	out := explained(t, reading(t), "alertname", "CoreDown")
	require.Equal(t, "notifies: pager, core", out.Verdict)
	require.Regexp(t, `^CoreDown\{area="core", cluster="testbed", severity="critical"\} fires since 20`, out.Alert)
	require.Equal(t, [][]string{
		{"root", "{}", "matches; not tried: 1 route after the match"},
		{"1", `{severity="critical"}`, "matches and notifies pager; continue: siblings after it are tried too"},
		{"2", `{severity=~"warning|critical", team="shop"}`, "no: it has no label team"},
		{"3", `{area="core"}`, "matches and notifies core"},
	}, out.Path.Rows)
	require.Equal(t, []string{"pager", "1", "webhook", `alertname="CoreDown"`, "1s", "1s", "1h"}, out.Receivers.Rows[0][:7])
	require.Contains(t, out.Receivers.Rows[0][7], "again within 1s of a change in its group, else after 1h")
	require.Equal(t, []string{"core", "3", "webhook", "every label"}, out.Receivers.Rows[1][:4])
}

func TestExplainRouteOfAnInhibitedAlert(t *testing.T) {
	within(t, "CoreSlow is inhibited", func() bool {
		a := held(t, `alertname="CoreSlow"`)
		return len(a) == 1 && len(a[0].Status.InhibitedBy) == 1
	})
	out := explained(t, reading(t), "alertname", "CoreSlow")
	require.Equal(t, "notifies nobody: inhibited by CoreDown; otherwise core", out.Verdict)
	require.Equal(t, []string{`inhibited by CoreDown{area="core", cluster="testbed", severity="critical"} through inhibit rule critical-over-warning`}, out.MutedBy)
	require.Equal(t, "not while CoreDown fires", out.Receivers.Rows[0][7])

	raise(t, []string{"alertname", "Source", "severity", "critical", "area", "inhibits"})
	raise(t, []string{"alertname", "Target", "severity", "warning", "team", "shop", "queue", "orders", "area", "inhibits"})
	raise(t, []string{"alertname", "Later", "severity", "warning", "team", "shop", "queue", "orders", "area", "later"})
	require.Equal(t, "notifies nobody: inhibited by Source; otherwise shop-orders", explained(t, reading(t), "alertname", "Target").Verdict)
	within(t, "an alert after it is told", func() bool { return told(t, "shop-orders", "Later") })
	require.False(t, told(t, "shop-orders", "Target"))
}

func TestExplainRouteOfMutedAndOfSilencedAlerts(t *testing.T) {
	raise(t, []string{"alertname", "Muted", "severity", "warning", "team", "shop", "queue", "mail", "area", "muted"},
		[]string{"alertname", "Loud", "severity", "warning", "team", "shop", "queue", "orders", "area", "muted"})
	s := reading(t)
	out := explained(t, s, "alertname", "Muted")
	require.Equal(t, "notifies nobody: muted for shop-mail (mute time interval always for longer than 8d)", out.Verdict)
	within(t, "the other is told", func() bool { return told(t, "shop-orders", "Loud") })
	require.False(t, told(t, "shop-mail", "Muted"))
	out = explained(t, s, "severity", "critical", "queue", "billing", "team", "shop", "area", "new")
	require.Equal(t, "notifies: pager; muted for shop-billing (outside active time interval never for longer than 8d)", out.Verdict)

	id := silenced(t, `alertname="Loud"`)
	within(t, "Alertmanager silences it", func() bool { return held(t, `alertname="Loud"`)[0].Status.State == "suppressed" })
	out = explained(t, s, "alertname", "Loud")
	require.Equal(t, "notifies nobody: silenced by "+id+"; otherwise shop-orders", out.Verdict)
	require.Regexp(t, `^silence `+id+` \{alertname="Loud"\} until 20.*, by tester: on purpose$`, out.MutedBy[0])
	require.Contains(t, out.Receivers.Rows[0][7], "not until 20")
	require.Empty(t, out.Notes)

	out = explained(t, s, "area", "muted")
	require.Equal(t, [][]string{{`Loud{area="muted", queue="orders", severity="warning", team="shop"}`, "notifies nobody: silenced by " + id + "; otherwise shop-orders"}}, out.Others.Rows)
}

func TestExplainRouteOfAlertsThatDoNotFire(t *testing.T) {
	s := reading(t)
	out := explained(t, s, "alertname", "QueueTooLong", "queue", "orders")
	require.Equal(t, "notifies: shop-orders", out.Verdict, "its rule sets severity and team")
	require.Equal(t, `QueueTooLong{cluster="testbed", queue="orders", severity="warning", team="shop"} does not fire; this is what would become of it`, out.Alert)
	require.Contains(t, out.Receivers.Rows[0][7], " if it fired now")
	out = explained(t, s, "alertname", "PendingForLong")
	require.Contains(t, out.Alert, `version="1.2.3"`, "a pending alert has labels already")
	require.Equal(t, "notifies: nobody (which has no integration, so it sends nothing)", out.Verdict)

	var exact ExplainRouteOut
	s.Call("alertmanager_explain_route", map[string]any{"name": "CoreDown", "exact": true}).Into(t, &exact)
	require.Equal(t, "notifies: default", exact.Verdict)
	require.Equal(t, "CoreDown does not fire; this is what would become of it", exact.Alert)
	requireRefused(t, s, "alertmanager_explain_route", map[string]any{"labels": map[string]any{}}, "invalid: name and labels are empty; give an alert's name")
	requireRefused(t, s, "alertmanager_explain_route", map[string]any{}, "invalid: name and labels are empty")
}

func TestExplainRouteTellsNoSecret(t *testing.T) {
	a := reading(t).Call("alertmanager_explain_route", map[string]any{"labels": map[string]any{"severity": "critical", "team": "shop", "queue": "orders"}})
	require.Contains(t, a.Text, "notifies: pager, shop-orders")
	for _, word := range []string{"s3cret", "?key=", "<secret>"} {
		require.NotContains(t, a.Text, word)
	}
}

func TestExplainRouteLeavesOutWhatNobodyReads(t *testing.T) {
	var alerts [][]string
	for i := range 30 {
		alerts = append(alerts, []string{"alertname", "Many", "area", "many", "severity", fmt.Sprintf("odd-%d", i)})
	}
	alerts = append(alerts, []string{"alertname", "Many", "area", "many", "severity", "info"})
	raise(t, alerts...)
	out := explained(t, reading(t), "area", "many")
	require.Equal(t, "notifies: default; 1 more alert with these labels otherwise, see others", out.Verdict)
	require.Contains(t, out.Alert, "; 29 more alerts with these labels likewise")
	require.Len(t, out.Others.Rows, 1)
	require.False(t, out.Truncated)

	for i := range 40 { // each is its own inhibitor's victim, so no two verdicts are alike
		raise(t, []string{"alertname", fmt.Sprintf("By%d", i), "severity", "critical", "area", fmt.Sprintf("by-%d", i)},
			[]string{"alertname", "Victim", "severity", "warning", "area", fmt.Sprintf("by-%d", i)})
	}
	out = explained(t, reading(t), "alertname", "Victim")
	require.True(t, out.Truncated)
	require.Len(t, out.Others.Rows, shownOthers)
	require.Equal(t, "19 more alerts with these labels; give more labels", out.LeftOut)
}
