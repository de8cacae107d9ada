package deployed

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const prometheusValues = `
callers:
- {kind: ServiceAccount, namespace: agents, name: troubleshooter}
write:
  enabled: true
  callers:
  - {kind: ServiceAccount, namespace: agents, name: troubleshooter}
prometheus:
  url: http://prometheus.monitoring.svc:9090
`

func TestPrometheus(t *testing.T) {
	manifests, err := os.ReadFile("testdata/prometheus.yaml")
	require.NoError(t, err)
	require.NoError(t, cluster.Apply(limit(t), manifests))
	install(t, "crib", "prometheus", prometheusValues)
	kubectl(t, "wait", "-n", "monitoring", "pod/prometheus", "--for=condition=Ready", "--timeout=15m")
	s := find(t, "crib", "crib-prometheus").session(t, requested(t, "agents", "troubleshooter", "--audience=crib-prometheus.crib.svc"))
	require.ElementsMatch(t, granted(t, "prometheus/files/read.yaml").Tools, tools(t, s))
	write := find(t, "crib", "crib-prometheus-write").session(t, requested(t, "agents", "troubleshooter", "--audience=crib-prometheus-write.crib.svc"))
	require.ElementsMatch(t, granted(t, "prometheus/files/write.yaml").Tools, tools(t, write))
	require.Eventually(t, func() bool { // a moment after the pod is ready the Service leads to it
		return strings.Contains(s.Call("prometheus_query", map[string]any{"query": "vector(42) + 0.5"}).Text, "42.5")
	}, 15*time.Minute, 200*time.Millisecond)
}
