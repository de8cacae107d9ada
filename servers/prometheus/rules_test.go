package prometheus

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRules(t *testing.T) {
	s := reading(t)
	within(t, "the broken rule has failed", func() bool {
		var out RulesOut
		s.Call("prometheus_rules", map[string]any{"name": "broken:never"}).Into(t, &out)
		return strings.Contains(out.Summary, "1 failing")
	})
	out := call[RulesOut](t, s, "prometheus_rules", nil)
	require.Contains(t, out.Summary, "1 failing")
	require.Regexp(t, `^broken:never in group broken fails: .*many-to-many matching not allowed`, out.Problems[0])
	require.Equal(t, []string{"broken", "broken:never", "recording", "err", "", "testbed_special_value * on () testbed_special_value"}, out.Rules.Rows[0])
	require.Contains(t, column(t, out.Groups, "group"), "queues")
	require.Contains(t, column(t, out.Groups, "interval"), "2s")

	out = call[RulesOut](t, s, "prometheus_rules", map[string]any{"name": "queuewas"})
	require.Equal(t, []string{"0s, keeps firing for 5s"}, column(t, out.Rules, "for"))

	out = call[RulesOut](t, s, "prometheus_rules", map[string]any{"type": "record", "file": "default.yml", "limit": 2})
	require.True(t, out.Truncated)
	require.Equal(t, "rules: 2 of 3 shown; raise limit", out.LeftOut)
	require.Equal(t, []string{"recording", "recording"}, column(t, out.Rules, "state"))

	out = call[RulesOut](t, s, "prometheus_rules", map[string]any{"group": "core", "type": "alert"})
	require.ElementsMatch(t, []string{"CoreDown", "CoreSlow", "PendingForLong", "TargetDown"}, column(t, out.Rules, "name"))
	require.Equal(t, []string{firing, firing, pending, pending}, column(t, out.Rules, "state"))
}

func TestRulesRefusals(t *testing.T) {
	s := reading(t)
	requireRefused(t, s, "prometheus_rules", map[string]any{"name": "QueueFulll"}, `not_found: no rule with name "QueueFulll"; there are QueueFull`)
	requireRefused(t, s, "prometheus_rules", map[string]any{"group": "cor"}, `not_found: no rule with group "cor"; there are core`)
	requireRefused(t, s, "prometheus_rules", map[string]any{"group": "core", "name": "QueueFull"}, "not_found: no rule passes all of the filters")
	requireRefused(t, lacking(t, "/api/v1/rules"), "prometheus_rules", nil, "not_found: this backend has no such endpoint")
	requireRefused(t, guarded(t, func(string) (int, string) { return http.StatusOK, "<html>" }), "prometheus_rules", nil, "is not Prometheus's API")
	requireDenied(t, "prometheus_rules", nil)
}

// Groups come in pages; a rule on the last of them is found like any other.
func TestRulesOnManyPages(t *testing.T) {
	var yaml strings.Builder
	yaml.WriteString("groups:\n")
	for i := range groupsPerPage + 10 {
		fmt.Fprintf(&yaml, "- {name: page %03d, interval: 1h, rules: [{alert: Page%03d, expr: vector(0) > 1}]}\n", i, i)
	}
	withRules(t, yaml.String())
	s := reading(t)
	last := fmt.Sprintf("Page%03d", groupsPerPage+9)
	out := call[RulesOut](t, s, "prometheus_rules", map[string]any{"name": last})
	require.Equal(t, []string{last}, column(t, out.Rules, "name"))
	require.Contains(t, out.Problems[0], last+" in group page 209 is not evaluated yet")
	explained := call[ExplainAlertOut](t, s, "prometheus_explain_alert", map[string]any{"name": last})
	require.Equal(t, []string{"unknown: the rule is not evaluated yet"}, explained.State)
}

func TestWhatIsWrongWithARule(t *testing.T) {
	now := time.Unix(10_000, 0)
	at := func(ago time.Duration) rule {
		return rule{Health: "ok", LastEvaluation: now.Add(-ago), group: &ruleGroup{Interval: seconds(time.Minute)}}
	}
	slow, failed := at(time.Second), at(time.Second)
	slow.EvaluationTime = seconds(42500 * time.Millisecond)
	failed.Health, failed.LastError = "err", "too many series"
	for want, r := range map[string]rule{
		"":                       at(3 * time.Minute),
		"is not evaluated yet":   {group: &ruleGroup{}},
		"fails: too many series": failed,
		"is slow: it takes 42.5s of its interval of 1m":         slow,
		"was not evaluated for 10m though its interval is 1m":   at(10 * time.Minute),
		"was not evaluated for 3m11s though its interval is 1m": at(3*time.Minute + 11*time.Second),
	} {
		_, text := r.fault(now)
		require.Equal(t, want, text)
	}
}
