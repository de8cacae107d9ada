package kubernetes

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hungry is a pod that uses nearly all of the memory and CPU it may, beside a
// container without limits.
const hungry = `
apiVersion: v1
kind: Pod
metadata: {name: hungry, labels: {app: hungry}}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: ram, emptyDir: {medium: Memory}}]
  containers:
  - name: full
    image: toolcrib.test/busybox:1
    command: [sh, -c, 'head -c 62000000 /dev/zero > /ram/x; exec sleep 3600']
    volumeMounts: [{name: ram, mountPath: /ram}]
    resources: {requests: {memory: 16Mi, cpu: 10m}, limits: {memory: 64Mi, cpu: "1"}}
  - name: busy
    image: toolcrib.test/busybox:1
    command: [sh, -c, 'while true; do :; done']
    resources: {limits: {cpu: 20m}}
---
apiVersion: v1
kind: Pod
metadata: {name: calm, labels: {app: calm}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "toolcrib.test/busybox:1", command: [sleep, "3600"]}]`

var hungryFinding = regexp.MustCompile(`/hungry/(full uses memory (59|60|61)Mi of its limit of 64Mi, 9\d%|busy uses cpu \d+m of its limit of 20m, \d+%)`)

// topped asks until the answer is as wanted. On a busy machine some metrics are
// not scraped in time and lack until the next are.
func topped(t testing.TB, s *mcptest.Session, args map[string]any, wanted func(TopOut) bool) (out TopOut) {
	t.Helper()
	within(t, "the metrics", func() bool {
		a := s.Call("k8s_top", args)
		if a.IsError {
			return false
		}
		out = TopOut{}
		a.Into(t, &out)
		return wanted(out)
	})
	return out
}

func TestTop(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, hungry)
	s := serve(t, granted(t, top.Rules...), mcpkit.AccessRead, nil)
	t.Run("pods", func(t *testing.T) {
		// What a container takes to start is in its first metrics; the next are quieter.
		out := topped(t, s, map[string]any{"namespace": ns, "sort_by": "memory"}, func(out TopOut) bool {
			return len(out.Rows) == 2 && out.Rows[1][2] == "0" && len(out.Findings) > 1 && hungryFinding.MatchString(out.Findings[1])
		})
		require.Equal(t, []string{"namespace", "pod", "cpu", "cpu_request", "cpu_limit", "memory", "memory_request", "memory_limit"}, out.Columns)
		require.Equal(t, []string{ns, "hungry"}, out.Rows[0][:2])
		require.Regexp(t, `^\d+% of 30m$`, out.Rows[0][3]) // a limit is a request where none is made
		require.Equal(t, "none", out.Rows[0][7], "one container has no memory limit")
		require.Equal(t, []string{ns, "calm", "0", "none", "none"}, out.Rows[1][:5])
		require.Contains(t, out.Findings[0], "sum of 2 pods: cpu ")
		require.Contains(t, out.Findings[1], ns+"/hungry/")
	})
	t.Run("containers", func(t *testing.T) {
		out := topped(t, s, map[string]any{"namespace": ns, "resource_type": "containers", "label_selector": "app=hungry", "limit": 1, "sort_by": "memory"}, func(out TopOut) bool {
			return len(out.Rows) == 1
		})
		require.Equal(t, []string{ns, "hungry", "full"}, out.Rows[0][:3])
		require.Regexp(t, `^3\d\d% of 16Mi$`, out.Rows[0][7])
		require.Regexp(t, `^9\d% of 64Mi$`, out.Rows[0][8])
		require.True(t, out.Truncated)
		require.Contains(t, out.LeftOut, "the first 1 of 2 by memory")
	})
	t.Run("nodes", func(t *testing.T) {
		c := testClients(t)
		pod, err := c.typed.CoreV1().Pods(ns).Get(t.Context(), "hungry", metav1.GetOptions{})
		require.NoError(t, err)
		out := topped(t, s, map[string]any{"resource_type": "nodes", "resource_name": pod.Spec.NodeName}, func(out TopOut) bool {
			return len(out.Rows) == 1 && strings.Contains(out.Rows[0][1], "%")
		})
		require.Equal(t, []string{"node", "cpu", "cpu_requested", "cpu_limits", "memory", "memory_requested", "memory_limits", "trouble"}, out.Columns)
		require.Len(t, out.Rows, 1)
		require.Equal(t, pod.Spec.NodeName, out.Rows[0][0])
		require.Regexp(t, `^\d+% of \d`, out.Rows[0][1])
		require.Regexp(t, `^\d+m \(\d+%\)$`, out.Rows[0][2])
		require.Contains(t, out.Findings[0], "sum of 1 nodes: cpu ")
	})
	t.Run("one pod", func(t *testing.T) {
		topped(t, s, map[string]any{"resource_name": "calm", "namespace": ns}, func(out TopOut) bool { return len(out.Rows) == 1 })
		requireRefused(t, s, "k8s_top", map[string]any{"resource_name": "clm", "namespace": ns}, `not_found: no pods "clm" in namespace "`+ns+`"; the nearest names are calm`)
		requireRefused(t, s, "k8s_top", map[string]any{"resource_name": "clm"}, `not_found: no pod "clm" with metrics in any namespace`)
		requireRefused(t, s, "k8s_top", map[string]any{"resource_type": "nodes", "resource_name": "nowhere"}, `not_found: no nodes "nowhere"`)
		requireRefused(t, s, "k8s_top", map[string]any{"label_selector": "a=b=c"}, `invalid: label_selector: `)
	})
	t.Run("without pods", func(t *testing.T) {
		s := serve(t, granted(t, readRule("metrics.k8s.io", "nodes", "pods"), readRule("", "nodes")), mcpkit.AccessRead, nil)
		out := topped(t, s, map[string]any{"namespace": ns}, func(out TopOut) bool { return len(out.Rows) == 2 })
		require.Contains(t, strings.Join(out.Findings, "\n"), "not looked at: requests and limits (")
		out = topped(t, s, map[string]any{"resource_type": "nodes"}, func(out TopOut) bool { return len(out.Rows) > 0 })
		require.Equal(t, "not known", out.Rows[0][2])
	})
	t.Run("denied", func(t *testing.T) {
		s := serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil)
		text := requireRefused(t, s, "k8s_top", map[string]any{"namespace": ns}, "denied: ")
		require.Contains(t, text, "pods.metrics.k8s.io is forbidden")
	})
}

