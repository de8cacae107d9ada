package prometheus

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// lifeRules holds an alert in each state for as long as it takes to look at: it
// moves on when hold or keep is made shorter, for Prometheus takes the alerts of
// a rule along when that changes.
func lifeRules(hold, keep string) string {
	return `
groups:
- name: life
  rules:
  - alert: LifeHigh
    expr: life_load > 100
    for: ` + hold + `
    keep_firing_for: ` + keep + `
    labels: {severity: warning, team: shop}
    annotations: {summary: "Disk {{ $labels.disk }} is at {{ $value }}"}
`
}

// explainedAs waits until the tool's verdict begins with words, and requires
// on the way that it never contradicts what Prometheus says before and after.
func explainedAs(t *testing.T, s *mcptest.Session, name, words string) (out ExplainAlertOut) {
	t.Helper()
	within(t, name+" is "+words, func() bool {
		before := alertStates(t, name)
		s.Call("prometheus_explain_alert", map[string]any{"name": name}).Into(t, &out)
		if after := alertStates(t, name); strings.Join(before, " ") == strings.Join(after, " ") {
			said, _, _ := strings.Cut(out.State[0], ":")
			require.Equal(t, strings.Join(before, " "), strings.TrimPrefix(said, "inactive"), out.State[0])
		}
		return strings.HasPrefix(out.State[0], words)
	})
	return out
}

func TestExplainAlertThroughItsLife(t *testing.T) {
	s := reading(t)
	set(t, "life_load", 20, "disk", "a")
	set(t, "life_load", 80, "disk", "b")
	seen(t, `life_load{disk="b"} == 80`)
	withRules(t, lifeRules("1h", "2h"))
	evaluated(t, "LifeHigh")

	out := explainedAs(t, s, "LifeHigh", "inactive: 0 of 2 series meet life_load > 100; the nearest is life_load{")
	require.Contains(t, out.State[0], `disk="b"`)
	require.Contains(t, out.State[0], "80 against 100, away by 20")
	require.Equal(t, []string{"20", "80"}, column(t, out.Series, "away"))
	require.Equal(t, "Disk {{ $labels.disk }} is at {{ $value }}", string(out.Rules[0].Annotations["summary"]))
	require.Equal(t, []string{"1h", "2h"}, []string{out.Rules[0].For, out.Rules[0].KeepFiringFor})
	require.Equal(t, []string{"Prometheus sends to 1 Alertmanager"}, out.Delivery)

	set(t, "life_load", 150, "disk", "b")
	out = explainedAs(t, s, "LifeHigh", "pending: 1 series")
	require.Contains(t, out.State[0], "if the condition holds until then")
	require.Contains(t, out.Why[0], "1 of 2 series meet life_load > 100")
	require.Equal(t, []string{"meets it", "80"}, column(t, out.Series, "away"))
	active, err := whole().activeAlerts(t.Context())
	require.NoError(t, err)
	for _, a := range active {
		if a.name() == "LifeHigh" {
			require.Equal(t, []string{"fires at " + utc(a.ActiveAt.Add(time.Hour))}, column(t, out.Alerts, "next"))
		}
	}

	require.NoError(t, stack().SetRules(t.Context(), lifeRules("1ms", "2h")))
	out = explainedAs(t, s, "LifeHigh", "firing: 1 series, the first since ")
	require.Equal(t, "Disk b is at 150", string(out.Rules[0].Annotations["summary"]))
	require.Equal(t, []string{"150"}, column(t, out.Alerts, "value"))
	within(t, "Alertmanager has it", func() bool {
		s.Call("prometheus_explain_alert", map[string]any{"name": "LifeHigh"}).Into(t, &out)
		return strings.Contains(strings.Join(out.Delivery, "\n"), "Alertmanager has 1 of the 1 that fire")
	})
	require.Equal(t, []string{"to shop"}, column(t, out.Alerts, "alertmanager"))
	call[ExplainAlertOut](t, s, "prometheus_explain_alert", map[string]any{"name": "LifeHigh"})

	set(t, "life_load", 0, "disk", "b")
	within(t, "it is kept firing", func() bool {
		out = explainedAs(t, s, "LifeHigh", "firing: 1 series")
		return strings.Contains(out.State[0], "1 of them only because of keep_firing_for, until ")
	})
	require.Equal(t, []string{"firing, kept"}, column(t, out.Alerts, "state"))
	require.Contains(t, out.Why[0], "0 of 2 series meet life_load > 100; the nearest is life_load{")
	require.NoError(t, stack().SetRules(t.Context(), lifeRules("1ms", "1ms")))
	explainedAs(t, s, "LifeHigh", "inactive")
}

