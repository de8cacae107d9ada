package prometheus

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const severityRules = `
groups:
- name: severities
  rules:
  - {alert: SevInfo, expr: vector(1), labels: {severity: info, area: sev}}
  - {alert: SevPage, expr: vector(2), labels: {severity: critical, area: sev}, annotations: {summary: "At {{ $value }}"}}
  - {alert: SevNone, expr: vector(3), labels: {area: sev}}
  - {alert: SevWait, expr: vector(4), for: 1h, labels: {severity: critical, area: sev}}
`

func TestAlerts(t *testing.T) {
	s := reading(t)
	withRules(t, severityRules)
	evaluated(t, "SevInfo", "SevWait")
	out := call[AlertsOut](t, s, "prometheus_alerts", map[string]any{"matchers": `area="sev"`})
	require.Equal(t, "3 firing (1 critical, 1 no severity, 1 info), 1 pending", out.Summary)
	require.Equal(t, []string{"SevPage", "SevWait", "SevNone", "SevInfo"}, column(t, out.ByAlert, "alert"))
	require.Equal(t, []string{"At 2", "", "", ""}, column(t, out.ByAlert, "says"))
	require.Equal(t, []string{"2", "4", "3", "1"}, column(t, out.Alerts, "value"))
	require.Equal(t, []string{firing, pending, firing, firing}, column(t, out.Alerts, "state"))
	require.Equal(t, `{area="sev"}`, column(t, out.Alerts, "labels")[0])

	out = call[AlertsOut](t, s, "prometheus_alerts", map[string]any{"name": "sev", "state": pending})
	require.Equal(t, "0 firing, 1 pending", out.Summary)
	out = call[AlertsOut](t, s, "prometheus_alerts", map[string]any{"limit": 1})
	require.True(t, out.Truncated)
	require.Len(t, out.Alerts.Rows, 1)
	require.Regexp(t, `^alerts: 1 of \d+ shown; raise limit$`, out.LeftOut)

	t.Run("from series where none are listed", func(t *testing.T) {
		out := call[AlertsOut](t, lacking(t, "/api/v1/alerts"), "prometheus_alerts", map[string]any{"matchers": `area="sev"`})
		require.Equal(t, "3 firing (1 critical, 1 no severity, 1 info), 1 pending", out.Summary)
		require.Contains(t, out.NotLooked[0], "this backend has no such endpoint, so it cannot list the alerts")
	})
	t.Run("refusals", func(t *testing.T) {
		requireRefused(t, s, "prometheus_alerts", map[string]any{"name": "SevPagee"}, `not_found: no active alert is called "SevPagee"`)
		requireRefused(t, s, "prometheus_alerts", map[string]any{"matchers": `severity="critica"`}, "not_found: no alert matches severity=\"critica\"; the nearest values are critical")
		requireRefused(t, s, "prometheus_alerts", map[string]any{"matchers": "a=~("}, "invalid: matchers cannot be read")
		requireDenied(t, "prometheus_alerts", nil)
	})
}

func TestNoAlertsAtAll(t *testing.T) {
	s := guarded(t, func(path string) (int, string) {
		if strings.HasSuffix(path, "/alerts") {
			return 200, `{"status":"success","data":{"alerts":[]}}`
		}
		return 0, ""
	})
	require.Equal(t, "nothing fires and nothing is pending", call[AlertsOut](t, s, "prometheus_alerts", nil).Summary)
}