func TestTopWithoutMetrics(t *testing.T) {
	t.Parallel()
	gone := proxied(t, func(r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/apis/metrics.k8s.io/") {
			r.URL.Path = "/apis/gone.k8s.io/v1/pods"
		}
	})
	s := serve(t, over(gone, "kubernetes-mcp/test"), mcpkit.AccessRead, nil)
	requireRefused(t, s, "k8s_top", nil, "unavailable: the metrics API is registered but does not answer")
	require.ErrorContains(t, noMetrics(false), "must install metrics-server")
}

// podMetrics streams a list of n pods' metrics.
func podMetrics(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		fmt.Fprint(w, `{"kind":"PodMetricsList","metadata":{"items":[]},"items":[`)
		for i := range n {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, `{"metadata":{"name":"web-%d","namespace":"shop","labels":{"app":"%s"}},"containers":[{"name":"app","usage":{"cpu":"%dn","memory":"%dKi"}}]}`, i, strings.Repeat("x", 500), i*1_000_000, i)
		}
		fmt.Fprint(w, `]}`)
		_ = w.Close()
	}()
	return r
}

func TestTopOfManyPods(t *testing.T) {
	tally := &topTally{limit: 3}
	peak := peakHeap(t, func() {
		require.NoError(t, eachItem(podMetrics(10_000), func(item usageItem) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: item.Metadata.Namespace, Name: item.Metadata.Name}}
			pod.Spec.Containers = []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("9Mi")}}}}
			tally.addPod(pod, map[string]amounts{"app": item.Containers[0].Usage.amounts()})
		}))
	})
	require.Less(t, peak, uint64(16<<20))
	out, err := tally.answer("pods", nil, func(r topRow) []string { return []string{cores(r.used.cpu)} })
	require.NoError(t, err)
	require.Equal(t, [][]string{{"shop", "web-9999", "9.99"}, {"shop", "web-9998", "9.99"}, {"shop", "web-9997", "9.99"}}, out.Rows)
	require.Equal(t, "sum of 10000 pods: cpu 49995, memory 47Gi", out.Findings[0])
	require.Len(t, out.Findings, 2+tightMost)
	require.Equal(t, "1695 more are at 90% or more of a limit", out.Findings[1+tightMost])
	require.Contains(t, out.LeftOut, "the first 3 of 10000 by cpu")
}

func TestEachItemSaysWhatIsBroken(t *testing.T) {
	for _, text := range []string{``, `[]`, `{"kind":"Status"}`, `{"items":[{`, `{"items":[1]}`} {
		require.Error(t, eachItem(strings.NewReader(text), func(usageItem) {}), text)
	}
	require.NoError(t, eachItem(strings.NewReader(`{"items":null}`), func(usageItem) {}))
}

func TestQuantitiesAreShort(t *testing.T) {
	var got []string
	for _, n := range []int64{0, 7, 999, 1000, 1234, 56789} {
		got = append(got, cores(n))
	}
	require.Equal(t, []string{"0", "7m", "999m", "1", "1.23", "56.78"}, got)
	got = nil
	for _, n := range []int64{0, 900, 1024, 1536, 260 << 10, 498 << 20, 3 << 29, 25 << 30} {
		got = append(got, inBytes(n))
	}
	require.Equal(t, []string{"0", "900", "1Ki", "1.5Ki", "260Ki", "498Mi", "1.5Gi", "25Gi"}, got)
}