const partsRules = `
groups:
- name: parts
  rules:
  - {alert: PartNone, expr: part_none > 1}
  - {alert: PartLabels, expr: 'part_load{disk="z"} > 1'}
  - {alert: PartAnd, expr: part_load > 50 and on (disk) part_errors > 0}
  - {alert: PartOr, expr: part_none > 1 or part_load > 1000}
  - {alert: PartUnless, expr: part_load > 50 unless on (disk) part_load > 60}
  - {alert: PartAbsent, expr: absent(part_load)}
  - {alert: PartBool, expr: part_load > bool 1000}
  - {alert: PartInside, expr: count(part_load > 50) > 5}
  - {alert: PartPair, expr: part_load > on (disk) group_left () part_limit}
  - {alert: PartTurned, expr: 100 < part_load}
  - {alert: PartBare, expr: part_errors}
  - {alert: PartFails, expr: part_load * on () part_load > 1}
  - {alert: PartTwice, expr: part_load > 200}
  - {alert: PartTwin, expr: part_load > 300, labels: {severity: warning}}
  - {alert: PartTwin, expr: part_load > 400, labels: {severity: critical}}
  - {alert: PartRecorded, expr: broken:never > 1}
- name: others
  rules:
  - {alert: PartTwice, expr: part_load < 5, for: 1h}
`

func TestExplainAlertTakesExpressionsApart(t *testing.T) {
	s := reading(t)
	set(t, "part_load", 20, "disk", "a")
	set(t, "part_load", 80, "disk", "b")
	set(t, "part_errors", 0, "disk", "b")
	set(t, "part_limit", 30, "disk", "a")
	set(t, "part_limit", 90, "disk", "b")
	seen(t, `part_limit{disk="b"}`)
	withRules(t, partsRules)
	evaluated(t, "PartTwice", "PartFails")
	for name, want := range map[string][]string{
		"PartNone":     {"inactive, and cannot fire: there is no metric part_none"},
		"PartLabels":   {`inactive, and cannot fire: no series of part_load has disk="z"; the nearest of 2 values are a, b`},
		"PartAnd":      {"inactive: 0 of 1 series meet part_errors > 0", "1 of 2 series meet part_load > 50"},
		"PartOr":       {"inactive: part_none > 1 has nothing to compare", "0 of 2 series meet part_load > 1000", "there is no metric part_none"},
		"PartUnless":   {"inactive: each condition holds for some series, but together they leave none", "unless: 1 of 2 series meet part_load > 60"},
		"PartAbsent":   {"inactive: absent(part_load) does not hold: there are such series"},
		"PartBool":     {"firing: 2 series", "take bool away"},
		"PartInside":   {"inactive: 0 of 1 series meet count(part_load > 50) > 5; the nearest is {}: 1 against 5, away by 4", "inside: 1 of 2 series meet part_load > 50"},
		"PartPair":     {`inactive: 0 of 2 series meet part_load > on (disk) group_left () part_limit; the nearest is part_load{disk="a"`, "20 against 30, away by 10"},
		"PartTurned":   {"inactive: 0 of 2 series meet 100 < part_load", "80 against 100, away by 20"},
		"PartBare":     {"firing: 1 series", "without a comparison the alert fires for each series"},
		"PartFails":    {"not evaluated: the last evaluation failed", "the rule fails: found duplicate series"},
		"PartRecorded": {"inactive, and cannot fire: there is no metric broken:never", "the rule that records it, in group broken, fails: found duplicate series"},
		"CoreDown":     {"firing: 1 series", "vector(1) has 1 series, {} = 1"},
	} {
		t.Run(name, func(t *testing.T) {
			out := call[ExplainAlertOut](t, s, "prometheus_explain_alert", map[string]any{"name": name})
			require.Len(t, out.State, 1)
			require.True(t, strings.HasPrefix(out.State[0], want[0]), out.State[0])
			for _, text := range want[1:] {
				require.Contains(t, out.State[0]+"\n"+strings.Join(out.Why, "\n"), text)
			}
		})
	}
	t.Run("several of a name", func(t *testing.T) {
		out := call[ExplainAlertOut](t, s, "prometheus_explain_alert", map[string]any{"name": "PartTwice"})
		require.Len(t, out.State, 2)
		require.True(t, strings.HasPrefix(out.State[0], "group others: inactive"), out.State[0])
		require.True(t, strings.HasPrefix(out.State[1], "group parts: inactive"), out.State[1])
		require.Equal(t, []string{"others", "others", "parts", "parts"}, column(t, out.Series, "group"))
		one := call[ExplainAlertOut](t, s, "prometheus_explain_alert", map[string]any{"name": "PartTwice", "group": "others"})
		require.Len(t, one.State, 1)
		require.Equal(t, "1h", one.Rules[0].For)
		requireRefused(t, s, "prometheus_explain_alert", map[string]any{"name": "PartTwice", "group": "other"}, `not_found: no rule "PartTwice" in group "other"; it is in others, parts`)
	})
	t.Run("several of a name in one group", func(t *testing.T) {
		out := call[ExplainAlertOut](t, s, "prometheus_explain_alert", map[string]any{"name": "PartTwin"})
		require.True(t, strings.HasPrefix(out.State[0], `group parts {severity="warning"}: inactive`), out.State[0])
		require.True(t, strings.HasPrefix(out.State[1], `group parts {severity="critical"}: inactive`), out.State[1])
		out = call[ExplainAlertOut](t, s, "prometheus_explain_alert", map[string]any{"name": "PartTwin", "matchers": `severity="critical"`})
		require.Len(t, out.State, 1)
		require.Equal(t, "part_load > 400", out.Rules[0].Expr)
	})
	t.Run("matchers and limit", func(t *testing.T) {
		out := call[ExplainAlertOut](t, s, "prometheus_explain_alert", map[string]any{"name": "PartBool", "matchers": `disk="b"`})
		require.Len(t, out.Alerts.Rows, 1)
		require.Len(t, out.Series.Rows, 1)
		out = call[ExplainAlertOut](t, s, "prometheus_explain_alert", map[string]any{"name": "PartBool", "limit": 1})
		require.True(t, out.Truncated)
		require.Equal(t, "series of part_load > bool 1000: 1 of 2 shown; alerts: 1 of 2 shown; raise limit", out.LeftOut)
		require.Len(t, out.Alerts.Rows, 1)
	})
	t.Run("endpoints that are not there", func(t *testing.T) {
		out := call[ExplainAlertOut](t, lacking(t, "/api/v1/alertmanagers"), "prometheus_explain_alert", map[string]any{"name": "PartBare"})
		require.True(t, strings.HasPrefix(out.State[0], "firing: 1 series"))
		require.Contains(t, out.NotLooked[0], "which Alertmanagers Prometheus sends to: not_found: this backend has no such endpoint")
	})
}

