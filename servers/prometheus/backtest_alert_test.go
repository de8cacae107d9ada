package prometheus

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// The shop's queue held 50 entries for an hour two days before the epoch, and
// for ten minutes a day before it.
func TestBacktestAlertOverTheSeededPast(t *testing.T) {
	s, epoch := reading(t), stack().Epoch
	window := map[string]any{"start": epoch.Add(-50 * time.Hour).Format(time.RFC3339), "end": epoch.Add(-20 * time.Hour).Format(time.RFC3339)}
	ask := func(more map[string]any) BacktestAlertOut {
		for name, value := range window {
			more[name] = value
		}
		return call[BacktestAlertOut](t, s, "prometheus_backtest_alert", more)
	}
	at := func(age time.Duration) string { return utc(epoch.Add(-age)) }

	out := ask(map[string]any{"query": "shop_queue_length > 10", "for": "15m", "labels": map[string]any{"severity": "warning"}})
	require.Equal(t, "it would have fired once, on 1 series, for 45m added up, the longest for 45m", out.Verdict)
	require.Equal(t, []string{at(48*time.Hour - 15*time.Minute)}, column(t, out.Firings, "start"))
	require.Equal(t, []string{"50"}, column(t, out.Firings, "peak"))
	require.Contains(t, column(t, out.Firings, "series")[0], `severity="warning"`)
	require.Equal(t, `proposed: shop_queue_length > 10 for 15m, labels {severity="warning"}`, out.Rule)
	require.Empty(t, out.Really)

	out = ask(map[string]any{"query": "shop_queue_length > 10", "for": "5m"})
	require.Contains(t, out.Verdict, "it would have fired 2 times, on 1 series")
	require.Equal(t, []string{at(24*time.Hour - 5*time.Minute), at(48*time.Hour - 5*time.Minute)}, column(t, out.Firings, "start"))

	out = ask(map[string]any{"query": "shop_queue_length > 10", "for": "2h"})
	require.Equal(t, "it would not have fired", out.Verdict)
	require.Contains(t, out.Findings[0], "nearest to it came {instance=\"shop-1\", job=\"shop\", queue=\"orders\"}, pending from "+at(48*time.Hour))
	require.True(t, strings.HasSuffix(out.Findings[0], "for 1h of the 2h it needs, peak 50"), out.Findings[0])

	out = ask(map[string]any{"query": "shop_queue_length > 60"})
	require.Equal(t, "it would not have fired", out.Verdict)
	require.Equal(t, []string{"never pending: the highest value of shop_queue_length was 50"}, out.Findings)
	out = ask(map[string]any{"query": "shop_latency_seconds < 0.05"})
	require.Equal(t, []string{"never pending: the lowest value of shop_latency_seconds was 0.1"}, out.Findings)
	out = ask(map[string]any{"query": "shop_queue_lengths > 60"})
	require.Contains(t, out.Findings[0], "there is no metric shop_queue_lengths; the nearest names are shop_queue_length")

	out = ask(map[string]any{"name": "QueueTooLong", "for": "5m"})
	require.True(t, strings.HasPrefix(out.Rule, "QueueTooLong, changed: shop_queue_length > 10 for 5m"), out.Rule)
	require.Contains(t, out.Really[0], "ALERTS has no firing of it in this window")
	require.Contains(t, strings.Join(out.Findings, "\n"), "evaluated every 3s instead of every 1s")
}

func TestBacktestAlertIsBounded(t *testing.T) {
	s := reading(t)
	end := stack().Epoch.Format(time.RFC3339) // the shop's past goes on for minutes only
	args := map[string]any{"query": "shop_latency_seconds > 0", "start": "90d", "end": end}
	out := call[BacktestAlertOut](t, s, "prometheus_backtest_alert", args)
	require.Contains(t, out.Findings[0], "evaluated every 3m instead of every 1m")
	require.Equal(t, []string{"/cart", "/pay", "/search"}, column(t, out.Firings, "route"))
	require.Equal(t, []string{"0.1", "0.8", "0.3"}, column(t, out.Firings, "peak"))
	require.True(t, strings.HasPrefix(column(t, out.Firings, "start")[0], "before "))
	require.Equal(t, []string{"still fires", "still fires", "still fires"}, column(t, out.Firings, "end"))
	args["limit"] = 2
	out = call[BacktestAlertOut](t, s, "prometheus_backtest_alert", args)
	require.True(t, out.Truncated)
	require.Equal(t, "firings: 2 of 3 shown; raise limit", out.LeftOut)

	out = call[BacktestAlertOut](t, s, "prometheus_backtest_alert", map[string]any{"query": "testbed_session_seconds > 5", "start": "5m"})
	require.Contains(t, strings.Join(out.Findings, "\n"), "more than 500 series meet the expression")
}

