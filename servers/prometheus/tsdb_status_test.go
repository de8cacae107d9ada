package prometheus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTSDBStatus(t *testing.T) {
	s := reading(t)
	out := call[TSDBStatusOut](t, s, "prometheus_tsdb_status", nil)
	require.Regexp(t, `^testbed_session_seconds has 20000 of \d+ series \(\d\d\.\d%\); its label user has 20000 values\. Take that label out`, out.Findings[0])
	require.Equal(t, "testbed_session_seconds", out.Metrics.Rows[0][0])
	require.Equal(t, "20000", out.Metrics.Rows[0][1])
	require.Equal(t, []string{"user", "20000"}, out.Labels.Rows[0])
	require.Contains(t, column(t, out.Pairs, "label_value"), "job=sessions")
	require.Equal(t, "sessions", out.Churn.Rows[0][0])
	require.True(t, out.Truncated)

	out = call[TSDBStatusOut](t, s, "prometheus_tsdb_status", map[string]any{"limit": 2})
	require.Len(t, out.Metrics.Rows, 2)
	require.Equal(t, "the 2 largest of each are shown; raise limit for more", out.LeftOut)

	out = call[TSDBStatusOut](t, lacking(t, "/api/v1/status/tsdb"), "prometheus_tsdb_status", nil)
	require.Contains(t, out.NotLooked[0], "this backend has no such endpoint, so it cannot tell its cardinality")
	require.Equal(t, "sessions", out.Churn.Rows[0][0])

	requireRefused(t, s, "prometheus_tsdb_status", map[string]any{"limit": 0}, "invalid")
	requireDenied(t, "prometheus_tsdb_status", nil)
}
