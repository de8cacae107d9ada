package prometheus

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAlertmanagerAlertsAreFoldedWorstFirst(t *testing.T) {
	raise(t,
		[]string{"alertname", "Disk", "severity", "info", "area", "fold", "instance", "a"},
		[]string{"alertname", "Disk", "severity", "odd", "area", "fold-2", "instance", "b"},
		[]string{"alertname", "Disk", "severity", "odd", "area", "fold-2", "instance", "c", "disk", "sda"},
		[]string{"alertname", "Dead", "severity", "critical", "area", "fold"},
		[]string{"alertname", "Slow", "severity", "warning", "area", "fold"},
		[]string{"alertname", "Mail", "severity", "warning", "area", "fold-2", "team", "shop", "queue", "mail"},
	)
	id := silenced(t, `area="fold", severity="info"`)
	var out AlertmanagerAlertsOut
	s := reading(t)
	within(t, "silence and mute are in force", func() bool {
		s.Call("alertmanager_alerts", map[string]any{"matchers": `area=~"fold.*"`}).Into(t, &out)
		return out.Verdict == "6 alerts: 3 active, 1 silenced, 1 inhibited, 1 muted by a time interval"
	})
	require.Equal(t, []string{"alert", "severity", "state", "count", "since", "receivers", "suppressed_by", "labels", "summary"}, out.Alerts.Columns)
	since := out.Alerts.Rows[0][4]
	require.Equal(t, [][]string{
		{"Dead", "critical", "active", "1", since, "pager", "", "area=fold", "about Dead"},
		{"Disk", "odd", "active", "2", since, "default", "", "area=fold-2 disk=sda instance=b|c", "about Disk"},
		{"Mail", "warning", "suppressed", "1", since, "shop-mail", "time interval always (shop-mail)", "area=fold-2 queue=mail team=shop", "about Mail"},
		{"Slow", "warning", "suppressed", "1", since, "default", "alert Dead", "area=fold", "about Slow"},
		{"Disk", "info", "suppressed", "1", since, "nobody", "silence " + id, "area=fold instance=a", "about Disk"},
	}, out.Alerts.Rows)
	for _, a := range held(t, `area="fold"`) { // Alertmanager itself agrees
		require.Equal(t, a.Labels["alertname"] != "Dead", a.Status.State == "suppressed", a)
	}

	for _, c := range []struct {
		args    map[string]any
		verdict string
	}{
		{map[string]any{"state": "active"}, "3 alerts: 3 active"},
		{map[string]any{"state": "suppressed"}, "3 alerts: 0 active, 1 silenced, 1 inhibited, 1 muted by a time interval"},
		{map[string]any{"receiver": "pager"}, "1 alert: 1 active"},
	} {
		c.args["matchers"] = `area=~"fold.*"`
		s.Call("alertmanager_alerts", c.args).Into(t, &out)
		require.Equal(t, c.verdict, out.Verdict)
	}
	s.Call("alertmanager_alerts", map[string]any{"matchers": `area="fold", alertname="Slow"`}).Into(t, &out)
	require.Equal(t, "alert Dead", out.Alerts.Rows[0][6], "which the matchers leave out")
	s.Call("alertmanager_alerts", map[string]any{"matchers": `area=~"fold.*"`, "limit": 2}).Into(t, &out)
	require.True(t, out.Truncated)
	require.Len(t, out.Alerts.Rows, 2)
	require.Equal(t, "3 less severe rows; pass matchers, state or receiver, or lower limit", out.LeftOut)
}

func TestAlertmanagerAlertsThatAreNotThere(t *testing.T) {
	within(t, "CoreDown fires", func() bool { return len(held(t, `alertname="CoreDown"`)) == 1 })
	s := reading(t)
	for matchers, verdict := range map[string]string{
		`severity="critcal"`:                   `no alerts; no alert matches severity="critcal"; the nearest values are critical`,
		`{nosuch="x"}`:                         "no alerts; no alert held now has a label nosuch",
		`area="core", alertname="Nothing#$%&"`: `no alerts; no alert matches alertname="Nothing#$%&"; values of alertname are `,
		`area="core", team="x"`:                `no alerts; no alert `,
	} {
		var out AlertmanagerAlertsOut
		s.Call("alertmanager_alerts", map[string]any{"matchers": matchers}).Into(t, &out)
		require.Contains(t, out.Verdict, verdict)
		require.Empty(t, out.Alerts.Rows)
	}
	requireRefused(t, s, "alertmanager_alerts", map[string]any{"receiver": "shop-male"}, `not_found: no receiver "shop-male"; the nearest names are shop, shop-mail`)
	requireRefused(t, s, "alertmanager_alerts", map[string]any{"receiver": "#"}, `not_found: no receiver "#"; there are core, default, `)
	requireRefused(t, s, "alertmanager_alerts", map[string]any{"matchers": `severity=~"("`}, "invalid: matchers cannot be read: ")
	requireRefused(t, s, "alertmanager_alerts", map[string]any{"state": "firing"}, `invalid: argument "state"`)
}

func TestAlertmanagerAlertsStayWithinTheirBudget(t *testing.T) {
	var alerts [][]string
	for i := range 300 {
		alerts = append(alerts, []string{"alertname", fmt.Sprintf("Budget%03d", i), "area", "budget", "severity", "odd"})
	}
	raise(t, alerts...)
	a := reading(t).Call("alertmanager_alerts", map[string]any{"matchers": `area="budget"`, "limit": 1000})
	require.LessOrEqual(t, a.Bytes, 24<<10)
	var out AlertmanagerAlertsOut
	a.Into(t, &out)
	require.Equal(t, "300 alerts: 300 active", out.Verdict)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "of 300 rows shown; pass matchers")
}