func TestBacktestAlertRefusals(t *testing.T) {
	s := reading(t)
	requireRefused(t, s, "prometheus_backtest_alert", map[string]any{}, "invalid: give name for an existing rule, or query")
	requireRefused(t, s, "prometheus_backtest_alert", map[string]any{"name": "QueueToLong"}, "the nearest names are QueueTooLong")
	requireRefused(t, s, "prometheus_backtest_alert", map[string]any{"query": "up =="}, "invalid: not PromQL")
	requireRefused(t, s, "prometheus_backtest_alert", map[string]any{"query": "up[5m]"}, "an alert needs an instant vector or a scalar, and this is a range vector")
	requireRefused(t, s, "prometheus_backtest_alert", map[string]any{"query": "up == 0", "start": "1h", "end": "2h"}, "which is not after its start")
	requireRefused(t, s, "prometheus_backtest_alert", map[string]any{"query": "up == 0", "for": "290y"}, "invalid: for and keep_firing_for can be 90d at most here")
	requireDenied(t, "prometheus_backtest_alert", map[string]any{"query": "up == 0"})
	withRules(t, partsRules)
	evaluated(t, "PartTwice")
	requireRefused(t, s, "prometheus_backtest_alert", map[string]any{"name": "PartTwice"}, "invalid: 2 rules are called PartTwice, in the groups others (part_load < 5), parts (part_load > 200); give group")
}

// playRules are of every kind that the simulation must follow. Their groups'
// names say when in a second Prometheus evaluates them.
const playRules = `
groups:
- name: play NAME
  rules:
  - {alert: PlayAtOnce, expr: play_load > 50}
  - {alert: PlayFor, expr: play_load > 50, for: 2s, labels: {severity: info}}
  - {alert: PlayKept, expr: play_load > 50, for: 1s, keep_firing_for: 3s}
  - {alert: PlayLow, expr: play_load < 20, for: 2s, keep_firing_for: 2s, labels: {disk: all}}
- name: play slowly NAME
  interval: 3s
  rules:
  - {alert: PlaySlow, expr: play_load > 50, for: 3s}
`

// A load that moves at random makes real alerts fire; over the same window the
// backtest must find what ALERTS says, which Prometheus wrote meanwhile.
func TestBacktestAlertAgreesWithPrometheus(t *testing.T) {
	s := reading(t)
	for _, disk := range []string{"a", "b", "c"} {
		set(t, "play_load", 40, "disk", disk)
	}
	seen(t, `play_load{disk="c"}`)
	for n := 0; ; n++ {
		withRules(t, strings.ReplaceAll(playRules, "NAME", fmt.Sprint(n)))
		evaluated(t, "PlayAtOnce", "PlaySlow")
		if clearOfScrapes(t, "PlayAtOnce") && clearOfScrapes(t, "PlaySlow") {
			break
		}
	}
	start := time.Now()
	for tries := 0; tries < 5; tries++ {
		start = time.Now()
		if play(t); onTime(t, start) {
			break
		}
	}
	for _, name := range []string{"PlayAtOnce", "PlayFor", "PlayKept", "PlayLow", "PlaySlow"} {
		t.Run(name, func(t *testing.T) { requireAgreement(t, s, name, start) })
	}
}

// clearOfScrapes reports whether a rule is evaluated so long after a scrape that
// it sees what was scraped, as all who look at the past do.
func clearOfScrapes(t *testing.T, name string) bool {
	t.Helper()
	found, err := whole().alertRules(t.Context(), name)
	require.NoError(t, err)
	scraped, ok, err := whole().figure(t.Context(), "max(timestamp(play_load))", time.Now())
	require.NoError(t, err)
	require.True(t, ok)
	slot := found[0].group.slot(found[0].LastEvaluation).UnixMilli()
	after := ((slot-int64(scraped*1000))%1000 + 1000) % 1000
	return after > 200 && after < 900
}

// onTime reports whether Prometheus has been on time since start: on a machine
// that stands still it sees less when it evaluates rules than what is there later.
func onTime(t *testing.T, start time.Time) bool {
	t.Helper()
	window := fmt.Sprintf("[%ds]", int(time.Since(start).Seconds())+1)
	slowest, ok, err := whole().figure(t.Context(), `max(max_over_time(scrape_duration_seconds{job="exporter"}`+window+`))`, time.Now())
	require.NoError(t, err)
	require.True(t, ok)
	missed, ok, err := whole().figure(t.Context(), `sum(increase(prometheus_rule_group_iterations_missed_total`+window+`))`, time.Now())
	require.NoError(t, err)
	return slowest < 0.1 && (!ok || missed == 0)
}

// play moves a load at random for a while.
func play(t *testing.T) {
	t.Helper()
	disks := []string{"a", "b", "c"}
	dice := rand.New(rand.NewPCG(7, 11))
	next := time.NewTicker(1500 * time.Millisecond)
	defer next.Stop()
	for range 12 {
		disk := disks[dice.IntN(len(disks))]
		if dice.IntN(6) == 0 {
			require.NoError(t, stack().Unset(t.Context(), "play_load", "disk", disk))
		}
		set(t, "play_load", float64(dice.IntN(100)), "disk", disk)
		<-next.C
	}
}

func requireAgreement(t *testing.T, s *mcptest.Session, name string, start time.Time) {
	t.Helper()
	args := map[string]any{"name": name, "start": fmt.Sprint(start.Unix()), "limit": 500}
	out := call[BacktestAlertOut](t, s, "prometheus_backtest_alert", args)
	require.Contains(t, out.Really[0], "it really fired ")
	require.Equal(t, "the backtest agrees with it", out.Really[1])
}