// CoreSlow is inhibited by CoreDown.
func TestExplainAlertThatNobodyIsToldOf(t *testing.T) {
	s := reading(t)
	var out ExplainAlertOut
	within(t, "CoreSlow is inhibited", func() bool {
		s.Call("prometheus_explain_alert", map[string]any{"name": "CoreSlow"}).Into(t, &out)
		return strings.Contains(strings.Join(out.Delivery, "\n"), "Alertmanager has 1 of the 1 that fire; of 1 nobody is told")
	})
	require.Equal(t, []string{"inhibited by 1 alert"}, column(t, out.Alerts, "alertmanager"))

	alone := serve(t, New(Config{Prometheus: Endpoint{URL: stack().Prometheus}}), mcpkit.AccessRead, nil)
	alone.Call("prometheus_explain_alert", map[string]any{"name": "CoreSlow"}).Into(t, &out)
	require.Contains(t, out.NotLooked[0], "what Alertmanager does with it: unavailable: no Alertmanager is configured")
	require.Equal(t, []string{""}, column(t, out.Alerts, "alertmanager"))
}

func TestExplainAlertRefusals(t *testing.T) {
	s := reading(t)
	requireRefused(t, s, "prometheus_explain_alert", map[string]any{"name": "QueueFul"}, `not_found: no alerting rule is called "QueueFul"; the nearest names are QueueFull`)
	requireRefused(t, s, "prometheus_explain_alert", map[string]any{"name": "QueueFull", "matchers": "queue=~("}, "invalid: matchers cannot be read")
	requireRefused(t, s, "prometheus_explain_alert", map[string]any{"name": ""}, "invalid")
	requireRefused(t, lacking(t, "/api/v1/rules"), "prometheus_explain_alert", map[string]any{"name": "QueueFull"}, "not_found: this backend has no such endpoint, so it cannot list the rules")
	requireDenied(t, "prometheus_explain_alert", map[string]any{"name": "QueueFull"})
}
