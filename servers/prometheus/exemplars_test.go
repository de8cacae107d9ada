package prometheus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExemplars(t *testing.T) {
	s := reading(t)
	args := map[string]any{"query": "histogram_quantile(0.99, rate(testbed_request_duration_seconds_bucket[5m]))"}
	within(t, "there are exemplars", func() bool {
		var out ExemplarsOut
		s.Call("prometheus_exemplars", args).Into(t, &out)
		return len(out.Exemplars.Rows) > 1
	})
	args["limit"] = 1
	out := call[ExemplarsOut](t, s, "prometheus_exemplars", args)
	require.Regexp(t, `^\d+ exemplars of \d+ series$`, out.Summary)
	require.Equal(t, []string{"0.7"}, column(t, out.Exemplars, "value"))
	require.Equal(t, []string{`trace_id="slow-1"`}, column(t, out.Exemplars, "labels"))
	require.Contains(t, out.Same, "testbed_request_duration_seconds_bucket{")
	require.True(t, out.Truncated)

	out = call[ExemplarsOut](t, s, "prometheus_exemplars", map[string]any{"query": "shop_visitors"})
	require.Contains(t, out.Summary, "none: no series of this query has exemplars in the window")
	off := guarded(t, func(path string) (int, string) {
		if path == "/api/v1/status/flags" {
			return 200, `{"status":"success","data":{"enable-feature":""}}`
		}
		return 0, ""
	})
	out = call[ExemplarsOut](t, off, "prometheus_exemplars", map[string]any{"query": "shop_visitors"})
	require.Contains(t, out.Summary, "--enable-feature=exemplar-storage")

	requireRefused(t, s, "prometheus_exemplars", map[string]any{"query": "rate(x"}, "invalid: not PromQL")
	requireRefused(t, s, "prometheus_exemplars", map[string]any{"query": "up", "start": "1h", "end": "2h"}, "which is not after its start")
	requireRefused(t, lacking(t, "/api/v1/query_exemplars"), "prometheus_exemplars", map[string]any{"query": "up"}, "not_found: this backend has no such endpoint")
	requireDenied(t, "prometheus_exemplars", map[string]any{"query": "up"})
}
