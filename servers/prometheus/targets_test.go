package prometheus

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTargets(t *testing.T) {
	s := reading(t)
	var out TargetsOut
	within(t, "no scrape was late on a busy machine", func() bool {
		out = call[TargetsOut](t, s, "prometheus_targets", nil)
		return out.Summary == "1 down, 0 unknown, 6 up, 1 dropped by relabelling, in 7 jobs"
	})
	require.Equal(t, "broken", out.Jobs.Rows[0][0], "what is down comes first")
	require.Contains(t, column(t, out.Jobs, "job"), "sessions")
	require.Equal(t, []string{"broken"}, column(t, out.Targets, "job")[:1])
	require.Equal(t, "server returned HTTP status 500 Internal Server Error", column(t, out.Targets, "note")[0])
	require.Regexp(t, `^http://127.0.0.1:\d+/broken$`, column(t, out.Targets, "url")[0])
	require.Equal(t, "1s", column(t, out.Targets, "interval")[0])

	out = call[TargetsOut](t, s, "prometheus_targets", map[string]any{"job": "shop"})
	require.Equal(t, "0 down, 0 unknown, 1 up, 1 dropped by relabelling, in 1 job", out.Summary)
	require.Equal(t, []string{"shop-1"}, column(t, out.Targets, "instance"))
	require.Equal(t, []string{"up"}, column(t, out.Targets, "health"))

	out = call[TargetsOut](t, s, "prometheus_targets", map[string]any{"state": "dropped"})
	require.Equal(t, [][]string{{"shop", "retired.test:9", "shop"}}, out.Targets.Rows)

	out = call[TargetsOut](t, s, "prometheus_targets", map[string]any{"state": "up", "limit": 2})
	require.True(t, out.Truncated)
	require.Equal(t, "targets: 2 of 6 shown; raise limit", out.LeftOut)
	require.Len(t, out.Targets.Rows, 2)
}

func TestTargetsRefusals(t *testing.T) {
	s := reading(t)
	requireRefused(t, s, "prometheus_targets", map[string]any{"job": "exportr"}, `not_found: no job "exportr" has a target; the nearest names are exporter`)
	requireRefused(t, s, "prometheus_targets", map[string]any{"state": "dead"}, "invalid")
	requireDenied(t, "prometheus_targets", nil)
	requireRefused(t, refusing(t, http.StatusServiceUnavailable), "prometheus_targets", nil, "unavailable: Prometheus could not list the targets")
}

func TestTargetsWhereNoneAreListed(t *testing.T) {
	s := lacking(t, "/api/v1/targets")
	out := call[TargetsOut](t, s, "prometheus_targets", nil)
	require.Equal(t, "1 down, 0 unknown, 6 up, in 7 jobs", out.Summary)
	require.Equal(t, []string{"broken-1"}, column(t, out.Targets, "instance"))
	require.Contains(t, out.NotLooked[0], "this backend has no such endpoint, so it cannot list the targets")
	requireRefused(t, s, "prometheus_targets", map[string]any{"state": "dropped"}, "not_found: this backend has no such endpoint")
	requireRefused(t, s, "prometheus_targets", map[string]any{"job": "nothing"}, `not_found: no job "nothing" has a series up`)
}

func TestScrapeErrorsLoseWhatURLsKeep(t *testing.T) {
	text := `Get "http://user:s3cret@10.0.0.1:9100/metrics?token=s3cret&x=1": dial tcp 10.0.0.1:9100: connect: connection refused`
	require.Equal(t, `Get "http://10.0.0.1:9100/metrics": dial tcp 10.0.0.1:9100: connect: connection refused`, bareURLs(text))
	require.Equal(t, "(a URL) and https://b/", bareURLs("http://[::1 and https://b/?k=s3cret#s3cret"))
}
